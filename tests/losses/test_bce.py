"""BCE and its generalisation against torch's own binary cross entropy and the paper's formula."""

import pytest
import torch
from torch.nn import functional

from recbole_logq.losses import get_loss


@pytest.fixture
def scores():
    generator = torch.Generator().manual_seed(3)
    positive = torch.randn(5, generator=generator, dtype=torch.float64)
    negatives = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    valid = torch.rand(5, 8, generator=generator) > 0.3
    return positive, negatives, valid


def by_torch(positive, negatives, valid, weight=1.0):
    """Mean over the positive (times its weight) and the row's valid negatives."""
    rows = []
    for row in range(len(positive)):
        kept = negatives[row][valid[row]]
        logits = torch.cat([positive[row : row + 1], kept])
        labels = torch.zeros_like(logits)
        labels[0] = 1.0
        each = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        each[0] = each[0] * (weight(len(kept)) if callable(weight) else weight)
        rows.append(each.mean())
    return torch.stack(rows)


def test_bce_is_the_mean_binary_cross_entropy(scores):
    torch.testing.assert_close(get_loss("bce")(*scores[:2], valid=scores[2]), by_torch(*scores), rtol=1e-12, atol=0)


@pytest.mark.parametrize("t", [0.0, 0.75, 1.0])
@pytest.mark.parametrize("size", [9, 50, 3700])
def test_gbce_weights_the_positive_by_beta(scores, t, size):
    def beta(k):  # as the paper writes it
        a = k / (size - 1)
        return a * (t * (1 - 1 / a) + 1 / a)

    value = get_loss("gbce", catalogue_size=size, t=t)(*scores[:2], valid=scores[2])
    torch.testing.assert_close(value, by_torch(*scores, weight=beta), rtol=1e-12, atol=0)


def test_gbce_without_calibration_is_bce(scores):
    plain = get_loss("bce")(*scores[:2], valid=scores[2])
    assert torch.equal(get_loss("gbce", catalogue_size=100, t=0.0)(*scores[:2], valid=scores[2]), plain)


def test_gbce_makes_up_for_sampling():
    """With t = 1 the optimum of a positive's score under k of C - 1 negatives is that under all of them."""
    # One query; each item is the positive with probability p, and a uniform negative otherwise.
    size, k, p = 11, 2, 0.3

    def optimum(name, negatives, **options):
        # Loss of the score x: p positive rows, and (1 - p) of the mass puts the item among the C - 1 negatives,
        # from which it is drawn with rate k / (C - 1).
        x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([x], max_iter=200, tolerance_grad=1e-12)
        loss = get_loss(name, **options)

        def closure():
            optimizer.zero_grad()
            others = torch.full((1, negatives), -60.0, dtype=torch.float64)  # they cost nothing
            as_positive = loss(x, others)
            drawn = loss(torch.full((1,), 60.0, dtype=torch.float64), torch.cat([x[None], others[:, 1:]], 1))
            value = (p * as_positive + (1 - p) * negatives / (size - 1) * drawn).sum()
            value.backward()
            return value

        optimizer.step(closure)
        return x.item()

    everything = optimum("bce", size - 1)
    sampled = optimum("bce", k)
    calibrated = optimum("gbce", k, catalogue_size=size, t=1.0)
    assert sampled > everything + 1  # overconfident
    assert calibrated == pytest.approx(everything, abs=1e-6)


@pytest.mark.parametrize(
    "options", [{"catalogue_size": 1}, {"catalogue_size": 5, "t": 1.5}, {"catalogue_size": 5, "t": -1}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ValueError, match="loss 'gbce'"):
        get_loss("gbce", **options)

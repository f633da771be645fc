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


def test_graded_targets_by_hand():
    """y = 1/2 at s = 1, y = 1/4 at s = 1/2, y = 0 at s = 2, the last of four columns masked."""
    told = {
        "positive_target": torch.tensor([0.5], dtype=torch.float64),
        "negative_target": torch.tensor([[0.25, 0.0, 0.0]], dtype=torch.float64),
        "valid": torch.tensor([[True, True, False]]),
    }
    positive = torch.tensor([1.0], dtype=torch.float64)
    value = get_loss("bce")(positive, torch.tensor([[0.5, 2.0, 9.0]], dtype=torch.float64), **told)
    # 0.5 * 0.313262 + 0.5 * 1.313262 = 0.813262; 0.25 * 0.474077 + 0.75 * 0.974077 = 0.849077; 2.126928; over 3.
    assert value.tolist() == pytest.approx([(0.813262 + 0.849077 + 2.126928) / 3], abs=1e-6)


def test_graded_targets_are_torchs_cross_entropy_with_them(scores):
    positive, negatives, valid = scores
    y = torch.rand(5, 9, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    value = get_loss("bce")(positive, negatives, valid=valid, positive_target=y[:, 0], negative_target=y[:, 1:])
    each = functional.binary_cross_entropy_with_logits(
        torch.cat([positive[:, None], negatives], 1), y, reduction="none"
    )
    kept = torch.cat([torch.ones(5, 1, dtype=torch.bool), valid], 1)
    torch.testing.assert_close(value, (each * kept).sum(1) / kept.sum(1), rtol=1e-12, atol=0)


def test_targets_of_1_and_0_are_none_at_all(scores):
    positive, negatives, valid = scores
    told = {"positive_target": torch.ones_like(positive), "negative_target": torch.zeros_like(negatives)}
    assert torch.equal(get_loss("bce")(*scores[:2], valid=valid, **told), get_loss("bce")(*scores[:2], valid=valid))


def test_gradients_with_graded_targets_are_the_finite_differences(scores):
    positive, negatives, valid = scores
    y = torch.rand(5, 9, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def loss(s, t):
        return get_loss("bce")(s, t, valid=valid, positive_target=y[:, 0], negative_target=y[:, 1:])

    assert torch.autograd.gradcheck(loss, (positive.requires_grad_(), negatives.requires_grad_()))


def test_graded_targets_survive_blocks_of_rows():
    generator = torch.Generator().manual_seed(6)
    query, positive, pool = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (7, 7, 4))
    told = {
        "positive_target": torch.rand(7, generator=generator),
        "negative_target": torch.rand(7, 4, generator=generator),
    }
    whole = get_loss("bce")((query * positive).sum(1), query @ pool.T, **told)
    torch.testing.assert_close(get_loss("bce").from_vectors(query, positive, pool, block_rows=2, **told), whole)


@pytest.mark.parametrize("name", ["bpr", "gbce", "corrected_logq"])
def test_losses_without_targets_refuse_them(scores, name):
    options = {"catalogue_size": 9} if name == "gbce" else {}
    with pytest.raises(ValueError, match="reads no other targets"):
        get_loss(name, **options)(*scores[:2], positive_target=torch.ones(5))

"""Sampler, mask and loss together: the gradient of the corrected loss approaches the full softmax's with n.

One query over 40 items with Zipf popularity, its scores rising with popularity; batches are drawn as training draws
them, the row under test is row 0. Relative squared bias with the Monte Carlo noise taken off:
(|mean - g|^2 - tr(Cov) / R) / |g|^2.
"""

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import get_sampler, valid_columns

ITEMS, POSITIVE, REPEATS = 40, 1, 1000


def squared_bias(loss_name, hits, sampler_name, n, repeats=REPEATS, **options):
    generator = torch.Generator().manual_seed(n)
    law = torch.zeros(ITEMS + 1, dtype=torch.float64)
    law[1:] = 1 / torch.arange(1, ITEMS + 1)
    counts = TargetCounts((1e7 * law).long())
    sampler = get_sampler(sampler_name)(
        counts, count=None if sampler_name == "in_batch_unique" else n, seed=n, **options
    )
    # Normal scores plus a taste for the popular, and a positive that the model half believes in already.
    scores = torch.randn(ITEMS + 1, generator=generator.manual_seed(0)).double() + 0.5 * law.clamp(min=1e-9).log()
    scores[POSITIVE] = torch.logsumexp(scores[POSITIVE + 1 :], 0)
    loss = get_loss(loss_name)

    gradients = []
    for _ in range(repeats):
        positives = torch.multinomial(law, n + 1, replacement=True, generator=generator)
        positives[0] = POSITIVE
        pool = sampler.sample(positives)
        leaf = scores.clone().requires_grad_()
        value = loss(
            leaf[POSITIVE : POSITIVE + 1],
            leaf[pool.ids].unsqueeze(0),
            valid=valid_columns(pool, positives, hits, 0, 1),
            **pool.terms(positives[:1]),
        )
        gradients.append(torch.autograd.grad(value.sum(), leaf)[0])
    sample = torch.stack(gradients)
    target = torch.softmax(scores[1:], 0)
    target[POSITIVE - 1] -= 1
    noise = sample.var(dim=0).sum() / repeats
    return (((sample.mean(0)[1:] - target) ** 2).sum() - noise).item() / (target**2).sum().item()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler_name", "options"),
    [
        ("in_batch", {}),
        ("in_batch_unique", {}),
        ("uniform", {}),
        ("popularity", {"alpha": 0.5}),
        ("mixed", {}),
        ("mixed", {"law": "per_part"}),
    ],
    ids=str,
)
def test_the_bias_of_the_corrected_loss_falls_with_n(sampler_name, options):
    few, some, many = (squared_bias("corrected_logq", "masked", sampler_name, n, **options) for n in (4, 16, 64))
    assert some < few / 3
    assert many < few / 20
    assert many < 1e-3


@pytest.mark.parametrize("sampler_name", ["in_batch", "mixed"])
def test_the_bias_of_the_textbook_loss_falls_with_hits_kept(sampler_name):
    few, many = (squared_bias("logq", "kept", sampler_name, n) for n in (4, 64))
    assert many < few / 20


@pytest.mark.parametrize(("loss_name", "hits"), [("corrected_logq", "kept"), ("logq", "masked")])
def test_crossed_the_bias_does_not_fall(loss_name, hits):
    few, many = (squared_bias(loss_name, hits, "in_batch", n) for n in (4, 64))
    assert many > max(few / 2, 0.1)

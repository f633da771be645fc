"""All pools of a step at once against one pool after the other."""

from __future__ import annotations

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.losses.softmax import SampledSoftmaxLoss
from recbole_logq.models.pooled_losses import pooled_losses, takes_pools
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import get_sampler, group_of_columns
from recbole_logq.samplers.device_numbers import DeviceNumbers

ROWS, ITEMS, POOLS, COUNT = 23, 30, 4, 8


def counts() -> TargetCounts:
    generator = torch.Generator().manual_seed(5)
    return TargetCounts(
        torch.cat([torch.zeros(1, dtype=torch.int64), torch.randint(1, 9, (ITEMS,), generator=generator)])
    )


@pytest.mark.parametrize("windows", [None, torch.arange(ROWS) // 4], ids=["rows alone", "windows"])
@pytest.mark.parametrize("loss_name", ["corrected_logq", "logq", "sampled_softmax", "logq_uncorrected_positive"])
@pytest.mark.parametrize("source", ["uniform", "in_batch", "mixed", "popularity"])
def test_losses_and_gradients(source: str, loss_name: str, windows: torch.Tensor | None) -> None:
    generator = torch.Generator().manual_seed(1)
    loss = get_loss(loss_name)
    assert isinstance(loss, SampledSoftmaxLoss)
    at_once, one_by_one = (get_sampler(source)(counts(), count=COUNT, seed=3) for _ in range(2))
    assert takes_pools(loss, at_once)
    table = torch.randn(ITEMS + 1, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    query = torch.randn(ROWS, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    positives = torch.randint(1, ITEMS + 1, (ROWS,), generator=generator)
    pools = at_once.sample_pools(positives, POOLS)
    values, counted = pooled_losses(loss, pools, query, positives, lambda ids: table[ids], loss.hits, windows)
    size, expected = -(-ROWS // POOLS), []
    for start in range(0, ROWS, size):
        rows = torch.arange(start, min(start + size, ROWS))
        pool = one_by_one.sample(positives)
        if windows is not None and pool.from_batch:
            pool.column_group = group_of_columns(pool, positives, windows)
        pool = pool.seen_from(rows, ROWS)
        groups = None if windows is None else windows[rows]
        terms = pool.terms(positives[rows], None, loss.hits, groups)
        expected.append(loss.from_vectors(query[rows], table[positives[rows]], table[pool.ids], terms))
    wanted = torch.cat(expected)
    torch.testing.assert_close(values, wanted)
    assert bool(counted.all())
    weight = torch.linspace(0.5, 2.0, ROWS, dtype=torch.float64)
    found = torch.autograd.grad((values * weight).sum(), (query, table))
    for gradient, other in zip(found, torch.autograd.grad((wanted * weight).sum(), (query, table)), strict=True):
        torch.testing.assert_close(gradient, other)


def test_padding_has_no_loss_and_no_gradient_and_is_never_drawn() -> None:
    loss, sampler = get_loss("corrected_logq"), get_sampler("in_batch")(counts(), count=12, seed=0)
    assert isinstance(loss, SampledSoftmaxLoss)
    positives, real = torch.arange(16) + 1, torch.arange(16) < 13
    positives = positives.masked_fill(~real, 0)
    query = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    table = torch.randn(ITEMS + 1, 4, generator=torch.Generator().manual_seed(1))
    pools = sampler.sample_pools(positives, 2, numbers=DeviceNumbers("cpu", 0), real=real)
    assert bool(real[pools.origin].all())
    assert all(len(set(origin.tolist())) == 12 for origin in pools.origin)
    values, counted = pooled_losses(loss, pools, query, positives, lambda ids: table[ids], "masked", real=real)
    assert torch.equal(counted, real)
    assert not values[~real].any()
    (gradient,) = torch.autograd.grad(values.sum(), query)
    assert not gradient[~real].any()
    assert bool(gradient[real].any(1).all())


@pytest.mark.parametrize("source", ["uniform", "in_batch", "mixed", "popularity"])
def test_numbers_of_the_device_follow_the_stated_law(source: str) -> None:
    """Of many draws, the share of each item is what log Q says."""
    law = counts()
    rows = torch.arange(ITEMS + 1).repeat_interleave(law.counts)
    sampler = get_sampler(source)(law, count=40, seed=0)
    pools = sampler.sample_pools(rows, 2000, numbers=DeviceNumbers("cpu", 1))
    share = torch.bincount(pools.ids.flatten(), minlength=ITEMS + 1) / pools.ids.numel()
    expected = pools.law(torch.arange(1, ITEMS + 1)).exp()
    torch.testing.assert_close(share[1:], expected, atol=0.002, rtol=0.05)
    again = sampler.sample_pools(rows, 2000, numbers=DeviceNumbers("cpu", 1))
    assert torch.equal(again.ids, pools.ids)


def test_what_has_no_such_form() -> None:
    softmax, pointwise = get_loss("corrected_logq"), get_loss("bce")
    per_part = get_sampler("mixed")(counts(), count=4, seed=0, law="per_part")
    assert not takes_pools(softmax, per_part)
    assert not takes_pools(softmax, get_sampler("hard")(counts(), count=4, seed=0))
    assert not takes_pools(softmax, get_sampler("in_batch_unique")(counts(), count=4, seed=0))
    assert not takes_pools(pointwise, get_sampler("uniform")(counts(), count=4, seed=0))

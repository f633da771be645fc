"""Buckets of times by hand, and the weights of an accelerator's mask against those of the CPU's tiles."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from recbole_logq.modules import pair_bias
from recbole_logq.modules.pair_bias import Bias, Tile
from recbole_logq.modules.tiled_attention import tiled_attention
from recbole_logq.modules.times import TimeBuckets, logarithmic_edges


def f64(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_buckets_by_hand() -> None:
    buckets = TimeBuckets(5)
    assert buckets.edges.tolist() == [1, 2, 4, 8]
    found = buckets(f64(-3, 0, 0.99, 1, 1.99, 2, 4, 7.9, 8, 1e12))
    assert found.tolist() == [0, 0, 0, 1, 1, 2, 3, 3, 4, 4]
    assert found.dtype == torch.int32


@pytest.mark.parametrize("edges", [f64(1, 2, 4, 8), logarithmic_edges(f64(1, 7, 9), 3.7e7, 64), f64(3, 3, 900)])
def test_many_times_have_the_same_buckets(edges: torch.Tensor) -> None:
    buckets = TimeBuckets(len(edges) + 1)
    buckets.edges = edges
    some = torch.rand(3000, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 20 - 1
    near = torch.cat([edges * (1 + shift) for shift in (-1e-6, 0, 1e-6)])
    between = torch.cat((some, some.exp(), near, f64(-5, -0.0, 0, 2.0**53, -(2.0**53))))[None]
    find = buckets.of_many()
    assert (find is buckets) == (float(edges[0]) == 3)  # two edges in one place
    assert torch.equal(find(between), buckets(between))
    assert find(between).dtype == torch.int32


def test_edges_go_from_the_shortest_gap_to_the_longest_span() -> None:
    gaps = f64(0, 0, -5, 10, 10, 2000, 70)
    edges = logarithmic_edges(gaps, 1e5, 6)
    torch.testing.assert_close(edges, f64(10, 100, 1e3, 1e4, 1e5))
    # In milliseconds the same gaps are in the same buckets.
    seconds, thousandths = TimeBuckets(6), TimeBuckets(6)
    seconds.edges, thousandths.edges = edges, logarithmic_edges(gaps * 1000, 1e8, 6)
    between = f64(0, 9, 11, 99, 101, 5000, 2e5)
    assert seconds(between).tolist() == thousandths(between * 1000).tolist() == [0, 0, 1, 1, 2, 3, 5]
    # A single gap below all others among thousands moves nothing.
    many = torch.cat((f64(1e-9), torch.full((5000,), 10.0, dtype=torch.float64)))
    assert float(logarithmic_edges(many, 1e5, 6)[0]) == 10


@pytest.mark.parametrize("gaps", [[], [0.0, 0.0], [7.0, 7.0]])
def test_a_scale_without_a_range_doubles(gaps: list[float]) -> None:
    longest = max(gaps, default=0.0)
    edges = logarithmic_edges(f64(*gaps), longest, 5)
    torch.testing.assert_close(edges, (longest or 1.0) * f64(1, 2, 4, 8))


@pytest.mark.parametrize("with_distance", [False, True])
def test_tiles_and_one_mask_are_the_same_attention(monkeypatch: pytest.MonkeyPatch, with_distance: bool) -> None:
    """What an accelerator computes, on the CPU."""
    draw, (rows, length, heads, d, n) = torch.Generator().manual_seed(1), (5, 11, 2, 4, 6)
    qkv = torch.randn(rows, length, 3, heads, d, generator=draw, dtype=torch.float64).requires_grad_()
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    index = torch.randint(0, n, (rows, length, length), generator=draw, dtype=torch.int32).masked_fill_(later, n)
    weights = torch.randn(heads, n + 1, generator=draw, dtype=torch.float64)
    weights[:, n] = -math.inf
    weights.requires_grad_()
    distance = torch.randn(heads, length, length, generator=draw, dtype=torch.float64).requires_grad_()
    known = (weights, distance if with_distance else None)
    wanted = [qkv, *(table for table in known if table is not None)]
    mask = Bias([Tile(slice(0, rows), slice(0, length), index)], *known).whole()
    query, key, value = qkv.permute(2, 0, 3, 1, 4)
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2)
    monkeypatch.setattr(pair_bias, "QUERIES", 3)
    monkeypatch.setattr(pair_bias, "PAIRS", 40)
    cut = list(pair_bias._tiles(rows, length, torch.device("cpu")))
    assert len(cut) > 8
    tiles = [Tile(some, queries, index[some, queries, : queries.stop].contiguous()) for some, queries in cut]
    found = tiled_attention(qkv, Bias(tiles, *known))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    gradient = torch.randn(found.shape, generator=draw, dtype=torch.float64)
    pairs = zip(
        torch.autograd.grad(found, wanted, gradient), torch.autograd.grad(expected, wanted, gradient), strict=True
    )
    for own, reference in pairs:
        assert reference.abs().max() > 0.1
        torch.testing.assert_close(own, reference, rtol=1e-11, atol=1e-12)

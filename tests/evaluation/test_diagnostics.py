"""Diagnostics on cases whose answer is known."""

import math

import pytest
import torch

from recbole_logq.evaluation import diagnostics as of


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def test_alignment_by_hand():
    query, positive = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([[5.0, 0.0], [0.0, -3.0]])
    assert of.alignment(query, positive).item() == pytest.approx((0 + 4) / 2)


def test_uniformity_by_hand():
    """Three points of the circle, 120 degrees apart: every squared distance is 3."""
    angle = torch.tensor([0.0, 1.0, 2.0]) * 2 * math.pi / 3
    points = 7 * torch.stack([angle.cos(), angle.sin()], dim=1)
    assert of.uniformity(points).item() == pytest.approx(-6.0, abs=1e-5)
    assert of.uniformity(points[:2]).item() == pytest.approx(-6.0, abs=1e-5)
    assert of.uniformity(torch.ones(4, 3)).item() == pytest.approx(0.0, abs=1e-12)
    assert of.uniformity(torch.ones(1, 3)).item() == 0.0


def test_uniformity_equals_the_loop_over_pairs():
    vectors = normal(9, 4)
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    pairs = [(-2 * (unit[i] - unit[j]).square().sum()).exp() for i in range(9) for j in range(9) if i != j]
    assert of.uniformity(vectors).item() == pytest.approx(torch.stack(pairs).mean().log().item(), rel=1e-10)


def test_norm_and_popularity():
    counts = torch.tensor([0, 1, 7, 31])
    vectors = normal(4, 3)
    vectors *= (counts.double().log1p() * 2 + 1).unsqueeze(1) / vectors.norm(dim=1, keepdim=True)
    assert of.norm_popularity_correlation(vectors, counts).item() == pytest.approx(1.0)
    assert of.norm_popularity_correlation(-vectors / vectors.norm(dim=1, keepdim=True) ** 2, counts).item() < -0.8
    assert of.norm_popularity_correlation(torch.ones(4, 3), counts).item() == pytest.approx(0.0, abs=1e-6)


def test_norm_and_popularity_of_short_vectors():
    counts, vectors = torch.tensor([1, 2, 3, 2]), normal(4, 3) * 1e-3
    long = of.norm_popularity_correlation(vectors * 1e3, counts).item()
    assert of.norm_popularity_correlation(vectors, counts).item() == pytest.approx(long, rel=1e-9)
    assert 0.01 < abs(long) < 1


def test_the_share_of_the_hardest():
    scores = torch.tensor([[9.0, math.log(6), math.log(3), math.log(1)]])  # without the positive: .6, .3, .1
    assert of.hardest_share(scores, torch.tensor([0])).item() == pytest.approx(0.6)
    assert of.hardest_share(scores, torch.tensor([0]), share=0.5).item() == pytest.approx(0.9)


def test_entropy_and_its_slope_in_the_temperature():
    assert of.softmax_entropy(torch.zeros(2, 8)).item() == pytest.approx(math.log(8))
    scores = normal(5, 20)
    entropies = [of.softmax_entropy(scores / t).item() for t in (0.1, 0.5, 1.0, 5.0)]
    assert entropies == sorted(entropies)  # dH/dT > 0


def test_effective_rank():
    assert of.effective_rank(torch.eye(7)[:, :5].double()).item() == pytest.approx(5.0)
    flat = normal(50, 1) @ normal(1, 6)
    assert of.effective_rank(flat).item() == pytest.approx(1.0, abs=1e-3)
    assert of.effective_rank(flat.float()).item() == pytest.approx(1.0, abs=1e-3)
    matrix = normal(40, 6)
    singular = torch.linalg.svdvals(matrix)
    share = singular / singular.sum()
    assert of.effective_rank(matrix).item() == pytest.approx(torch.exp(-(share * share.log()).sum()).item(), rel=1e-8)


def test_all_of_them_leave_padding_out_and_draw_nothing():
    items, query = torch.cat([torch.full((1, 4), 1e6).double(), normal(30, 4)]), normal(500, 4)
    positives = torch.arange(500) % 30 + 1
    before = torch.get_rng_state()
    found = of.diagnose(query, positives, items, torch.arange(31))
    assert torch.equal(torch.get_rng_state(), before)
    assert found["effective_rank"] <= 4
    assert 0 < found["entropy"] <= math.log(30)
    assert all(math.isfinite(value) for value in found.values())


def test_of_a_large_catalogue_evenly_spaced_items_are_looked_at(monkeypatch):
    items, query = normal(31, 4), normal(6, 4, seed=1)
    monkeypatch.setattr(of, "MAX_ITEMS", 4)
    found = of.diagnose(query, torch.arange(1, 7), items, torch.arange(31))
    expected = of.uniformity(items[1:].float()[[0, 9, 19, 29]]).item()
    assert found["uniformity_items"] == pytest.approx(expected, abs=1e-4)
    assert found["uniformity_items"] != pytest.approx(of.uniformity(items[1:]).item(), abs=1e-3)

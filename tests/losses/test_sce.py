"""Scalable cross entropy: what is in a bucket, what a row gets of it."""

import pytest
import torch
from torch.nn import functional

from recbole_logq.losses import get_loss


def make(rows=60, items=300, d=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(items, d, generator=generator, dtype=torch.float64)
    query = torch.randn(rows, d, generator=generator, dtype=torch.float64)
    return query, vectors, torch.randint(items, (rows,), generator=generator)


def test_one_bucket_of_everything_is_the_cross_entropy():
    query, vectors, targets = make()
    leaves = [query.clone().requires_grad_(), vectors.clone().requires_grad_()]
    loss = get_loss("sce", buckets=1, bucket_rows=60, bucket_items=300)
    value = loss.from_vectors(leaves[0], leaves[1][targets], leaves[1], positive_column=targets)
    plain = [query.clone().requires_grad_(), vectors.clone().requires_grad_()]
    expected = functional.cross_entropy(plain[0] @ plain[1].T, targets, reduction="none")
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    for got, want in zip(
        torch.autograd.grad(value.sum(), leaves), torch.autograd.grad(expected.sum(), plain), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


def test_a_bucket_holds_the_largest_projections_and_the_best_bucket_counts():
    """The algorithm in loops, with the same directions."""
    query, vectors, targets = make()
    loss = get_loss("sce", buckets=7, bucket_rows=9, bucket_items=20, seed=3)
    directions = torch.randn(7, 60, generator=torch.Generator().manual_seed(3)).double() @ query
    expected = torch.zeros(60, dtype=torch.float64)
    for direction in directions:
        items = set((vectors @ direction).argsort(descending=True)[:20].tolist())
        for row in (query @ direction).argsort(descending=True)[:9].tolist():
            others = sorted(items - {int(targets[row])})
            logits = torch.cat([query[row] @ vectors[targets[row]].unsqueeze(1), query[row] @ vectors[others].T])
            expected[row] = max(expected[row], torch.logsumexp(logits, 0) - logits[0])
    value = loss.from_vectors(query, vectors[targets], vectors, positive_column=targets)
    torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-12)
    assert 0 < int((value == 0).sum()) < 60  # rows in no bucket


def test_it_is_a_lower_bound_that_grows_tight():
    query, vectors, targets = make(items=2000)
    full = functional.cross_entropy(query @ vectors.T, targets, reduction="none")
    means = []
    for size in (32, 256, 2000):
        loss = get_loss("sce", buckets=40, bucket_rows=60, bucket_items=size)
        value = loss.from_vectors(query, vectors[targets], vectors, positive_column=targets)
        assert (value <= full + 1e-9).all()
        means.append(value.mean())
    assert means[0] < means[1] < means[2] == pytest.approx(full.mean().item(), rel=1e-9)


def test_it_finds_more_of_the_softmax_than_as_many_uniform_items():
    query, vectors, targets = make(rows=400, items=4000)
    loss = get_loss("sce", bucket_items=100)
    value = loss.from_vectors(query, vectors[targets], vectors, positive_column=targets)
    drawn = vectors[torch.randint(4000, (100,), generator=torch.Generator().manual_seed(1))]
    uniform = get_loss("sampled_softmax").from_vectors(query, vectors[targets], drawn)
    held = value > 0
    assert held.float().mean() > 0.7
    assert value[held].mean() > uniform[held].mean() + 0.2


def test_a_large_catalogue_is_projected_in_parts(monkeypatch):
    query, vectors, targets = make()
    arguments = {"buckets": 7, "bucket_rows": 9, "bucket_items": 20, "seed": 3}
    whole = get_loss("sce", **arguments).from_vectors(query, vectors[targets], vectors, positive_column=targets)
    monkeypatch.setattr("recbole_logq.losses.sce._BLOCK_ELEMENTS", 600)
    parts = get_loss("sce", **arguments).from_vectors(query, vectors[targets], vectors, positive_column=targets)
    torch.testing.assert_close(parts, whole, rtol=0, atol=0)


def test_the_directions_are_its_own_and_part_of_its_state():
    query, vectors, targets = make()
    first, second = get_loss("sce", seed=1), get_loss("sce", seed=2)

    def evaluate(loss):
        return loss.from_vectors(query, vectors[targets], vectors, positive_column=targets)

    before = torch.get_rng_state()
    evaluate(first)
    assert torch.equal(torch.get_rng_state(), before)
    second.load_state_dict(first.state_dict())
    assert torch.equal(evaluate(first), evaluate(second))
    assert not torch.equal(evaluate(first), evaluate(get_loss("sce", seed=1)))


@pytest.mark.parametrize(
    "options", [{"buckets": 0}, {"bucket_rows": -1}, {"bucket_items": 0}, {"buckets": 1.5}], ids=str
)
def test_impossible_sizes(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        get_loss("sce", **options)

"""Searches against an enumeration with numpy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_logq.errors import RequestError
from recbole_logq.serving.exact_index import ExactIndex
from recbole_logq.serving.hnsw_index import HnswIndex, to_l2
from recbole_logq.serving.index import APPROXIMATE, check_index
from recbole_logq.serving.index_quality import compare_with_exact, recall

N_ITEMS, SIZE, ROWS = 3000, 16, 40


def made_up(n: int, seed: int) -> torch.Tensor:
    """Vectors on six dimensions, of different norms: the nearest item is not the one with the largest product."""
    world, own = (torch.Generator().manual_seed(one) for one in (0, seed))
    vectors = torch.randn(n, 6, generator=own) @ torch.randn(6, SIZE, generator=world)
    return vectors * torch.exp(0.3 * torch.randn(n, 1, generator=own))


@pytest.fixture
def items() -> torch.Tensor:
    vectors = made_up(N_ITEMS + 1, 1)
    vectors[0] = 100.0  # padding, which would win everywhere
    return vectors


@pytest.fixture
def query() -> torch.Tensor:
    return made_up(ROWS, 2)


def best(items: torch.Tensor, query: torch.Tensor, k: int) -> np.ndarray:
    scores = query.double().numpy() @ items[1:].double().numpy().T
    return np.argsort(-scores, axis=1)[:, :k] + 1


def test_one_more_dimension_makes_distances_of_products(items: torch.Tensor, query: torch.Tensor) -> None:
    vectors, rows = items[1:].numpy(), query.numpy()
    long = to_l2(vectors).astype(np.float64)
    np.testing.assert_allclose((long**2).sum(1), (vectors.astype(np.float64) ** 2).sum(1).max(), rtol=1e-5)
    distance = ((np.pad(rows, ((0, 0), (0, 1)))[:, None] - long[None]) ** 2).sum(2)
    assert (distance.argmin(1) + 1 == best(items, query, 1)[:, 0]).all()
    plain = ((rows[:, None] - vectors[None]) ** 2).sum(2)
    assert (plain.argmin(1) + 1 != best(items, query, 1)[:, 0]).any()  # without it, another item


@pytest.mark.parametrize("k", [1, 10, N_ITEMS])
def test_exact_search_is_an_enumeration(items: torch.Tensor, query: torch.Tensor, k: int) -> None:
    found = ExactIndex(items).search(query, k)
    expected = torch.from_numpy(best(items, query, k))
    scores = torch.linalg.vecdot(query.unsqueeze(1), items[expected])
    torch.testing.assert_close(found.scores, scores, rtol=1e-5, atol=1e-4)
    assert (found.items != expected).double().mean() < 0.01  # of products that float32 cannot tell apart
    assert all(len(set(row)) == k for row in found.items.tolist())


@pytest.mark.parametrize(("name", "least"), [("hnsw", 0.95), ("ivfpq", 0.9)])
def test_approximate_search(items: torch.Tensor, query: torch.Tensor, name: str, least: float, tmp_path: Path) -> None:
    index = APPROXIMATE[name].build(items)
    found = index.search(query, 10)
    assert recall(found.items, torch.from_numpy(best(items, query, 10))) >= least
    # Scores are products with the items' own vectors, in order.
    torch.testing.assert_close(found.scores, torch.linalg.vecdot(query.unsqueeze(1), items[found.items]))
    assert (found.scores.diff(dim=1) <= 0).all()

    index.save(tmp_path / "index.safetensors")
    again = type(index).load(items, tmp_path / "index.safetensors", **index.options).search(query, 10)
    assert torch.equal(again.items, found.items)
    with pytest.raises(RequestError, match=r"levels is of shape|codes is of shape"):
        type(index).load(items[:-1], tmp_path / "index.safetensors")


@pytest.mark.parametrize("name", ["exact", "hnsw", "ivfpq"])
def test_what_is_excluded_is_replaced_by_the_next_best(items: torch.Tensor, query: torch.Tensor, name: str) -> None:
    everything = ExactIndex(items).search(query, N_ITEMS).items
    index: Any = ExactIndex(items)
    if name != "exact":
        # Searched through and through, so that the rest is exact too.
        wide = {"hnsw": {"ef_search": N_ITEMS}, "ivfpq": {"probes": 100, "refine": 300}}[name]
        index = APPROXIMATE[name].build(items, **wide)
    # Nothing for row 0, the best for others, all but three for the last.
    n_out = torch.tensor([0] + [5] * (ROWS - 2) + [N_ITEMS - 3])
    rows = torch.arange(ROWS).repeat_interleave(n_out)
    out = torch.cat([everything[row, :n] for row, n in enumerate(n_out.tolist())])
    found = index.search(query, 10, (rows, out))
    for row, n in enumerate(n_out.tolist()):
        left = everything[row, n : n + 10].tolist()
        assert found.items[row].tolist() == left + [0] * (10 - len(left))
        assert found.scores[row].isneginf().sum() == 10 - len(left)


def test_a_search_that_finds_too_little_is_made_exactly(items: torch.Tensor, query: torch.Tensor) -> None:
    index = APPROXIMATE["ivfpq"].build(items, cells=300, probes=1, refine=1)
    assert (index._candidates(query.numpy(), 100) < 0).any()  # one cell holds about ten items
    found = index.search(query, 100)
    assert (found.items > 0).all()
    assert all(len(set(row)) == 100 for row in found.items.tolist())


def test_the_report_is_about_recall_against_exact_search(items: torch.Tensor, query: torch.Tensor) -> None:
    narrow, wide = (HnswIndex.build(items, neighbours=16, ef_search=ef) for ef in (1, 1000))
    reports = [compare_with_exact(index, ExactIndex(items), query, [10]) for index in (narrow, wide)]
    assert reports[0]["recall@10"] < 0.95 < reports[1]["recall@10"]
    assert reports[0]["queries"] == ROWS
    assert recall(torch.tensor([[1, 2], [3, 4]]), torch.tensor([[2, 5], [4, 3]])) == 0.75


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hnws", None, "did you mean hnsw"),
        ("hnsw", {"ef_serach": 9}, "unknown setting index_options.ef_serach - did you mean ef_search"),
        ("hnsw", {"ef_search": 0}, "index_options.ef_search=0: a whole number, 1 or more"),
        ("ivfpq", {"probes": 1.5}, "index_options.probes=1.5"),
        ("ivfpq", {"probes": True}, "index_options.probes=True"),
        ("exact", {"ef_search": 9}, "exact has none"),
        ("hnsw", {"neighbours": 1}, "index_options.neighbours=1: from 2 to 1024"),  # faiss would end the process
        ("hnsw", {"ef_search": 1 << 31}, "index_options.ef_search=2147483648: a whole number"),
        ("hnsw", "wide", "a mapping"),
    ],
)
def test_wrong_options_are_one_line(name: str, options: Any, message: str) -> None:
    with pytest.raises(RequestError) as error:
        check_index(name, options)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_too_few_items_for_code_words() -> None:
    with pytest.raises(RequestError, match="there are 99 items: set --index=hnsw"):
        APPROXIMATE["ivfpq"].build(torch.randn(100, 8))


def test_without_faiss_exact_search_works(items: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    check_index("exact", None)
    assert ExactIndex(items).search(items[1:3], 1).items.shape == (2, 1)
    with pytest.raises(RequestError, match="pip install 'faiss-cpu"):
        check_index("hnsw", None)

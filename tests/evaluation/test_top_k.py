"""The streamed selection against torch.topk over the whole matrix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recbole_logq.evaluation import top_k as module
from recbole_logq.evaluation.groups import Groups
from recbole_logq.evaluation.products import FloatProduct, WholeProduct
from recbole_logq.evaluation.top_k import Catalogue, Pairs, TopK, top_k_of_scores


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TILE_ROWS", 8)
    monkeypatch.setattr(module, "TILE_COLUMNS", 64)
    monkeypatch.setattr(module, "SCORES", 2000)
    monkeypatch.setattr(module, "LEAST_ROWS", 2)
    monkeypatch.setattr(module, "BUSY_ROWS", 3)
    monkeypatch.setattr(module, "NARROW", 128)
    monkeypatch.setattr(module, "PROBED", 4)
    monkeypatch.setattr(module, "PARTITIONED_FROM", 12)


def every_way(query: Tensor, items: Tensor, k: int, excluded: Pairs | None = None) -> list[TopK]:
    """Streamed, with and without a look at whole numbers; and from ready scores."""
    found = [Catalogue(items, whole).top_k(query, k, excluded) for whole in (None, False, True)]
    return [*found, top_k_of_scores(query @ items.T, k, excluded)]


def masked(query: Tensor, items: Tensor, excluded: Pairs | None) -> Tensor:
    scores = query @ items.T
    scores[:, 0] = -torch.inf
    if excluded is not None:
        scores[excluded] = -torch.inf
    return scores


def vectors(rows: int, n_items: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    query = torch.randn(rows, 6, generator=generator, dtype=torch.float64)
    return query, torch.randn(n_items, 6, generator=generator, dtype=torch.float64)


def some_pairs(rows: int, n_items: int, share: float) -> Pairs:
    chosen = torch.rand(rows, n_items, generator=torch.Generator().manual_seed(7)) < share
    row, item = chosen.nonzero(as_tuple=True)
    order = torch.randperm(len(row), generator=torch.Generator().manual_seed(8))
    # In any order, and some of them twice.
    return torch.cat([row[order], row[:5]]), torch.cat([item[order], item[:5]])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
@pytest.mark.parametrize("k", [1, 3, 20, 100])
@pytest.mark.parametrize(("rows", "n_items"), [(21, 1000), (1, 1000), (8, 65), (5, 101), (3, 130)])
def test_equals_torch(rows: int, n_items: int, k: int, share: float) -> None:
    k = min(k, n_items)
    query, items = vectors(rows, n_items)
    excluded = some_pairs(rows, n_items, share) if share else None
    scores = masked(query, items, excluded)
    expected = scores.topk(k, dim=1)
    for found in every_way(query, items, k, excluded):
        torch.testing.assert_close(found.scores, expected.values, rtol=1e-12, atol=1e-12)
        real = expected.values > -torch.inf
        assert torch.equal(found.items[real], expected.indices[real])
        assert torch.equal(found.scores == -torch.inf, ~real)
    if share < 0.9:
        assert real[:, : n_items // 2].all()


@pytest.mark.parametrize("order", ["rising", "falling"])
def test_the_order_of_the_catalogue_does_not_matter(order: str) -> None:
    # Rising: every tile beats all before it. Falling: the first tile decides.
    steps = torch.arange(1000, dtype=torch.float64).unsqueeze(1)
    items = steps if order == "rising" else -steps
    query = torch.rand(10, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 0.5
    expected = masked(query, items, None).topk(15, dim=1)
    for found in every_way(query, items, 15):
        assert torch.equal(found.items, expected.indices)


def test_equal_scores_come_as_torch_has_them_over_the_whole_row() -> None:
    # What RecBole does with the scores of ItemKNN, most of which are zero.
    generator = torch.Generator().manual_seed(3)
    scores = torch.randint(0, 4, (30, 700), generator=generator).double()
    excluded = some_pairs(30, 700, 0.2)
    expected = masked(scores, torch.eye(700, dtype=torch.float64), excluded).topk(20, dim=1)
    for found in every_way(scores, torch.eye(700, dtype=torch.float64), 20, excluded):
        assert torch.equal(found.items, expected.indices)
        assert torch.equal(found.scores, expected.values)


def test_too_few_items_are_filled_up_with_what_is_not_ranked() -> None:
    query, items = vectors(4, 200)
    row = torch.arange(4).repeat_interleave(197)
    excluded = (row, torch.arange(3, 200).repeat(4))  # leaves items 1 and 2
    expected = masked(query, items, excluded).topk(5, dim=1)
    for found in every_way(query, items, 5, excluded):
        assert torch.equal(found.items[:, :2].sort(dim=1).values, torch.tensor([[1, 2]] * 4))
        assert torch.equal(found.scores[:, 2:], torch.full((4, 3), -torch.inf, dtype=torch.float64))
        assert torch.equal(found.items, expected.indices)


@pytest.mark.parametrize("k", [10, 30])
def test_a_score_that_is_no_number_comes_first_as_in_torch(k: int) -> None:
    scores = torch.randn(6, 500, generator=torch.Generator().manual_seed(1))
    scores[2, 400] = scores[2, 17] = torch.nan
    expected = scores.index_fill(1, torch.tensor([0]), -torch.inf).topk(k, dim=1)
    assert torch.equal(top_k_of_scores(scores, k).items, expected.indices)


@pytest.mark.parametrize(("tile_rows", "tile_columns", "group"), [(1, 32, 16), (3, 512, 8), (100, 4096, 32)])
def test_sizes_of_blocks_do_not_matter(
    monkeypatch: pytest.MonkeyPatch, tile_rows: int, tile_columns: int, group: int
) -> None:
    query, items = vectors(20, 3000)
    excluded = some_pairs(20, 3000, 0.05)
    before = every_way(query, items, 50, excluded)
    monkeypatch.setattr(module, "TILE_ROWS", tile_rows)
    monkeypatch.setattr(module, "TILE_COLUMNS", tile_columns)
    monkeypatch.setattr(module, "GROUP", group)
    for found, expected in zip(every_way(query, items, 50, excluded), before, strict=True):
        assert torch.equal(found.items, expected.items)
        torch.testing.assert_close(found.scores, expected.scores, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize("norms", ["alike", "skewed"])
def test_whole_numbers_only_find_what_is_proven(norms: str, offset: float) -> None:
    # Items far from the origin, or a few with long vectors, leave little of 8 bits for the differences that matter.
    generator = torch.Generator().manual_seed(5)
    query, items = torch.randn(64, 16, generator=generator), torch.randn(20_000, 16, generator=generator) + offset
    if norms == "skewed":
        items *= torch.rand(20_000, 1, generator=generator) ** -0.5
    # In single precision only sums in the same order are equal to the last bit.
    expected = (query.double() @ items.double().T).index_fill_(1, torch.tensor([0]), -torch.inf).topk(20, dim=1)
    found = Catalogue(items, whole=True).top_k(query, 20)
    torch.testing.assert_close(found.scores.double(), expected.values, rtol=1e-4, atol=1e-3)
    assert (found.items == expected.indices).float().mean() > 0.99


@pytest.mark.parametrize("product", [FloatProduct, WholeProduct])
def test_bounds_hold(product: type[FloatProduct]) -> None:
    generator = torch.Generator().manual_seed(6)
    query, items = torch.randn(30, 24, generator=generator), torch.randn(1000, 24, generator=generator) + 0.5
    groups = Groups(1000, 64, 16)
    scorer = WholeProduct(items, groups) if product is WholeProduct else FloatProduct(items)
    exact = query.double() @ items.double().T
    for first, (low, high, n_groups) in enumerate(groups.tiles()):
        scores = torch.full((30, n_groups * 16), scorer.lowest, dtype=scorer.dtype)
        scorer.write(scorer.prepare(query), low, high, scores[:, : high - low])
        maxima = torch.full((30, groups.n_groups), -1e9)
        ours = slice(first * groups.per_tile, first * groups.per_tile + n_groups)
        maxima[:, ours] = scores.view(30, 16, n_groups).amax(1).float()
        scorer.to_bounds(query, maxima)
        members = groups.members(torch.arange(groups.n_groups).expand(30, -1)[:, ours])
        best = exact.gather(1, members).masked_fill(members == 0, -torch.inf).view(30, n_groups, 16).amax(2)
        assert (maxima[:, ours] >= best).all()
        assert (maxima[:, ours] - best).mean() < 0.1 * exact.std()


def test_groups_hold_every_item_once() -> None:
    for n_items in (2, 17, 63, 64, 65, 66, 1000, 1025):
        groups = Groups(n_items, 64, 16)
        members = groups.members(torch.arange(groups.n_groups).unsqueeze(0)).flatten()
        assert members.dtype == torch.int64
        assert groups.n_groups == sum(number for _, _, number in groups.tiles())
        assert torch.equal(members[members > 0].sort().values, torch.arange(1, n_items))
        group, place = groups.place(torch.arange(1, n_items))
        assert torch.equal(members[group * 16 + place], torch.arange(1, n_items))


def test_equal_scores_everywhere_cost_one_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every vector four times: nothing is proven of any row, and torch's own order is what is asked for.
    query, some = (tensor.mul(9).round() for tensor in vectors(40, 250))  # whole numbers, so that no product rounds
    items = some.repeat(4, 1)
    searched = []
    search = Catalogue._search
    monkeypatch.setattr(Catalogue, "_search", lambda self, *args: searched.append(len(args[1])) or search(self, *args))
    expected = masked(query, items, None).topk(10, dim=1)
    for whole in (None, False, True):
        searched.clear()
        catalogue = Catalogue(items, whole)
        for _ in range(2):
            found = catalogue.top_k(query, 10)
            assert torch.equal(found.items, expected.indices)
            assert torch.equal(found.scores, expected.values)
        assert searched == [module.PROBED] * ((whole is not None) + (whole is True))


@pytest.mark.parametrize(
    ("n_items", "rows", "k", "streams"),
    [(999, 64, 1, False), (1000, 63, 1, False), (1000, 64, 1, True), (1000, 64, 11, False)],
)
def test_what_is_fastest_is_chosen_by_size(
    monkeypatch: pytest.MonkeyPatch, n_items: int, rows: int, k: int, streams: bool
) -> None:
    monkeypatch.setattr(module, "STREAMED_FROM", 1000)
    monkeypatch.setattr(module, "STREAMED_FROM_K", 100)
    query, items = vectors(rows, n_items)
    catalogue = Catalogue(items)
    found = catalogue.top_k(query, k)
    assert torch.equal(found.items, masked(query, items, None).topk(k, dim=1).indices)
    assert (catalogue._products is not None) is streams
    if not streams and k == 1 and n_items == 1000:  # requests of few rows add up
        catalogue.top_k(query[:1], k)
        assert catalogue._products is not None

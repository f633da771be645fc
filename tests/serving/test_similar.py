"""Items like an item: by hand, against the model's own rows, with every index, and refused in a line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from recbole_logq.cli import main
from recbole_logq.errors import RequestError
from recbole_logq.experiment.restore import restore_own
from recbole_logq.modules.query import TwoTowerQuery
from recbole_logq.modules.scorer import Scorer
from recbole_logq.modules.tower import Tower
from recbole_logq.modules.towers import HistoryTower
from recbole_logq.serving import Retriever
from recbole_logq.serving.context import ContextColumns
from recbole_logq.serving.description import Description, HistoryDescription, UserDescription
from recbole_logq.serving.encoder import Encoder, write_encoder
from recbole_logq.serving.exact_index import ExactIndex
from recbole_logq.serving.export import export
from recbole_logq.serving.index import APPROXIMATE
from recbole_logq.serving.manifest import Manifest
from recbole_logq.serving.recommend import similar_file

Exported = Callable[[str], Path]
SCORER = {"similarity": "dot", "temperature": 0.5, "mode": "fixed", "end": None, "steps": None}
SHAPE = {"size": 2, "scorer": SCORER, "mlp_sizes": [], "context": []}
VECTORS = [[9.0, 9.0], [1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [-1.0, 0.0], [0.0, 0.0]]  # padding, a, b, c, d, e
HISTORIES = [[1, 2], [1], [3, 1]]  # a b, a, c a


def by_hand(folder: Path, described: Description, query: TwoTowerQuery, vectors: Any = VECTORS) -> Retriever:
    """A folder of five items and three users in memory."""
    write_encoder(query, folder / "encoder.safetensors")
    items = torch.tensor(vectors)
    encoder = Encoder(described, folder / "encoder.safetensors", 3, 5)
    offsets = np.cumsum([0, *map(len, HISTORIES)])
    users = pa.array(["u", "v", "w"]), offsets, np.array([item for one in HISTORIES for item in one], dtype=np.int32)
    manifest = Manifest.model_construct(model="ByHand", encoder=described)
    catalogue = pa.table({"item": list("abcde")})
    return Retriever(manifest, catalogue, items, users, None, ContextColumns([], {}), encoder, ExactIndex(items))


def user_tower(folder: Path) -> Retriever:
    tower = Tower(4, 2)
    tower.embedding.weight.data = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 0.0], [2.0, 1.0]])
    described = UserDescription.model_validate({"kind": "user", **SHAPE})
    return by_hand(folder, described, TwoTowerQuery(tower, Scorer("dot", 0.5)))


def test_by_items_in_numbers(tmp_path: Path) -> None:
    found = user_tower(tmp_path).similar(["a", "c", "a"], k=4)
    assert found.items[0][0] == found.items[1][0] == "b"
    assert found.items[0][3] == "d"
    assert set(found.items[0][1:3]) == {"c", "e"}  # both at right angles to a
    assert set(found.items[1][1:]) == {"a", "d", "e"}
    np.testing.assert_allclose(found.scores, [[0.6, 0, 0, -1], [0.8, 0, 0, 0], [0.6, 0, 0, -1]], rtol=1e-6)
    table = found.to_table(["a", "c", "a"], "similar_to").to_pydict()
    assert (table["similar_to"][4], table["item"][4], table["rank"][4]) == ("c", "b", 1)


def test_by_queries_of_users_in_numbers(tmp_path: Path) -> None:
    """Users who had a: (1, 2), (3, 0) and (2, 1), mean (2, 1), over the temperature (4, 2)."""
    retriever = user_tower(tmp_path)
    assert retriever.co_queries(["a", "b", "c", "a"]).tolist() == [[4, 2], [2, 4], [4, 2], [4, 2]]
    found = retriever.similar(["a", "b"], k=3, by="queries")
    assert found.items == [["b", "c", "e"], ["c", "a", "e"]]
    np.testing.assert_allclose(found.scores, [[4.0, 2.0, 0.0], [4.0, 2.0, 0.0]], rtol=1e-6)


def test_by_queries_of_histories_in_numbers(tmp_path: Path) -> None:
    """Before a: nothing twice (the vector (0, 3)), and c once; before b: a."""
    tower = HistoryTower(2)
    tower.empty.data = torch.tensor([0.0, 3.0])
    table = torch.nn.Embedding(6, 2, padding_idx=0)
    table.weight.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [3.0, 3.0], [5.0, 5.0], [6.0, 6.0]])
    parts = {"kind": "history", "max_history": 2, "pooling": "mean", "user_fields": []}
    described = HistoryDescription.model_validate({**parts, **SHAPE})
    retriever = by_hand(tmp_path, described, TwoTowerQuery(tower, Scorer("dot", 0.5), table))
    expected = [[2 * 3 / 3, 2 * (3 + 3 + 3) / 3], [2.0, 0.0]]
    torch.testing.assert_close(retriever.co_queries(["a", "b"]), torch.tensor(expected))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"items": ["a", "x"]}, "no item 'x' in the catalogue"),
        ({"items": ["a"], "k": 5}, "k=5: a whole number from 1 to the 4 other items of the catalogue"),
        ({"items": ["a"], "k": 0}, "k=0: a whole number"),
        ({"items": ["a", "e"]}, "item 'e' has a vector of zeros"),
        ({"items": ["a", "d"], "by": "queries"}, "no user of the folder had item 'd': it has no co-query vector"),
        ({"items": ["a"], "by": "query"}, "by='query' - did you mean queries?: items or queries"),
    ],
    ids=str,
)
def test_refused_in_one_line(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError) as error:
        user_tower(tmp_path).similar(**{"k": 2, **options})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


SECOND = {"name": "search", "buckets": 9, "several": False, "kept": 0}


@pytest.mark.parametrize(
    ("further", "keeps"),
    [
        ({}, True),
        ({"context": [{"name": "hour", "type": "float32"}]}, False),
        ({"second": [SECOND]}, False),
        ({"time": "gaps", "request_time": "known", "time_unit": "seconds"}, True),
        ({"time_context": ["hour"], "request_time": "known", "time_unit": "seconds"}, False),
    ],
    ids=str,
)
def test_what_a_folder_must_keep_of_requests(further: dict[str, Any], keeps: bool) -> None:
    parts = {"kind": "history", "max_history": 2, "pooling": "mean", "user_fields": []}
    assert HistoryDescription.model_validate({**parts, **SHAPE, **further}).keeps_requests == keeps


@pytest.mark.parametrize("name", ["exact", "hnsw", "ivfpq"])
@pytest.mark.parametrize("by", ["items", "queries"])
def test_every_index_gives_exact_products(tmp_path: Path, name: str, by: str) -> None:
    generator = torch.Generator().manual_seed(3)
    retriever, n = user_tower(tmp_path), 2000
    items = torch.randn(n + 1, 2, generator=generator)
    retriever.items, retriever.catalogue = items, pa.table({"item": [str(item) for item in range(1, n + 1)]})
    retriever.index = ExactIndex(items) if name == "exact" else APPROXIMATE[name].build(items)
    retriever._exact = ExactIndex(items)
    asked = ["1", "2", "3"]  # all of which somebody had
    query = items[1:4] if by == "items" else retriever.co_queries(asked)
    scores = query @ items[1:].T
    scores[torch.arange(3), torch.arange(3)] = -torch.inf  # an item is not like itself
    best = scores.topk(20, dim=1)
    for exact in (False, True):
        found = retriever.similar(asked, k=20, by=by, exact=exact)
        ids = torch.tensor([[int(item) for item in row] for row in found.items])
        torch.testing.assert_close(torch.from_numpy(found.scores), scores.gather(1, ids - 1), rtol=1e-5, atol=1e-5)
        hits = torch.stack([torch.isin(one, two) for one, two in zip(ids, best.indices + 1, strict=True)])
        assert float(hits.double().mean()) >= (1.0 if exact or name == "exact" else 0.8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ids", "history", "features-history"])
def test_co_queries_are_means_of_training_rows(checkpoint: Callable[[str], str], tmp_path: Path, name: str) -> None:
    export(checkpoint(name), tmp_path / "out", history="train")
    retriever, restored = Retriever.load(tmp_path / "out"), restore_own(checkpoint(name))
    network, loader, tokens = restored.network.eval(), restored.loaders[0], restored.parts[0].field2id_token["item_id"]
    queries: dict[int, list[Tensor]] = {}
    loader.start_epoch()
    with torch.no_grad():
        for batch in loader:
            rows = network.rows(batch)
            for item, query in zip(rows.positives.tolist(), network.scorer.query(rows.query), strict=True):
                queries.setdefault(item, []).append(query)
    assert len(queries) > 100
    found = retriever.co_queries([str(tokens[item]) for item in queries])
    expected = torch.stack([torch.stack(rows).mean(0) for rows in queries.values()])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sasrec", "times", "towers-times"])
def test_co_queries_are_means_of_visitors(exported: Exported, name: str) -> None:
    """Of each user who had the item, up to just before: the same items at the same times, asked at its time."""
    retriever = Retriever.load(exported(name))
    tokens, times = retriever.catalogue["item"].to_pylist(), retriever._times
    histories, had, asked = [], [], []
    for start, end in zip(retriever._offsets[:-1].tolist(), retriever._offsets[1:].tolist(), strict=True):
        for place in range(start, end):
            if tokens[retriever._history[place] - 1] == "50" and (place > start or name == "towers-times"):
                histories.append([tokens[item - 1] for item in retriever._history[start:place].tolist()])
                had.append(None if times is None else times[start:place].tolist())
                asked.append(None if times is None else float(times[place]))
    assert max(map(len, histories)) > 11
    further = {} if times is None else {"times": had, "at": asked}
    expected = retriever.queries(histories=histories, **further).mean(0)
    torch.testing.assert_close(retriever.co_queries(["50"])[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_on_the_command_line(
    exported: Exported, checkpoint: Callable[[str], str], in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    retriever = Retriever.load(exported("history"))
    for by, heading in (("items", "cosine"), ("queries", "mean score")):
        found = retriever.similar(["50", "172"], k=3, by=by)
        assert main(["recommend", f"--model={exported('history')}", "--items=50,172", "--k=3", f"--by={by}"]) == 0
        shown = capsys.readouterr().out
        for text in (heading, f"50, by {by}", *found.items[0], *found.items[1], f"{found.scores[1, 2]:.4f}"):
            assert text in shown
    assert main(["recommend", f"--model={checkpoint('ids')}", "--items=50", "--k=2"]) == 0
    shown = capsys.readouterr().out
    assert "inner product" in shown
    for item in Retriever.load(exported("ids")).similar(["50"], k=2).items[0]:
        assert item in shown
    assert "cosine of two items' vectors, or" in (exported("history") / "README.md").read_text(encoding="utf-8")
    card = (exported("context-ids") / "README.md").read_text(encoding="utf-8")
    assert "cosine of two items' vectors." in card
    with pytest.raises(RequestError, match=r"by=queries: TwoTowerLogQ reads of every request .* set by=items"):
        Retriever.load(exported("context-ids")).similar(["50"], by="queries")


def test_a_file_of_items_in_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """By the vectors above: beside a b = (0.6, 0.8) has 0.6, c 0; beside b c has 0.8, a 0.6."""
    retriever = user_tower(tmp_path)
    (tmp_path / "asked.csv").write_text("note,item\nx,b\ny,a\nz,b\n", encoding="utf-8")
    assert similar_file(retriever, tmp_path / "asked.csv", tmp_path / "out.csv", k=2) == 3
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as lines:
        found = [(row["similar_to"], row["rank"], row["item"], float(row["score"])) for row in csv.DictReader(lines)]
    of_b = [("b", "1", "c"), ("b", "2", "a")]
    assert [row[:3] for row in found if row[:2] != ("a", "2")] == [*of_b, ("a", "1", "b"), *of_b]  # c and e share 0
    assert [row[3] for row in found] == pytest.approx([0.8, 0.6, 0.6, 0, 0.8, 0.6])
    assert sum("not read: note" in line for line in caplog.messages) == 1
    similar_file(retriever, tmp_path / "asked.csv", tmp_path / "out.parquet", k=4)
    expected = retriever.similar(["b", "a", "b"], k=4).to_table(["b", "a", "b"], "similar_to")
    assert pq.read_table(tmp_path / "out.parquet").equals(expected)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("item\na\nf\n", {}, "no item 'f' in the catalogue"),
        ("item,n\na,1\n,2\n", {}, "a row has no item"),
        ("item\n", {}, "has no rows"),
        ("item,item\na,b\n", {}, "2 columns called item"),
        ("item\na\n", {"k": 5}, "k=5: a whole number from 1 to the 4 other items"),
        ("item\na\ne\n", {}, "item 'e' has a vector of zeros"),
    ],
    ids=str,
)
def test_a_file_of_items_that_is_refused(tmp_path: Path, text: str, options: dict[str, Any], message: str) -> None:
    (tmp_path / "asked.csv").write_text(text, encoding="utf-8")
    with pytest.raises(RequestError, match=message):
        similar_file(user_tower(tmp_path), tmp_path / "asked.csv", tmp_path / "out.csv", **{"k": 2, **options})
    assert not (tmp_path / "out.csv").exists()


def test_a_query_of_zeros_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A visitor whose text has no part that training saw gets a ranking all the same, which means nothing."""
    retriever = user_tower(tmp_path)
    retriever.recommend(users=["u", "v"], k=2)
    assert not caplog.messages
    tower = Tower(4, 2)
    tower.embedding.weight.data = torch.tensor([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0], [2.0, 1.0]])
    described = UserDescription.model_validate({"kind": "user", **SHAPE})
    (tmp_path / "encoder.safetensors").unlink()
    by_hand(tmp_path, described, TwoTowerQuery(tower, Scorer("dot", 0.5))).recommend(users=["u", "v", "w"], k=2)
    (line,) = caplog.messages
    assert line.startswith("1 of 3 rows have a query of zeros")

"""A checkpoint and what its folder says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from recbole_logq import run
from recbole_logq.data.dataset.histories import last_items
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.experiment.restore import restore_own
from recbole_logq.serving import Retriever
from recbole_logq.serving.context import ContextColumns
from recbole_logq.serving.encoder_check import TOLERANCE, check_encoder
from recbole_logq.serving.export import export
from recbole_logq.training.checkpoint import load

pytestmark = pytest.mark.slow
Checkpoint = Callable[[str], str]
Exported = Callable[[str], Path]


NAMES = ["ids", "history", "sasrec", "features-ids", "features-history", "features-sasrec"]
NAMES += ["context-ids", "context-history"]


@pytest.mark.parametrize("name", NAMES)
def test_exact_search_is_the_evaluators_ranking(checkpoint: Checkpoint, exported: Exported, name: str) -> None:
    from recbole_logq.data.dataset.protocol import filters_history
    from recbole_logq.training.ranking import rank

    restored = restore_own(checkpoint(name))
    model, loader, data = restored.network.eval(), restored.loaders[2], restored.parts[2]
    ranked = rank(model, loader, 10).items
    rows = torch.cat([block[0][data.uid_field] for block in loader.blocks()])
    users = [str(token) for token in data.field2id_token[data.uid_field][rows]]
    assert len(users) > 30
    retriever, contexts = Retriever.load(exported(name)), None
    if name.startswith("context"):
        hour, device = (torch.cat([block[0][field] for block in loader.blocks()]) for field in ("hour", "device"))
        devices = data.field2id_token["device"][device]
        contexts = [{"hour": float(one), "device": str(two)} for one, two in zip(hour, devices, strict=True)]
        assert len({str(one) for one in contexts}) > 10
    found = retriever.recommend(users, k=10, exclude_history=filters_history(restored.config), contexts=contexts)
    tokens = data.field2id_token[data.iid_field]
    with torch.no_grad():
        scores = torch.cat([model.queries(block[0]) for block in loader.blocks()]) @ model.item_vectors(None).T
    for row, (items, theirs) in enumerate(zip(found.items, ranked.tolist(), strict=True)):
        for place, (item, other) in enumerate(zip(items, theirs, strict=True)):
            score = scores[row, other]
            # What is served is the model's score itself: no log Q is in it.
            torch.testing.assert_close(torch.tensor(found.scores[row, place]), score, rtol=1e-5, atol=1e-5)
            if item != tokens[other]:
                assert abs(scores[row, found.ids[row, place]] - score) <= 1e-5 * abs(score)


@pytest.mark.parametrize("name", ["ids", "sasrec"])
def test_what_is_in_the_folder(checkpoint: Checkpoint, exported: Exported, name: str) -> None:
    restored, folder = restore_own(checkpoint(name)), exported(name)
    data = restored.parts[0]
    items, users = pq.read_table(folder / "items.parquet"), pq.read_table(folder / "users.parquet")
    assert items["item"].to_pylist() == data.field2id_token[data.iid_field][1:].tolist()
    assert users["user"].to_pylist() == data.field2id_token[data.uid_field][1:].tolist()
    titles = dict(zip(items["item"].to_pylist(), items["title"].to_pylist(), strict=True))
    assert titles["50"] == "Star Wars"
    vectors = restored.network.item_vectors(None).detach()[1:]
    np.testing.assert_array_equal(np.load(folder / "item_vectors.npy", allow_pickle=False), vectors.numpy())
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["data"]["fingerprint"] == restored.fingerprint
    assert manifest["largest_difference"] <= TOLERANCE
    card = (folder / "README.md").read_text(encoding="utf-8")
    for text in (
        restored.fingerprint["test"],
        f"ndcg@10 {manifest['training']['test_result']['ndcg@10']}",
        f"torch {torch.__version__.split('+')[0]}",
        f"--model={restored.config['model']} --dataset=cut",
        "export --checkpoint=",
        "filter_history",
    ):
        assert text in card
    trained_with = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert trained_with == json.loads(json.dumps(load(checkpoint(name))["config"], default=str))


def test_histories_up_to_a_part(tmp_path: Path, in_tmp: Path, write_dataset: Any) -> None:
    rows = [(f"u{user}", f"i{(user + step) % 9}", float(step)) for user in range(6) for step in range(6)]
    settings = {"data_path": str(write_dataset("mini", rows)), "epochs": 1, "topk": 3, "valid_metric": "NDCG@3"}
    checkpoint = run("SASRecLogQ", "mini", config_dict={**settings, "show_progress": False})["checkpoint"]
    for history, n in (("train", 4), ("valid", 5), ("all", 6)):
        manifest = export(checkpoint, history, history=history)
        users = pq.read_table(tmp_path / history / "users.parquet")
        known = dict(zip(users["user"].to_pylist(), users["history"].to_pylist(), strict=True))
        items = pq.read_table(tmp_path / history / "items.parquet")
        assert items.column_names == ["item"]  # no titles: there is no .item file
        tokens = items["item"].to_pylist()
        for user in range(6):
            assert [tokens[item - 1] for item in known[f"u{user}"]] == [f"i{(user + step) % 9}" for step in range(n)]
        assert manifest["data"]["history_interactions"] == 6 * n
    # A result that was made on other rows does not stand on the card.
    write_dataset("mini", [row if row != ("u5", "i1", 5.0) else ("u5", "i2", 5.0) for row in rows])
    manifest = export(checkpoint, "changed")
    assert manifest["training"]["test_result"] is None
    assert manifest["training"]["best_valid_result"] is not None
    # The state of everything gives other recommendations than the state before the test.
    early, late = (Retriever.load(one).queries(users=["u0"]) for one in ("valid", "all"))
    assert not torch.allclose(early, late)


@pytest.mark.parametrize("name", ["ids", "history", "sasrec", "context-history"])
def test_an_encoder_that_differs_is_found(
    checkpoint: Checkpoint, exported: Exported, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    restored = restore_own(checkpoint(name))
    network, data = restored.network.eval(), restored.parts[0]
    retriever = Retriever.load(exported(name))
    assert check_encoder(retriever, network, data) <= TOLERANCE

    def earliest(items: torch.Tensor, start: torch.Tensor, end: torch.Tensor, length: int) -> torch.Tensor:
        return last_items(items, start, torch.minimum(end, start + length), length)

    with monkeypatch.context() as other:
        if name == "context-history":  # the next token
            tokens = ContextColumns._token
            other.setattr(ContextColumns, "_token", lambda self, column, value: tokens(self, column, value) % 2 + 1)
        elif name == "ids":  # one off
            other.setattr(Retriever, "check_users", lambda self, users: [int(user) % 44 + 1 for user in users])
        else:  # the wrong end of a long history
            other.setattr("recbole_logq.serving.retriever.last_items", earliest)
        with pytest.raises(WorkError, match="differs from the model"):
            check_encoder(retriever, network, data)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.01 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    with pytest.raises(WorkError, match="differs from the model"):
        check_encoder(retriever, network, data)


def test_a_folder_is_replaced_on_request_alone(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    file = checkpoint("ids")
    first = export(file, target)  # an empty folder is as good as none
    with pytest.raises(RequestError, match="--overwrite=true to replace it"):
        export(file, target)

    def broken(*_: Any) -> float:
        raise WorkError("in the middle")

    monkeypatch.setattr("recbole_logq.serving.export.check_encoder", broken)
    with pytest.raises(WorkError, match="in the middle"):
        export(file, target, overwrite=True)
    assert Retriever.load(target).manifest["command"] == first["command"]  # the old one is untouched
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    monkeypatch.undo()
    assert export(file, target, index="hnsw", overwrite=True)["index"]["measured"]["recall@10"] > 0.9
    assert Retriever.load(target).index.name == "hnsw"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]

    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(RequestError, match="other files than an export"):
        export(file, other, overwrite=True)
    assert (other / "thesis.txt").read_text() == "years of work"
    for place in (other / "thesis.txt" / "in a file", Path("/proc/nowhere")):
        with pytest.raises(RequestError, match=f"cannot write {place}: .*; set --folder=FOLDER"):
            export("not looked at yet.pth", place)
    assert [path.name for path in other.iterdir()] == ["thesis.txt"]


def test_a_history_with_features_of_its_user_serves_visitors(exported: Exported) -> None:
    folder = exported("features-history")
    assert "A visitor who was not in training is served from a history." in (folder / "README.md").read_text()
    retriever = Retriever.load(folder)
    assert len(retriever.recommend(histories=[["50"], ["50", "172"]], k=3).items) == 2

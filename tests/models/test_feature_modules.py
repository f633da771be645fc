"""Models with features, from training to a restored checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_logq import evaluate, run
from recbole_logq.cli import main
from recbole_logq.data.dataset.histories import HISTORY
from recbole_logq.models.resolve import own_models

IN_TIME = {"split": {"LS": "valid_and_test"}, "order": "TO"}
ITEM = {"item_features": ["class", "release_year", "picture", "length"], "id_dropout": 0.1}
QUERY = {"user_features": ["age", "gender"], "context_features": ["hour", "device"]}
HISTORIES = {"user_tower": "history", "history_pooling": "attention", "eval_args": IN_TIME}
TEXTS = {"item_text": ["movie_title"], "user_text": ["occupation"], "text_buckets": 64}
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "ids": ("TwoTowerCorrectedLogQ", {}),
    "users": ("TwoTowerCorrectedLogQ", {**ITEM, **QUERY}),
    "no ids": ("TwoTowerCorrectedLogQ", {**ITEM, **QUERY, "id_dropout": 0, "use_item_id": False, "use_user_id": False}),
    "histories": ("TwoTowerCorrectedLogQ", {**ITEM, **HISTORIES}),
    "histories and more": ("TwoTowerCorrectedLogQ", {**ITEM, **QUERY, **HISTORIES, "mlp_sizes": [16]}),
    "sequences": ("SASRecCorrectedLogQ", ITEM),
    "texts": ("TwoTowerCorrectedLogQ", {**TEXTS, "user_features": ["age"], "id_dropout": 0.1}),
    "texts of histories": ("TwoTowerCorrectedLogQ", {**TEXTS, **HISTORIES}),
    "texts of sequences": ("SASRecCorrectedLogQ", {"item_text": ["movie_title"], "use_item_id": False}),
}
COLUMNS = {
    "ids": ("user_id",),
    "users": ("user_id", "hour", "device"),
    "no ids": ("user_id", "hour", "device"),
    "histories": (HISTORY,),
    "histories and more": (HISTORY, "user_id", "hour", "device"),
    "sequences": ("item_id_list", "item_length"),
    "texts": ("user_id",),
    "texts of histories": (HISTORY, "user_id"),
    "texts of sequences": ("item_id_list", "item_length"),
}


@pytest.fixture
def featured(build: Callable[..., Any], featured_cut: Path) -> Callable[..., Any]:
    """``build`` on the data that has all kinds of columns."""
    return lambda model, **settings: build(model, **{"data_path": str(featured_cut), **settings})


@pytest.mark.parametrize("model", own_models())
def test_every_recipe_learns(
    featured: Callable[..., Any], losses_on_one_batch: Callable[..., list[float]], model: str
) -> None:
    settings = {**ITEM, **({} if model.startswith("SASRec") else QUERY), "id_dropout": 0.0, "dropout": 0.0}
    network, _, loaders = featured(model, train_batch_size=64, **settings)
    values = losses_on_one_batch(network, loaders[0], steps=10)
    assert values[-1] < 0.95 * values[0]
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("form", FORMS)
def test_queries_need_their_columns_and_no_other(featured: Callable[..., Any], form: str) -> None:
    model, settings = FORMS[form]
    network, _, loaders = featured(model, **settings)
    network.eval()
    assert network.query_columns == COLUMNS[form]
    rows = next(iter(loaders[2]))[0]
    few = Interaction({column: rows[column] for column in network.query_columns})
    torch.testing.assert_close(network.queries(few), network.queries(rows), rtol=0, atol=0)
    for column in network.query_columns:
        with pytest.raises(KeyError):
            network.queries(Interaction({name: rows[name] for name in network.query_columns if name != column}))


@pytest.mark.parametrize("form", [form for form in FORMS if form != "ids"])
def test_a_batch_in_parts_has_the_gradient_of_one_piece(featured: Callable[..., Any], form: str) -> None:
    model, settings = FORMS[form]
    found = []
    for parts in (None, 7):
        network, _, loaders = featured(
            model, **{**settings, "id_dropout": 0.0, "dropout": 0.0}, train_batch_size=32, gradient_cache=parts
        )
        network = network.double().train()
        network.calculate_loss(next(iter(loaders[0]))).backward()
        found.append({name: parameter.grad for name, parameter in network.named_parameters()})
    assert max(float(grad.abs().max()) for grad in found[0].values()) > 1e-5
    for name, grad in found[0].items():
        torch.testing.assert_close(found[1][name], grad, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("form", ["users", "sequences", "texts"])
def test_sparse_gradients_are_the_dense_ones(featured: Callable[..., Any], form: str) -> None:
    model, settings = FORMS[form]
    found = []
    for sparse in (False, True):
        network, _, loaders = featured(
            model, **{**settings, "id_dropout": 0.0, "dropout": 0.0}, train_batch_size=32, sparse_embeddings=sparse
        )
        network.calculate_loss(next(iter(loaders[0]))).backward()
        found.append({name: parameter.grad for name, parameter in network.named_parameters()})
    assert sum(grad.is_sparse for grad in found[1].values()) >= 2
    for name, grad in found[0].items():
        torch.testing.assert_close(found[1][name].to_dense(), grad, rtol=1e-4, atol=1e-6)


SPLITS: list[dict[str, Any]] = [
    IN_TIME,
    {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "TO"},
    {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO"},
    {"split": {"GTS": [0.8, 0.1, 0.1]}, "unseen": "keep"},
    {"split": {"GTS": [0.8, 0.1, 0.1]}, "targets": "all", "unseen": "keep"},
]


@pytest.mark.parametrize("filter_history", [False, True])
@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_a_row_has_the_context_of_its_first_target(
    featured: Callable[..., Any], split: dict[str, Any], filter_history: bool
) -> None:
    settings = {"eval_args": split, "filter_history": filter_history, "context_features": ["hour", "device"]}
    network, _, loaders = featured("TwoTowerCorrectedLogQ", **settings)
    for loader in loaders[1:]:
        rows = loader.dataset.inter_feat
        ordered = split.get("order") != "RO"
        for block, *_ in loader:
            assert torch.isfinite(network.queries(block)).all()
            for user, hour, device in zip(
                *(block[name].tolist() for name in ("user_id", "hour", "device")), strict=True
            ):
                own = rows["user_id"] == user
                if ordered:
                    own &= rows["timestamp"] == rows["timestamp"][own].min()
                pairs = set(zip(rows["hour"][own].tolist(), rows["device"][own].tolist(), strict=True))
                assert (hour, device) in pairs


def test_recboles_own_rows_have_their_context_too(featured: Callable[..., Any], in_tmp: Path) -> None:
    arguments = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "mode": "uni20"}
    network, _, loaders = featured("TwoTowerCorrectedLogQ", eval_args=arguments, **ITEM, **QUERY)
    network.eval()
    batch = next(iter(loaders[2]))[0]
    scores = network.predict(batch)
    assert scores.shape == batch["item_id"].shape
    assert torch.isfinite(scores).all()


def test_all_items_are_encoded_once_an_evaluation(featured: Callable[..., Any], monkeypatch: Any) -> None:
    for form in ("users", "sequences"):
        model, settings = FORMS[form]
        network, _, loaders = featured(model, **settings)
        calls: list[int] = []
        whole = network.item_vectors
        monkeypatch.setattr(network, "item_vectors", lambda ids, c=calls, w=whole: (c.append(1), w(ids))[1])
        network.eval()
        rows = next(iter(loaders[2]))[0]
        first = network.full_sort_predict(rows)
        assert torch.equal(network.full_sort_predict(rows), first)
        assert len(calls) == 1
        network.train()
        network.eval()
        network.full_sort_predict(rows)
        assert len(calls) == 2


SETTINGS: dict[str, Any] = {"epochs": 2, "show_progress": False, "state": "WARNING", "learning_rate": 0.01}


@pytest.mark.parametrize("form", ["histories and more", "sequences"])
def test_a_checkpoint_is_evaluated_and_examined(in_tmp: Path, featured_cut: Path, form: str) -> None:
    model, settings = FORMS[form]
    size = 16 if form == "sequences" else 256
    values = {**SETTINGS, **settings, "data_path": str(featured_cut), "train_batch_size": size}
    result = run(model, "cut", config_dict=values)
    again = evaluate(result["checkpoint"], config_dict={"show_progress": False})
    assert again["same_protocol"]
    assert again["test_result"] == result["test_result"]
    words = ["lab", f"--checkpoint={result['checkpoint']}", "--estimators=CorrectedLogQ", "--counts=[16]", "--rows=8"]
    assert main([*words, "--pools=16", "--show_progress=false"]) == 0


def test_users_that_training_never_saw_are_their_features(
    write_dataset: Callable[..., Path], build: Callable[..., Any]
) -> None:
    rows = [(user, f"i{n}", float(n)) for user in "ab" for n in range(1, 5)] + [("c", "i1", 30.0), ("d", "i2", 30.0)]
    path = write_dataset("cut", rows)
    (path / "cut" / "cut.user").write_text("user_id:token\tgroup:token\na\tx\nb\ty\nc\tx\nd\tx\n")
    split = {"split": {"GTS": [3.5, 25]}, "unseen": "keep"}
    settings = {"topk": [2], "valid_metric": "MRR@2", "eval_args": split, "user_features": ["group"]}
    network, _, loaders = build("TwoTowerCorrectedLogQ", data_path=str(path), **settings)
    network.eval()
    data = loaders[0].dataset
    a, c, d = (network.queries(Interaction({"user_id": torch.tensor([data.token2id("user_id", u)])})) for u in "acd")
    assert torch.equal(c, d)
    assert not torch.allclose(a, c)
    group = network.user_tower.embedding.fields.fields[0].embedding.weight[data.token2id("group", "x")]
    torch.testing.assert_close(c[0], network.scorer.query(group))

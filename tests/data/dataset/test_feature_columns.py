"""Which columns become features, and what is said where they cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.cli import main
from recbole_logq.config import Config
from recbole_logq.errors import RequestError

IN_TIME = {"split": {"LS": "valid_and_test"}, "order": "TO"}


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("TwoTowerLogQ", {"item_features": ["item_id"]}, "item_features: item_id is an id"),
        ("TwoTowerLogQ", {"context_features": ["item_id"]}, "context_features: item_id is an id"),
        ("TwoTowerLogQ", {"context_features": ["rating"]}, "rating is known only after the interaction"),
        ("TwoTowerLogQ", {"context_features": ["hour"], "weight_field": "hour"}, "hour is known only after"),
        ("TwoTowerLogQ", {"item_features": ["class", "class"]}, "class is in it 2 times"),
        ("TwoTowerLogQ", {"use_item_id": False}, "use_item_id=false: an item without its id needs item_features"),
        ("TwoTowerLogQ", {"use_user_id": False}, "use_user_id=false: a user without an id needs user_features"),
        (
            "TwoTowerLogQ",
            {"item_text": ["title"]},
            "item_text: the .item file of cut has no column 'title'; it has movie",
        ),
        (
            "TwoTowerLogQ",
            {"item_text": ["length"]},
            "item_text: length is typed 'float' in the header, and takes token, ",
        ),
        (
            "TwoTowerLogQ",
            {"item_text": ["picture"]},
            "item_text: picture is typed 'float_seq' in the header, and takes",
        ),
        ("TwoTowerLogQ", {"item_text": ["item_id"]}, "item_text: item_id is an id, not a feature of one"),
        ("TwoTowerLogQ", {"user_text": ["gender", "gender"]}, "user_text: gender is in it 2 times"),
        (
            "TwoTowerLogQ",
            {"item_text": ["class"], "item_features": ["class"]},
            "item_features: class is in item_text too; keep it in one of them",
        ),
        ("TwoTowerLogQ", {"text_length": 9}, "text_length=9: set item_text or user_text too, or leave it out"),
        ("SASRecLogQ", {"user_text": ["gender"]}, "user_text: SASRec computes queries from items alone; set item_text"),
        ("TwoTowerLogQ", {"id_dropout": 0.1}, "id_dropout=0.1: it leaves ids out beside their features"),
        ("TwoTowerLogQ", {"history_pooling": "attention"}, "history_pooling=attention: set user_tower=history too"),
        (
            "TwoTowerLogQ",
            {"user_tower": "history", "eval_args": IN_TIME, "use_user_id": False},
            "use_user_id=false: user_tower=history has no user ids",
        ),
        ("SASRecLogQ", {"user_features": ["age"]}, "user_features: SASRec computes queries from items alone"),
        ("SASRecLogQ", {"context_features": ["hour"]}, "context_features: SASRec computes queries from items alone"),
        ("TwoTowerLogQ", {"item_features": ["clas"]}, "item_features: the .item file of cut has no column 'clas'; it"),
        ("TwoTowerLogQ", {"item_features": ["age"]}, "it has movie_title, release_year, class, picture"),
        ("TwoTowerLogQ", {"context_features": ["our"]}, "context_features: the .inter file of cut has no column 'our'"),
        (
            "TwoTowerLogQ",
            {"item_features": ["class"], "unload_col": {"item": ["class"]}, "load_col": None},
            "item_features: class is among unload_col.item",
        ),
    ],
)
def test_what_can_not_be_meant(
    build: Callable[..., Any], featured_cut: Path, model: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError) as caught:
        build(model, data_path=str(featured_cut), **settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_type_that_is_no_context(
    write_dataset: Callable[..., Path], build: Callable[..., Any]
) -> None:
    path = write_dataset("cut", [("a", f"i{n}", float(n)) for n in range(6)])
    for key, suffix in (("item_features", "item"), ("user_features", "user")):
        with pytest.raises(RequestError, match=rf"^{key}: .*cut\.{suffix} does not exist$"):
            build("TwoTowerLogQ", data_path=str(path), **{key: ["class"]})
    file = path / "cut" / "cut.inter"
    file.write_text(file.read_text().replace("timestamp:float", "timestamp:float\twords:token_seq"))
    with pytest.raises(RequestError, match=r"words is typed 'token_seq' in the header, and takes token, float"):
        build("TwoTowerLogQ", data_path=str(path), context_features=["words"])


def test_a_column_without_a_value_is_refused(
    write_dataset: Callable[..., Path], build: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """It would train as if it were not named; one number in all rows is standardised to 0 and said."""
    path = write_dataset("cut", [(user, f"i{n}", float(n)) for user in "ab" for n in range(6)])
    lines = ["item_id:token\tword:token\tnumber:float\tvector:float_seq\tsame:float\tone:token"]
    lines += [f"i{n}\t\t\t\t3\t{'x' if n == 2 else ''}" for n in range(6)]
    (path / "cut" / "cut.item").write_text("\n".join(lines) + "\n", encoding="utf-8")
    file = path / "cut" / "cut.inter"
    head, *rows = file.read_text().splitlines()
    file.write_text("\n".join([f"{head}\tdevice:token", *(f"{row}\t" for row in rows)]) + "\n")
    settings = {"data_path": str(path), "topk": [1], "valid_metric": "MRR@1"}
    for key, name in (
        *(("item_features", name) for name in ("word", "number", "vector")),
        ("context_features", "device"),
    ):
        with pytest.raises(RequestError, match=f"^{key}: no row of {name} has a value; leave it out$"):
            build("TwoTowerLogQ", **settings, **{key: [name]})
    build("TwoTowerLogQ", **settings, item_features=["one"])
    assert "adds nothing" not in caplog.text
    build("TwoTowerLogQ", **settings, item_features=["same"])
    assert "item_features: all rows of same have the number 3, which adds nothing" in caplog.text


def test_exit_status_2_in_one_line(featured_cut: Path, in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model=TwoTowerLogQ", "--dataset=cut", f"--data_path={featured_cut}", "--item_features=[genre]"]
    assert main(words) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert error[0].endswith("no column 'genre'; it has movie_title, release_year, class, picture, length")


def test_the_columns_are_loaded_whatever_else_is() -> None:
    wanted = {"item_features": ["class"], "user_features": ["age"], "context_features": ["hour"]}

    def loaded(**settings: Any) -> Any:
        return Config("TwoTowerLogQ", "cut", None, {**wanted, **settings})["load_col"]

    everything = {"inter": ["user_id", "item_id", "hour"], "user": ["user_id", "age"], "item": ["item_id", "class"]}
    assert loaded() == everything
    in_time = loaded(eval_args=IN_TIME)
    assert in_time == {**everything, "inter": ["user_id", "item_id", "timestamp", "hour"]}
    assert loaded(load_col={"item": "*"})["item"] == "*"
    assert loaded(load_col={"item": ["item_id", "release_year"]})["item"] == ["item_id", "release_year", "class"]
    assert loaded(load_col=None) is None
    assert "user" not in Config("TwoTowerLogQ", "cut", None, {})["load_col"]


def test_items_of_the_item_file_alone_are_ranked(build: Callable[..., Any], featured_cut: Path) -> None:
    network, _, loaders = build("TwoTowerLogQ", data_path=str(featured_cut), item_features=["class", "picture"])
    dataset = loaders[0].dataset
    unheard = dataset.token2id("item_id", "unheard")
    embedding = network.item_tower.embedding
    assert not embedding.fields.seen[unheard]
    vectors = network.eval().item_vectors(None)
    alone = embedding.fields.of(torch.tensor([unheard]))
    torch.testing.assert_close(vectors[[unheard]], network.scorer.item(alone))
    # Whoever asks for what only it has gets it first.
    from recbole_logq.evaluation.top_k import Catalogue

    assert Catalogue(vectors).top_k(vectors[[unheard]], 1).items.item() == unheard


def test_the_same_items_are_ranked_without_features_and_a_filter_takes_them(
    build: Callable[..., Any], featured_cut: Path
) -> None:
    plain, *_ = build("BPR", data_path=str(featured_cut), load_col={"item": ["item_id"]})
    settings = {"data_path": str(featured_cut), "item_features": ["class"]}
    network, _, loaders = build("TwoTowerLogQ", **settings)
    assert plain.n_items == network.n_items
    assert "unheard" in loaders[0].dataset.field2token_id["item_id"]
    _, _, loaders = build("TwoTowerLogQ", **settings, item_inter_num_interval="[1,inf)")
    assert "unheard" not in loaders[0].dataset.field2token_id["item_id"]


@pytest.mark.parametrize("normalize_all", [False, True])
def test_normalisation_changes_no_vector(build: Callable[..., Any], featured_cut: Path, normalize_all: bool) -> None:
    """Numbers are standardised in the model, and RecBole leaves them as they are in the file."""
    columns = {"inter": ["user_id", "item_id", "rating"]}
    settings = {"data_path": str(featured_cut), "item_features": ["picture"], "context_features": ["hour"]}
    settings["load_col"] = columns
    plain, _, loaders = build("TwoTowerLogQ", **settings)
    network, _, normal = build("TwoTowerLogQ", **settings, normalize_all=normalize_all)
    assert normal[0].dataset.inter_feat["hour"].max() > 20
    assert (normal[0].dataset.inter_feat["rating"].max() <= 1) == normalize_all
    rows = [next(iter(loader[0])) for loader in (loaders, normal)]
    query = [one.queries(batch) for one, batch in zip((plain, network), rows, strict=True)]
    torch.testing.assert_close(*query, rtol=0, atol=0)

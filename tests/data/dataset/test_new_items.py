"""Items that came after training have the vectors that the same lines had in training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.data.dataset.new_items import read_new_items
from recbole_logq.errors import RequestError

FEATURES = ["class", "movie_title", "release_year", "picture", "length"]


@pytest.mark.parametrize("model", ["TwoTowerCorrectedLogQ", "SASRecCorrectedLogQ"])
def test_the_lines_of_the_item_file_as_new_items(build: Callable[..., Any], featured_cut: Path, model: str) -> None:
    settings: dict[str, Any] = {"data_path": str(featured_cut), "item_features": FEATURES, "normalize_all": True}
    settings |= {"mlp_sizes": [8]} if model.startswith("TwoTower") else {"use_item_id": False}
    network, _, loaders = build(model, **settings)
    network.eval()
    dataset = loaders[0].dataset
    names, columns = read_new_items(featured_cut / "cut" / "cut.item", dataset)
    known = [(row, dataset.field2token_id["item_id"][name]) for row, name in enumerate(names)]
    embedding = network.item_tower.embedding if model.startswith("TwoTower") else network.item_embedding
    same = [(row, item) for row, item in known if not embedding.fields.seen[item] or embedding.ids is None]
    assert len(same) > 100
    rows, items = torch.tensor(same).T
    torch.testing.assert_close(network.vectors_of_new_items(columns)[rows], network.item_vectors(items))


def test_what_is_unknown_or_missing_counts_as_none(
    build: Callable[..., Any], featured_cut: Path, tmp_path: Path
) -> None:
    network, _, loaders = build("TwoTowerLogQ", data_path=str(featured_cut), item_features=["class", "release_year"])
    file = tmp_path / "new.item"
    file.write_text("item_id:token\tclass:token_seq\trelease_year:token\nn1\tDrama\t\nn2\tDrama Polka\t2077\n")
    names, columns = read_new_items(file, loaders[0].dataset)
    assert names == ["n1", "n2"]
    one, two = network.vectors_of_new_items(columns)
    torch.testing.assert_close(one, two)
    assert one.any()


def test_what_is_no_such_file(build: Callable[..., Any], featured_cut: Path, tmp_path: Path) -> None:
    *_, loaders = build("TwoTowerLogQ", data_path=str(featured_cut), item_features=["picture"])
    dataset, file = loaders[0].dataset, tmp_path / "new.item"
    with pytest.raises(RequestError, match=r"item_features: .*new\.item does not exist"):
        read_new_items(file, dataset)
    file.write_text("item_id:token\tclass:token_seq\n")
    with pytest.raises(RequestError, match=r"must have the column picture:float_seq, as in training"):
        read_new_items(file, dataset)
    file.write_text("item_id:token\tpicture:float_seq\nn1\t1 x\n")
    with pytest.raises(RequestError, match="something else than numbers"):
        read_new_items(file, dataset)
    for lines, message in (
        ("n1\t1\nn1\t2", "has n1 twice"),
        ("n1\t1\n\t2", "a line without an item"),
        ("n1\t1\t2", "line 2: 3"),
    ):
        file.write_text(f"item_id:token\tpicture:float_seq\n{lines}\n")
        with pytest.raises(RequestError, match=message):
            read_new_items(file, dataset)
    file.write_text('\ufeffitem_id:token\tpicture:float_seq\nNA\t1\n"a\t2\nnull\t\n', encoding="utf-8")
    assert read_new_items(file, dataset)[0] == ["NA", '"a', "null"]
    plain, *_ = build("TwoTowerLogQ")
    with pytest.raises(RequestError, match="item_features: the model has none"):
        plain.vectors_of_new_items([])


def test_a_new_items_text_is_read_as_in_training(build: Callable[..., Any], featured_cut: Path, tmp_path: Path) -> None:
    settings = {"data_path": str(featured_cut), "item_text": ["movie_title"], "item_features": ["class"]}
    network, _, loaders = build("TwoTowerLogQ", **settings, use_item_id=False)
    dataset, file = loaders[0].dataset, tmp_path / "new.item"
    file.write_text("item_id:token\tmovie_title:token_seq\tclass:token_seq\nn1\tOf  THIS!\tDrama\nn2\t\tDrama\n")
    _, columns = read_new_items(file, dataset)
    one, two = network.vectors_of_new_items(columns)
    unheard = torch.tensor([dataset.field2token_id["item_id"]["unheard"]])  # called Of This, a drama
    torch.testing.assert_close(one, network.eval().item_vectors(unheard)[0])
    assert not torch.allclose(one, two)


def test_texts_that_are_empty_are_counted_and_none_at_all_refused(
    write_dataset: Callable[..., Path], build: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    path = write_dataset("cut", [(user, f"i{n}", float(n)) for user in "abc" for n in range(1, 6)])
    lines = ["item_id:token\ttitle:token", "i1\tSilence", "i2\t", "i3\t?!", "i4\tSilences, more of them", "i6\tQuartz"]
    (path / "cut" / "cut.item").write_text("\n".join(lines) + "\n")
    settings = {"data_path": str(path), "item_text": ["title"], "topk": [2], "valid_metric": "MRR@2"}
    caplog.set_level("INFO")
    network, *_ = build("TwoTowerLogQ", text_length=8, use_item_id=False, **settings)
    assert (
        "item_text: title is empty in 3 of 6 rows, which add nothing for it, and cut to its first 8 words and trigrams "
        "in 1"
    ) in caplog.messages
    assert "item_text: title of 1 rows has nothing that training knows, and adds nothing" in caplog.messages
    assert network.item_vectors(None).any(1).tolist() == [False, True, False, False, True, False, False]
    (path / "cut" / "cut.item").write_text("item_id:token\ttitle:token\ni1\t?\n")
    with pytest.raises(RequestError, match="item_text: no row of title has a text with letters or digits"):
        build("TwoTowerLogQ", **settings)

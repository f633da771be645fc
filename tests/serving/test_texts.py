"""Texts of visitors and of new items: served from the folder alone, as the model would."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import load, run
from recbole_logq.cli import main
from recbole_logq.data.dataset.new_items import read_new_items
from recbole_logq.errors import RequestError
from recbole_logq.modules.text import TextHasher
from recbole_logq.serving import Retriever
from recbole_logq.serving.export import export

IN_TIME = {"split": {"LS": "valid_and_test"}, "order": "TO"}
TEXTS = {"item_text": ["movie_title"], "user_text": ["occupation"], "text_buckets": 512}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ids": ("TwoTowerLogQ", {**TEXTS, "mlp_sizes": [16], "dropout": 0.1, "item_features": ["release_year"]}),
    "histories": (
        "TwoTowerLogQ",
        {**TEXTS, "user_tower": "history", "user_features": ["age"], "eval_args": IN_TIME, "max_history": 5},
    ),
    "sequences": ("SASRecLogQ", {"item_text": ["movie_title"], "text_buckets": 512, "n_layers": 1}),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, ml100k_cut: Path) -> Callable[[str], str]:
    """``trained(form)``: a checkpoint of one of :data:`MODELS`, made once."""
    made: dict[str, str] = {}

    def train(form: str) -> str:
        if form not in made:
            model, settings = MODELS[form]
            folder = tmp_path_factory.mktemp(form)
            values = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "state": "ERROR", **settings}
            values |= {"embedding_size": 16, "MAX_ITEM_LIST_LENGTH": 10, "checkpoint_dir": str(folder)}
            made[form] = run(model, "cut", config_dict=values)["checkpoint"]
        return made[form]

    return train


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, trained: Callable[[str], str]) -> Callable[..., Path]:
    """The exported folder of one of :data:`MODELS`."""
    made: dict[tuple[str, str], Path] = {}

    def make(form: str, index: str = "exact") -> Path:
        if (form, index) not in made:
            made[form, index] = tmp_path_factory.mktemp("served") / form
            export(trained(form), made[form, index], index)
        return made[form, index]

    return make


pytestmark = pytest.mark.slow


@pytest.mark.parametrize("form", MODELS)
def test_a_new_item_has_the_vector_that_its_line_would_have(
    trained: Callable[[str], str], served: Callable[..., Path], tmp_path: Path, form: str
) -> None:
    """From text alone: in the model too, nothing is known of its other column."""
    stored = load(trained(form))
    file = tmp_path / "new.item"
    file.write_text("item_id:token\tmovie_title:token_seq\trelease_year:token\nn1\tStar Wars II\t\nn2\tThe Net\t\n")
    _, columns = read_new_items(file, stored.dataset)
    retriever = Retriever.load(served(form))
    found = retriever.item_vectors([{"movie_title": "Star Wars II"}, {"movie_title": "the NET"}])
    torch.testing.assert_close(found, stored.model.eval().vectors_of_new_items(columns), rtol=1e-5, atol=1e-6)
    assert not torch.allclose(*found)


@pytest.mark.parametrize("index", ["exact", "hnsw"])
def test_new_items_are_recommended_where_they_belong(served: Callable[..., Path], index: str) -> None:
    retriever = Retriever.load(served("sequences", index))
    before = retriever.recommend(histories=[["50", "172"]], k=20)
    query = retriever.queries(histories=[["50", "172"]])
    titles = [{"movie_title": title} for title in ("Star Wars II", "Babe", "Empire Strikes Again, The")]
    retriever.add_items(["n1", "n2"], titles[:2])
    retriever.add_items(["n3"], titles[2:])
    scores = dict(zip(before.items[0], before.scores[0].tolist(), strict=True))
    scores |= dict(zip(["n1", "n2", "n3"], (query @ retriever.item_vectors(titles).T)[0].tolist(), strict=True))
    expected = sorted(scores, key=lambda item: -scores[item])[:20]
    found = retriever.recommend(histories=[["50", "172"]], k=20)
    assert found.items[0] == expected
    assert found.scores[0].tolist() == pytest.approx([scores[item] for item in expected], rel=1e-5)
    n_items = len(retriever.catalogue)
    everything = retriever.recommend(histories=[["50", "172"]], k=n_items, exclude_history=True, exact=True)
    assert {"n1", "n2", "n3"} < set(everything.items[0])
    assert len(everything.items[0]) == n_items - 2
    with pytest.raises(RequestError, match="no item 'n1' in the catalogue"):
        retriever.recommend(histories=[["n1"]])
    with pytest.raises(RequestError, match="new items: 'n1' is in the catalogue already"):
        retriever.add_items(["n1"], titles[:1])


@pytest.mark.parametrize("form", ["ids", "histories"])
def test_a_visitor_with_a_text(trained: Callable[[str], str], served: Callable[..., Path], form: str) -> None:
    """The query by hand: what the text's parts are to the tower, added to nobody's vector."""
    retriever = Retriever.load(served(form))
    found = retriever.queries(texts=[{"occupation": "Engineer"}, {"occupation": "engineer, retired"}])
    stored = load(trained(form))
    network = stored.model.eval()
    field = network.query_encoder().user_texts.fields[0]
    vector = field(field.prepare(TextHasher(512, 256)(["engineer"])))
    if form == "ids":
        nobody = network.user_tower.embedding(torch.zeros(1, dtype=torch.int64))
        expected = network.scorer.query(network.user_tower.mlp(nobody + vector))
    else:
        nobody = network.user_tower.empty + network.user_fields.of(torch.zeros(1, dtype=torch.int64))
        expected = network.scorer.query(nobody + vector)
    torch.testing.assert_close(found[:1], expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found[0], found[1])


def test_texts_go_with_histories_and_not_with_users(served: Callable[..., Path]) -> None:
    retriever = Retriever.load(served("histories"))
    text = [{"occupation": "writer"}]
    both = retriever.queries(histories=[["50"]], texts=text)
    assert not torch.allclose(both, retriever.queries(histories=[["50"]]))
    assert not torch.allclose(both, retriever.queries(texts=text))
    nothing = [{"occupation": ""}]
    assert torch.equal(retriever.queries(histories=[["50"]], texts=nothing), retriever.queries(histories=[["50"]]))
    with pytest.raises(RequestError, match="text: a row has no text in occupation"):
        retriever.queries(texts=nothing)
    with pytest.raises(RequestError, match="texts: those of users are in the folder"):
        retriever.queries(users=[retriever.users[0].as_py()], texts=text)
    with pytest.raises(RequestError, match="texts: 1 for 2 rows"):
        retriever.queries(histories=[["50"], ["172"]], texts=text)
    with pytest.raises(RequestError, match="recommend takes users, or what is known of visitors"):
        Retriever.load(served("sequences")).recommend()


def test_commands_and_files(served: Callable[..., Path], in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = served("ids")
    (in_tmp / "new.csv").write_text('item,movie_title\nn1,Star Wars II\nn2,"Net, The"\n')
    (in_tmp / "asked.csv").write_text("user,occupation\nx,writer\ny,none of those\n")
    retriever = Retriever.load(folder)
    n_items = len(retriever.catalogue) + 2
    words = ["recommend", f"--model={folder}", f"--k={n_items}", "--new_items=new.csv"]
    assert main([*words, "--text=occupation=writer"]) == 0
    assert " n1 " in capsys.readouterr().out
    assert main([*words, "--input=asked.csv", "--output=top.csv", "--show_progress=false"]) == 0
    rows = (in_tmp / "top.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * n_items
    retriever.add_items(["n1", "n2"], [{"movie_title": "Star Wars II"}, {"movie_title": "Net, The"}])
    first = retriever.recommend(texts=[{"occupation": "writer"}], k=1).items[0][0]
    assert rows[1].split(",")[2].strip('"') == first
    card = (folder / "README.md").read_text()
    assert "texts=[{'occupation': '...'}]" in card
    assert "add_items" in card
    assert json.loads((folder / "manifest.json").read_text())["item_texts"]["texts"][0]["buckets"] == 512


BAD = [
    ("ids", ["--text=occupation="], "text: a row has no text in occupation, and nothing else is known of it"),
    (
        "ids",
        ["--text=occupaton=writer"],
        "text: the model reads occupation, and no occupaton - did you mean occupation?",
    ),
    ("ids", ["--text=writer"], "text: 'writer' among 'writer', once name=value for each"),
    ("ids", ["--history=50", "--text=occupation=writer"], "knows users by their ids, not by histories"),
    ("ids", ["--users=1", "--text=occupation=writer"], "--text is of a visitor: the folder has it of users"),
    ("sequences", ["--history=50", "--text=a=b"], "text: the model reads no texts of users, leave it out"),
    ("sequences", ["--text=a=b"], "text: the model reads no texts of users, leave it out"),
    ("ids", ["--text=occupation=writer", "--new_items=no.csv"], "no.csv has no column 'movie_title': found item"),
    ("ids", ["--text=occupation=writer", "--new_items=none.csv"], "none.csv: a row has no item"),
    ("ids", ["--text=occupation=writer", "--new_items=empty.csv"], "new items: a row has no text in movie_title"),
    ("ids", ["--text=occupation=writer", "--new_items=twice.csv"], "new items: 'a' is in the catalogue already"),
    ("ids", ["--input=half.csv", "--output=top.csv"], "text: a row has no text in occupation"),
]


@pytest.mark.parametrize(("form", "words", "message"), BAD, ids=str)
def test_bad_requests(
    served: Callable[..., Path],
    in_tmp: Path,
    capsys: pytest.CaptureFixture[str],
    form: str,
    words: list[str],
    message: str,
) -> None:
    files = {"no": "item\na\n", "none": "item,movie_title\n,x\n", "empty": "item,movie_title\na,\n"}
    files |= {"twice": "item,movie_title\na,x\na,y\n", "half": "user,occupation\na,writer\nb,\n"}
    for name, content in files.items():
        (in_tmp / f"{name}.csv").write_text(content)
    folder = served(form)
    capsys.readouterr()
    assert main(["recommend", f"--model={folder}", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_model_without_texts_takes_no_new_items(served: Callable[..., Path], tmp_path: Path) -> None:
    retriever = Retriever.load(served("histories"))
    retriever._item_encoder = None
    with pytest.raises(RequestError, match=r"TwoTowerLogQ reads no texts of items; train it with --item_text"):
        retriever.add_items(["n1"], [{"movie_title": "x"}])

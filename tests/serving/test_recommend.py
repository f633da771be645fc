"""The commands: a few users on the screen, files of them, and bad requests in one line."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_logq.cli import main
from recbole_logq.errors import RequestError
from recbole_logq.serving import Retriever, recommend
from recbole_logq.serving.recommend import recommend_file
from recbole_logq.serving.tokens import split_tokens

pytestmark = pytest.mark.slow
Exported = Callable[[str], Path]


def test_users_and_a_visitor_on_the_screen(
    exported: Exported, checkpoint: Callable[[str], str], in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = exported("sasrec")
    retriever = Retriever.load(folder)
    users = retriever.users.to_pylist()[:2]
    assert main(["recommend", f"--model={folder}", f"--users={','.join(users)}", "--k=3"]) == 0
    shown = capsys.readouterr().out
    found = retriever.recommend(users, k=3)
    for text in (*users, *found.items[0], *found.items[1], f"{found.scores[1, 2]:.4f}"):
        assert text in shown
    assert (found.titles or [[]])[0][0][:9] in shown
    # From the checkpoint itself, which knows everything up to now.
    assert main(["recommend", f"--model={checkpoint('sasrec')}", "--history=50, 172", "--k=2"]) == 0
    shown = capsys.readouterr().out
    for item in retriever.recommend(histories=[["50", "172"]], k=2).items[0]:
        assert item in shown


def test_tokens_are_text_and_may_hold_commas() -> None:
    assert split_tokens('1, 007,"City of Lost Children, The (1995)",true') == [
        "1",
        "007",
        "City of Lost Children, The (1995)",
        "true",
    ]
    with pytest.raises(RequestError, match="cannot read"):
        split_tokens('"open')
    with pytest.raises(RequestError, match="an empty place between commas"):
        split_tokens("949000000,,950000000")
    assert [split_tokens(text) for text in ("", " ", ",")] == [[], [], []]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_in_batches_is_all_rows_at_once(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(recommend, "ROWS", 4)  # forty-five users make twelve batches
    sizes = []
    original = Retriever.recommend

    def watched(self: Retriever, users: list[str], **options: Any) -> Any:
        sizes.append(len(users))
        return original(self, users, **options)

    monkeypatch.setattr(Retriever, "recommend", watched)
    retriever = Retriever.load(exported("ids"))
    users = retriever.users.to_pylist()[::-1]
    source, target = tmp_path / f"users.{kind}", tmp_path / f"top.{kind}"
    table = pa.table({"age": range(len(users)), "user": users})
    pa.csv.write_csv(table, source) if kind == "csv" else pq.write_table(table, source)
    assert recommend_file(retriever, source, target, k=5, exclude_history=True) == len(users)
    assert max(sizes) == 4
    expected = original(retriever, users, k=5, exclude_history=True).to_table(users)
    found = pq.read_table(target) if kind == "parquet" else pa.csv.read_csv(target)
    for name in ("user", "item", "title"):
        assert found[name].cast(pa.string()).to_pylist() == expected[name].to_pylist()
    assert found["rank"].to_pylist() == expected["rank"].to_pylist()
    assert found["score"].to_pylist() == pytest.approx(expected["score"].to_pylist(), rel=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == [target.name, source.name]  # nothing else is left


@pytest.mark.parametrize("as_list", [True, False])
def test_a_file_of_visitors(exported: Exported, tmp_path: Path, as_list: bool) -> None:
    histories = [["50"], ["1", "172"]]
    column = histories if as_list else [",".join(one) for one in histories]
    pq.write_table(pa.table({"user": ["x", "y"], "history": column}), tmp_path / "in.parquet")
    retriever = Retriever.load(exported("sasrec"))
    recommend_file(retriever, tmp_path / "in.parquet", tmp_path / "out.csv", k=3)
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as lines:
        found = [row["item"] for row in csv.DictReader(lines)]
    assert found == [item for row in retriever.recommend(histories=histories, k=3).items for item in row]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--users=nobody"], "no user 'nobody' among the 45"),
        (["--users=,"], "--users is empty"),
        (["--history=50,nothing"], "no item 'nothing' in the catalogue"),
        (["--history=,"], "a visitor has an empty history"),
        (["--users=1", "--k=0"], "k=0: a whole number"),
        (["--users=1", "--k=100000"], "k=100000: a whole number from 1 to the"),
        (["--users=1", "--k=ten"], "k='ten': a whole number"),
        (["--users=1", "--k=2.5"], "k=2.5: a whole number"),
        (["--users=1", "--index=hnsw"], "has exact, and exact search always works"),
        (["--users=1", "--index_options.ef_search=9"], "unknown setting index_options.ef_search"),
        (["--users=1", "--exclude_history=maybe"], "exclude_history='maybe': true or false"),
        (["--users=1", "--output=top.csv"], "--output is for --input"),
        (["--users=1", "--input=users.csv", "--output=top.csv"], "found --input and --users"),
        ([], "found none"),
        (["--users=1", "--items=50"], "found --items and --users"),
        (["--items=nothing"], "no item 'nothing' in the catalogue"),
        (["--items=,"], "--items is empty"),
        (["--items=50", "--k=100000"], "k=100000: a whole number from 1 to the"),
        (["--items=50", "--by=users"], "by='users': items, queries"),
        (["--users=1", "--by=items"], "--by is for --items"),
        (["--items=50", "--exclude_history=true"], "--items has no user, and an item itself is left out anyway"),
        (["--items=50", "--context=hour=12"], "--context is of a user's request, and --items has no user"),
        (["--items=50", "--output=top.csv"], "--output is for --input"),
        (["--users=1", "--kk=3"], "unknown setting kk - did you mean k?"),
        (["--input=users.csv"], "--input needs --output"),
        (["--input=none.csv", "--output=top.csv"], "no such file"),
        (["--input=users.csv", "--output=no/folder/top.csv"], "cannot write there"),
        (["--input=users.csv", "--output=top.json"], "a file named .csv or .parquet"),
        (["--input=users.csv", "--output=users.csv"], "is the input"),
        (["--input=other.csv", "--output=top.csv"], "no column 'user': found name"),
        (["--input=unknown.csv", "--output=top.csv"], "no user 'nobody'"),
        (["--input=empty.csv", "--output=top.csv"], "has no rows"),
        (["--input=items.csv", "--output=top.csv"], "no item 'nothing' in the catalogue"),
        (["--input=items.csv", "--output=top.csv", "--exclude_history=true"], "are items, which have no user, and an"),
        (["--input=users.csv", "--output=top.csv", "--by=items"], "--by says what stands for an item, and users.csv"),
        (["--input=none.parquet", "--output=top.csv"], "none.parquet is not a readable Parquet file"),
        (["--model=none", "--users=1"], "no folder at none"),
        (["--model=users.csv", "--users=1"], "users.csv is a file"),
        (["--model=none.pth", "--users=1"], "no folder at none.pth"),
        (["--model=broken.pth", "--users=1"], "broken.pth is damaged or not a checkpoint"),
    ],
    ids=str,
)
def test_bad_requests(
    exported: Exported, in_tmp: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    user = Retriever.load(exported("sasrec"), verify=False).users[0].as_py()
    contents = {"users.csv": f"user\n{user}\n", "other.csv": "name\n1\n", "unknown.csv": f"user\n{user}\nnobody\n"}
    contents |= {"items.csv": "item\n50\nnothing\n"}
    contents |= {"empty.csv": "user\n", "none.parquet": "no parquet", "broken.pth": "no checkpoint"}
    contents["top.csv"] = "user,rank,item,score\nwho was there before,1,x,0.5\n"
    for name, text in contents.items():
        (in_tmp / name).write_text(text)
    model = [] if any(word.startswith("--model=") for word in words) else [f"--model={exported('sasrec')}"]
    words = [f"--users={user}" if word == "--users=1" else word for word in words]
    capsys.readouterr()  # of the training, where this is the first test of that folder
    quiet = ["--show_progress=false"] if any(word.startswith("--input=") for word in words) else []
    assert main(["recommend", *model, *words, *quiet]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert {path.name: path.read_text() for path in in_tmp.iterdir()} == contents  # nothing new, nothing changed


def test_a_file_of_users_and_items_is_one_of_users(
    exported: Exported, in_tmp: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (in_tmp / "both.csv").write_text("item,user\n50,50\n")
    words = ["recommend", f"--model={exported('sasrec')}", "--input=both.csv", "--output=top.csv"]
    assert main([*words, "--show_progress=false"]) == 2
    # A warning goes where logging sends it, which an earlier test of the process may have set.
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert "no user '50'" in error
    assert "both.csv: columns that are not read: item" in caplog.text
    assert [path.name for path in in_tmp.iterdir()] == ["both.csv"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "set --checkpoint=FILE"),
        (["--checkpoint=none.pth"], "set --folder=FOLDER"),
        (["--checkpoint=none.pth", "--folder=out"], "no checkpoint at none.pth"),
        (["--checkpoint=a.txt", "--folder=out"], "a.txt is damaged or not a checkpoint"),
        (["--checkpoint=a.txt", "--folder=out", "--index=hsnw"], "did you mean hnsw"),
        (["--checkpoint=a.txt", "--folder=out", "--index_options.ef=3", "--index=hnsw"], "index_options.ef"),
        (["--checkpoint=a.txt", "--folder=out", "--history=test"], "train, valid or all"),
        (["--checkpoint=a.txt", "--folder=out", "--overwrite=perhaps"], "overwrite='perhaps': true or false"),
        (["--checkpoint=a.txt", "--folder=."], ". holds other files than an export"),
        (["--checkpoint=a.txt", "--folder=a.txt"], "a.txt is a file"),
        (["--checkpoint=a.txt", "--floder=out"], "unknown setting floder - did you mean folder?"),
        (["--checkpoint=CHECKPOINT", "--folder=out", "--item_title_field=colour"], "item_title_field=colour: cut.item"),
        (["--checkpoint=CHECKPOINT", "--folder=out", "--data_path=."], "cut"),
    ],
    ids=str,
)
def test_bad_exports(
    checkpoint: Callable[[str], str], in_tmp: Path, capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    file = checkpoint("ids") if "CHECKPOINT" in str(words) else ""
    capfd.readouterr()
    (in_tmp / "a.txt").write_text("mine")
    assert main(["export", *(word.replace("CHECKPOINT", file) for word in words)]) == 2
    error = capfd.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert [path.name for path in in_tmp.iterdir()] == ["a.txt"]
    assert (in_tmp / "a.txt").read_text() == "mine"


def test_users_by_id_have_no_visitors(exported: Exported) -> None:
    with pytest.raises(RequestError, match="knows users by their ids"):
        Retriever.load(exported("ids")).recommend(histories=[["50"]])


def test_a_file_of_items_on_the_command_line(
    exported: Exported, in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (in_tmp / "items.csv").write_text("item\n50\n172\n")
    words = ["--input=items.csv", "--output=top.csv", "--k=2", "--show_progress=false"]
    assert main(["recommend", f"--model={exported('sasrec')}", *words]) == 0
    assert "top.csv: the 2 items most like each of 2" in capsys.readouterr().out
    with (in_tmp / "top.csv").open(encoding="utf-8", newline="") as lines:
        rows = [(row["similar_to"], row["item"]) for row in csv.DictReader(lines)]
    similar = Retriever.load(exported("sasrec")).similar(["50", "172"], k=2).items
    assert rows == [(name, item) for name, items in zip(("50", "172"), similar, strict=True) for item in items]

"""What a request knows beside its user, from the command line, a file and Python."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch

from recbole_logq.cli import main
from recbole_logq.errors import RequestError
from recbole_logq.serving import Retriever
from recbole_logq.serving.context import ContextColumns
from recbole_logq.serving.recommend import recommend_file
from recbole_logq.serving.tokens import split_context

Exported = Callable[[str], Path]
COLUMNS = [{"name": "hour", "type": "float32"}, {"name": "device", "type": "token"}]
READ = ContextColumns(COLUMNS, {"device": ["web", "tv", "7"]})


def test_values_are_numbers_and_ids() -> None:
    found = READ.read(
        [{"hour": 3, "device": "tv"}, {"device": 7, "hour": "12.5"}, {"hour": None, "device": ""}], rows=3
    )
    assert found["device"].tolist() == [2, 3, 0]
    assert found["hour"].dtype == torch.float32
    assert found["hour"].tolist()[:2] == [3.0, 12.5]
    assert math.isnan(found["hour"][2])
    assert ContextColumns([], {}).read(None, rows=2) == {}


@pytest.mark.parametrize(
    ("contexts", "message"),
    [
        (None, "the model reads hour, device of a request"),
        ([{"hour": 3}], "device is missing"),
        ([{"hour": 3, "device": "web", "decive": "tv"}], "no decive - did you mean device?"),
        ([{"hour": 3, "device": "wbe"}], "device=wbe is no token of the training - did you mean web?"),
        ([{"hour": "noon", "device": "web"}], "hour=noon is no number"),
        ([{"hour": math.inf, "device": "web"}], "hour=inf is no number"),
        ([{"hour": "nan", "device": "web"}], "hour=nan is no number"),
        ([{"hour": "1e39", "device": "web"}], "hour=1e39 is no number"),
        ([{"hour": [3], "device": "web"}], "is no number"),
        ({"hour": 3, "device": "web"}, "one mapping of names to values a row"),
        (["hour=3"], "one mapping of names to values a row"),
        ([{"hour": 3, "device": "web"}] * 2, "2 contexts for 1 rows"),
    ],
)
def test_wrong_contexts_are_one_line(contexts: Any, message: str) -> None:
    with pytest.raises(RequestError) as error:
        READ.read(contexts, rows=1)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_context_as_text() -> None:
    assert split_context("hour=12, device=web") == {"hour": "12", "device": "web"}
    assert split_context('"device=a,b",hour=') == {"device": "a,b", "hour": ""}
    for text in ("hour", "hour=1,hour=2"):
        with pytest.raises(RequestError, match="once name=value for each"):
            split_context(text)


@pytest.mark.slow
def test_a_context_changes_what_is_recommended(exported: Exported) -> None:
    retriever = Retriever.load(exported("context-history"))
    assert [*retriever.context.types.items()] == [("hour", "float32"), ("device", "token")]
    contexts: list[dict[str, Any]] = [
        {"hour": 3, "device": "web"},
        {"hour": 20, "device": "web"},
        {"hour": 3, "device": "tv"},
        {"hour": None, "device": None},
    ]
    queries = retriever.queries(histories=[["50", "172"]] * 4, contexts=contexts)
    assert torch.cdist(queries, queries)[~torch.eye(4, dtype=torch.bool)].min() > 1e-3
    # Row by row, in any order, as known user or visitor.
    for row, context in enumerate(contexts):
        alone = retriever.queries(histories=[["50", "172"]], contexts=[context])
        torch.testing.assert_close(alone[0], queries[row], rtol=1e-5, atol=1e-6)
    user, start, end = retriever.users[3].as_py(), *retriever._offsets[3:5].tolist()
    tokens = retriever.catalogue["item"].to_pylist()
    history = [tokens[item - 1] for item in retriever._history[start:end].tolist()]
    known = retriever.recommend(users=[user], contexts=contexts[:1])
    assert known.items == retriever.recommend(histories=[history], contexts=contexts[:1]).items


@pytest.mark.slow
def test_on_the_screen_and_from_a_file(exported: Exported, in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = exported("context-ids")
    retriever = Retriever.load(folder)
    users = retriever.users.to_pylist()[:3]
    contexts: list[dict[str, Any]] = [{"hour": 3.5, "device": "web"}] * 2 + [{"hour": None, "device": None}]
    words = [f"--model={folder}", f"--users={users[0]}", "--context=hour=3.5,device=web", "--k=3"]
    assert main(["recommend", *words]) == 0
    shown = capsys.readouterr().out
    expected = retriever.recommend(users, k=3, contexts=contexts)
    for score in expected.scores[0].tolist():
        assert f"{score:.4f}" in shown
    columns: dict[str, Any] = {"user": users, "device": ["web", "web", None], "hour": [3.5, 3.5, None]}
    pq.write_table(pa.table(columns), "in.parquet")
    pa.csv.write_csv(pa.table(columns), "in.csv")
    for name in ("in.parquet", "in.csv"):
        assert recommend_file(retriever, name, "out.parquet", k=3) == 3
        found = pq.read_table("out.parquet")
        assert found["item"].to_pylist() == [item for row in expected.items for item in row]
        torch.testing.assert_close(torch.tensor(found["score"].to_pylist()), torch.tensor(expected.scores.flatten()))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "A request has a context: hour (float32), device (token)." in card
    example = next(line for line in card.splitlines() if "contexts=[{" in line)
    scope: dict[str, Any] = {"retriever": retriever}
    exec(example, scope)  # what the card says works
    assert scope["found"].ids.shape == (1, 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--users=USER"], "context: the model reads hour, device of a request"),
        (["--users=USER", "--context=hour=3"], "context: device is missing"),
        (["--users=USER", "--context=hour=3,device=radio"], "device=radio is no token of the training"),
        (["--users=USER", "--context=noon"], "once name=value for each"),
        (["--users=USER", "--context=[1, 2]"], "once name=value for each"),
        (["--input=in.csv", "--output=out.csv"], "in.csv has no column 'hour', which the model reads of a request"),
        (["--input=in.csv", "--output=out.csv", "--context=hour=3,device=tv"], "--context is for --users and"),
        (["--input=bad.csv", "--output=out.csv"], "context: hour=noon is no number"),
    ],
    ids=str,
)
def test_bad_requests(
    exported: Exported, in_tmp: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    folder = exported("context-ids")
    user = Retriever.load(folder, verify=False).users[0].as_py()
    capsys.readouterr()  # of the training, where this is the first test of that folder
    Path("in.csv").write_text(f"user,device\n{user},web\n")
    Path("bad.csv").write_text(f"user,device,hour\n{user},web,3\n{user},web,noon\n")
    assert main(["recommend", f"--model={folder}", *(word.replace("USER", user) for word in words)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not Path("out.csv").exists()


@pytest.mark.slow
def test_a_damaged_context_is_one_line(exported: Exported, tmp_path: Path) -> None:
    folder = shutil.copytree(exported("context-ids"), tmp_path / "copy")
    file, manifest = folder / "context.parquet", json.loads((folder / "manifest.json").read_text("utf-8"))
    content = file.read_bytes()
    file.write_bytes(content[:-9] + bytes(9))
    with pytest.raises(RequestError, match=r"context\.parquet is not the file that was exported"):
        Retriever.load(folder)
    file.unlink()
    with pytest.raises(RequestError, match=r"has no context\.parquet"):
        Retriever.load(folder)
    file.write_bytes(content)
    manifest["columns"][-1]["type"] = "int8"
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(RequestError, match="is damaged: export again"):
        Retriever.load(folder)


@pytest.mark.slow
def test_a_model_without_context_takes_none(exported: Exported) -> None:
    with pytest.raises(RequestError, match="context: the model reads none, leave it out"):
        Retriever.load(exported("sasrec")).recommend(histories=[["50"]], contexts=[{"hour": 3}])

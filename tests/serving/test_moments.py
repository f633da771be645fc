"""The time of a request from the command line to the query, and times that make no sense."""

from __future__ import annotations

import csv
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.data.dataset.event_times import unit_of
from recbole_logq.errors import RequestError
from recbole_logq.serving import Retriever
from recbole_logq.serving.export import export
from recbole_logq.serving.moments import Moments

Exported = Callable[[str], Path]


def test_units_by_hand() -> None:
    assert [unit_of(x) for x in (893_286_638.0, 1.7e12, 1.7e15)] == ["seconds", "milliseconds", "microseconds"]
    assert [unit_of(x) for x in (20_000.0, 5.0, -1.0, 1e10)] == [None] * 4


def test_moments_by_hand() -> None:
    known = Moments(True, True, "milliseconds")
    found = known.of_requests([5, "7.5", "1970-01-02", "1970-01-01T00:00:01+00:00"], 4)
    assert found is not None
    assert found.tolist() == [5.0, 7.5, 86_400_000.0, 1000.0]
    now = known.of_requests(None, 2)
    assert now is not None
    assert abs(float(now[0]) / 1000 - time.time()) < 60
    assert known.of_requests("3", 2).tolist() == [3.0, 3.0]  # type: ignore[union-attr]
    assert known.of_histories([[1, "2"], []], [["a", "b"], []]).tolist() == [1.0, 2.0]  # type: ignore[union-attr]
    dates = [datetime(1998, 3, 1, tzinfo=UTC), np.datetime64("1998-03-01T00:00:00", "ns"), pd.Timestamp("1998-03-01")]
    assert known.of_requests(dates, 3).tolist() == [888_710_400_000.0] * 3  # type: ignore[union-attr]
    for several in (np.array([1.0, 2.0]), pd.Series([1, 2]), torch.tensor([1, 2]), (1, 2)):
        assert known.of_requests(several, 2).tolist() == [1.0, 2.0]  # type: ignore[union-attr]
        assert known.of_histories([several], [["a", "b"]]).tolist() == [1.0, 2.0]  # type: ignore[union-attr, list-item]
    without_unit = Moments(True, True, None)
    assert without_unit.of_requests([1.7e12, "20000208"], 2).tolist() == [1.7e12, 20_000_208.0]  # type: ignore[union-attr]
    nothing = Moments(False, False, None)
    assert nothing.of_requests(None, 2) is None
    assert nothing.of_histories(None, [["a"]]) is None


@pytest.mark.parametrize(
    ("moments", "at", "message"),
    [
        (Moments(True, False, "seconds"), 5, "does not read when it is asked"),
        (Moments(True, True, None), None, "set --at=TIME"),
        (Moments(True, True, None), "2020-01-01", "is a date"),
        (Moments(True, True, "seconds"), "tomorrow", "'tomorrow' is no time"),
        (Moments(True, True, "seconds"), float("nan"), "nan is no time"),
        (Moments(True, True, "seconds"), True, "True is no time"),
        (Moments(True, True, "seconds"), 1e300, "is no time"),
        (Moments(True, True, "seconds"), 10**400, "beyond float64 is no time"),
        (Moments(True, True, "seconds"), 950_000_000_000, "in milliseconds, and the data counts seconds since 1970"),
        (Moments(True, True, "milliseconds"), "950000000", "in seconds, and the data counts milliseconds since 1970"),
        (Moments(True, True, "seconds"), "20000208", "write a date as YYYY-MM-DD"),
        (Moments(True, True, "seconds"), [1, 2, 3], "3 times for 2 rows"),
    ],
)
def test_times_that_make_no_sense(moments: Moments, at: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        moments.of_requests(at, 2)


def test_times_of_histories_that_make_no_sense() -> None:
    known = Moments(True, False, "seconds")
    for times, message in (
        (None, "give --times"),
        ([[1]], "1 lists for 2"),
        ([[1, 2], [3]], "2 for the 1 items"),
        ([1, 2], "1 for history 1 is no list"),
        (["1", "2"], "'1' for history 1 is no list"),
        (5, "5 is no list"),
        ([[1], [1.7e12]], "in milliseconds, and the data counts seconds since 1970"),
    ):
        with pytest.raises(RequestError, match=message):
            known.of_histories(times, [["a"], ["b"]])  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="reads no times"):
        Moments(False, False, None).of_histories([[1]], [["a"]])


@pytest.mark.slow
def test_times_of_a_folder_that_are_damaged(exported: Exported, tmp_path: Path) -> None:
    shutil.copytree(exported("times"), tmp_path / "folder")
    file = tmp_path / "folder" / "times.safetensors"
    times = load_file(file)["times"]
    times[3] = torch.nan
    save_file({"times": times}, file)
    with pytest.raises(RequestError, match="is not the file that was exported"):
        Retriever.load(tmp_path / "folder")
    with pytest.raises(RequestError, match="times has values that are no finite numbers"):
        Retriever.load(tmp_path / "folder", verify=False)


@pytest.mark.slow
def test_a_folder_asked_at_the_targets_time_is_the_test(
    exported: Exported,
    checkpoint: Callable[[str], str],
    in_tmp: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    from recbole_logq.experiment.restore import restore_own

    retriever = Retriever.load(exported("times"))
    restored = restore_own(checkpoint("times"), use_gpu=False)
    test, tokens = restored.parts[2], restored.parts[2].field2id_token["user_id"]
    rows = test[torch.arange(len(test))]
    users = [str(tokens[user]) for user in rows["user_id"].tolist()]
    moments = rows["timestamp"].tolist()
    with torch.no_grad():
        expected = restored.network.eval().queries(rows)
    torch.testing.assert_close(retriever.queries(users, at=moments), expected, rtol=1e-5, atol=1e-5)
    later = retriever.queries(users, at=[moment + 3e6 for moment in moments])
    assert float((later - expected).abs().max()) > 1e-3
    # A visitor with the same history at the same times.
    had = [str(restored.parts[2].field2id_token["item_id"][item]) for item in rows["item_id_list"][0].tolist() if item]
    visitor = retriever.queries(histories=[had], times=[rows["__times"][0, 1 : len(had) + 1].tolist()], at=moments[0])
    if len(had) < 10:  # else the gap before the first of them is not known of a visitor
        torch.testing.assert_close(visitor, expected[:1], rtol=1e-5, atol=1e-5)
    # On the screen, from files, by default now.
    folder = exported("times")
    assert main(["recommend", f"--model={folder}", f"--users={users[0]}", "--k=3", f"--at={moments[0]}"]) == 0
    shown = capsys.readouterr().out
    for item in retriever.recommend(users[:1], k=3, at=moments[0]).items[0]:
        assert item in shown
    words = [f"--history={had[0]},{had[1]}", "--times=893286638,1998-04-30", "--k=2", "--at=1998-05-01"]
    assert main(["recommend", f"--model={folder}", *words]) == 0
    pq.write_table(pa.table({"user": users[:2], "time": [str(moments[0]), None]}), "in.parquet")
    assert main(["recommend", f"--model={folder}", "--input=in.parquet", "--output=out.csv", "--k=2"]) == 0
    with Path("out.csv").open(encoding="utf-8", newline="") as lines:
        found = [row["item"] for row in csv.DictReader(lines)]
    assert found[:2] == retriever.recommend(users[:1], k=2, at=moments[0]).items[0]
    assert found[2:] == retriever.recommend(users[1:2], k=2).items[0]
    capsys.readouterr()
    pq.write_table(pa.table({"user": ["x"], "history": [had[0]]}), "visitors.parquet")
    for words, message in (
        (["--history=50"], "give --times=T1,T2"),
        ([f"--users={users[0]}", "--times=5"], "--times is for --history"),
        ([f"--users={users[0]}", "--at=soon"], "'soon' is no time"),
        (["--input=visitors.parquet", "--output=out2.csv"], "no column 'times'"),
        (["--input=in.parquet", "--output=out2.csv", "--at=5"], "leave one of them out"),
    ):
        assert main(["recommend", f"--model={folder}", *words]) == 2
        assert message in capsys.readouterr().err
    pq.write_table(pa.table({"user": users[:2], "times": ["5", "none"]}), "unread.parquet")
    assert main(["recommend", f"--model={folder}", "--input=unread.parquet", "--output=out3.csv", "--k=2"]) == 0
    assert "columns that are not read: times" in caplog.text
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "knows when it is asked" in card
    assert "seconds since 1970" in card
    assert "request_time known" in card


@pytest.mark.slow
def test_two_towers_asked_at_the_targets_time_are_the_test(
    exported: Exported, checkpoint: Callable[[str], str], in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from recbole_logq.experiment.restore import restore_own

    folder = exported("towers-times")
    retriever, restored = Retriever.load(folder), restore_own(checkpoint("towers-times"), use_gpu=False)
    rows = next(iter(restored.loaders[2]))[0]
    users = [str(token) for token in restored.parts[2].id2token("user_id", rows["user_id"])]
    moments = rows["__asked"].tolist()
    with torch.no_grad():
        expected = restored.network.eval().queries(rows)
    torch.testing.assert_close(retriever.queries(users, at=moments), expected, rtol=1e-5, atol=1e-5)
    for later in (3_600.0, 86_400.0):  # another hour, another weekday
        moved = retriever.queries(users, at=[moment + later for moment in moments])
        assert float((moved - expected).abs().amax(1).min()) > 1e-4
    assert main(["recommend", f"--model={folder}", f"--users={users[0]}", "--k=3", f"--at={moments[0]}"]) == 0
    shown = capsys.readouterr().out
    assert all(item in shown for item in retriever.recommend(users[:1], k=3, at=moments[0]).items[0])
    # An empty history is the same alone as beside others.
    empty, _ = retriever.queries(histories=[[], ["50"]], times=[[], [moments[0]]], at=moments[0])
    torch.testing.assert_close(retriever.queries(histories=[[]], times=[[]], at=moments[0])[0], empty)
    words = ["--history=50,181", "--times=893286638,1998-04-30", "--k=2"]
    assert main(["recommend", f"--model={folder}", *words]) == 0
    assert "knows when it is asked" in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_times_without_a_unit(in_tmp: Path, write_dataset: Callable[..., Path]) -> None:
    rows = [(f"u{user}", f"i{(place * 3 + user) % 9}", place * 7 + user) for user in range(9) for place in range(6)]
    given: dict[str, Any] = {"data_path": str(write_dataset("cut", rows)), "epochs": 1, "show_progress": False}
    given |= {"n_layers": 1, "embedding_size": 8, "MAX_ITEM_LIST_LENGTH": 4, "topk": [2], "valid_metric": "MRR@2"}
    trained = run("SASRecLogQ", "cut", config_dict={**given, "time": "both", "request_time": "known"})
    export(trained["checkpoint"], in_tmp / "folder")
    card = (in_tmp / "folder" / "README.md").read_text(encoding="utf-8")
    assert "no count from 1970 on; it **knows when it is asked** (`at`, or a column `time`; it has no default)" in card
    retriever = Retriever.load(in_tmp / "folder")
    with pytest.raises(RequestError, match="now is not known"):
        retriever.recommend(users=["u1"], k=2)
    assert len(retriever.recommend(users=["u1"], k=2, at=50).items[0]) == 2

"""No output takes the place of what is none: datasets, checkpoints, exports, settings, inputs, somebody's files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_logq.cli import main
from recbole_logq.commands.outputs import AUDIT, LAB, RESULT, check_json, check_page, check_table
from recbole_logq.errors import RequestError

RUN = ["--model=TwoTowerLogQ", "--dataset=tiny", "--data_path=data"]
AUDITED = ["audit", "--dataset=tiny", "--data_path=data"]
COMPARE = ["compare", "--models=Pop", "--dataset=tiny", "--data_path=data", "--seeds=1"]
SWEEP = ["sweep", "--config_files=sweep.yaml"]
SPACE = "{model: BPR, dataset: tiny, data_path: data, space: {embedding_size: [8, 16]}}"
RESULT_OF_RUN = {"test_result": {}, "fingerprint": {}, "protocol": {}}


@pytest.fixture
def place(in_tmp: Path) -> Path:
    """A folder with a dataset, a checkpoint, an export, settings, inputs and another program's folder."""
    rows = "".join(f"u{n % 20}\ti{n % 7}\t{n}\n" for n in range(140))
    texts = {
        "data/tiny/tiny.inter": f"user_id:token\titem_id:token\ttimestamp:float\n{rows}",
        "data/tiny/tiny.json": json.dumps({"items": [1, 2]}),
        "own.pth": "weights",
        "served/manifest.json": json.dumps({"format": "recbole_logq export", "files": {}}),
        "served/config.json": json.dumps({"model": "BPR"}),
        "settings.json": json.dumps({"epochs": 3}),
        "sweep.yaml": SPACE,
        "users.csv": "user\nu1\n",
        "in.csv": "user,item,time\nu1,i1,5\nu2,i2,6\n",
        "index.html": "<!doctype html>\n<html><body>mine</body></html>",
        "app/manifest.json": json.dumps({"name": "an app"}),
        "app/index.js": "x",
        "mixed/manifest.json": json.dumps({"format": "recbole_logq export", "files": {}}),
        "mixed/thesis.tex": "x",
        "reports/report.html": "mine",
    }
    for name, text in texts.items():
        (in_tmp / name).parent.mkdir(parents=True, exist_ok=True)
        (in_tmp / name).write_text(text)
    pq.write_table(pa.table({"user": ["u1"], "history": [[1]]}), in_tmp / "served" / "users.parquet")
    (in_tmp / "link.json").symlink_to("data/tiny/tiny.json")
    (in_tmp / "link.inter").symlink_to("data/tiny/tiny.inter")
    (in_tmp / "dangling.json").symlink_to("nowhere/x.json")
    return in_tmp


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "words",
    [
        [*RUN, "--output=data/tiny/tiny.inter"],
        [*RUN, "--output=data/tiny/tiny.json"],
        [*RUN, "--output=./data/../data/tiny/tiny.json"],
        [*RUN, "--output=link.json"],
        [*RUN, "--output=dangling.json"],
        [*RUN, "--output=settings.json", "--config_files=settings.json"],
        [*RUN, "--nproc=2", "--output=served/manifest.json"],
        ["evaluate", "--checkpoint=own.pth", "--output=own.pth"],
        ["evaluate", "--checkpoint=own.pth", "--output=served/config.json"],
        ["evaluate", "--checkpoint=own.pth", "--output=/dev/null"],
        [*AUDITED, "--page=data/tiny/tiny.inter"],
        [*AUDITED, "--page=index.html"],
        [*AUDITED, "--output=served/config.json"],
        ["lab", "--items=50", "--page=own.pth"],
        ["lab", "--items=50", "--output=settings.json"],
        ["recommend", "--model=served", "--input=users.csv", "--output=users.csv"],
        ["recommend", "--model=served", "--input=users.csv", "--output=./data/../users.csv"],
        ["recommend", "--model=served", "--input=users.csv", "--output=served/users.parquet"],
        ["recommend", "--model=served", "--input=users.csv", "--output=in.csv"],
        ["convert", "--input=data/tiny/tiny.inter", "--dataset=tiny", "--data_path=data", "--overwrite=true"],
        ["convert", "--input=link.inter", "--dataset=tiny", "--data_path=data", "--overwrite=true"],
        ["convert", "--input=in.csv", "--dataset=tiny", "--data_path=data"],
        ["export", "--checkpoint=own.pth", "--folder=data/tiny", "--overwrite=true"],
        ["export", "--checkpoint=own.pth", "--folder=app", "--overwrite=true"],
        ["export", "--checkpoint=own.pth", "--folder=mixed", "--overwrite=true"],
        ["export", "--checkpoint=own.pth", "--folder=own.pth", "--overwrite=true"],
        [*COMPARE, "--folder=data/tiny"],
        [*COMPARE, "--folder=served"],
        [*COMPARE, "--folder=reports"],
        [*COMPARE, "--folder=own.pth"],
        [*SWEEP, "--folder=data/tiny"],
        [*SWEEP, "--folder=app"],
        [*SWEEP, "--folder=own.pth"],
    ],
    ids=" ".join,
)
def test_refused_and_nothing_is_touched(place: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(place)
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert "unexpected" not in said
    assert contents(place) == before


def test_an_earlier_output_of_the_same_kind_is_replaced(place: Path) -> None:
    for check, keys in (({"test_result": {}, "fingerprint": {}, "protocol": {}, "more": 1}, RESULT), ({}, AUDIT)):
        Path("out.json").write_text(json.dumps(check))
        check_json("output", "out.json", keys)
    Path("out.json").write_text("")
    check_json("output", "out.json", LAB)
    assert main([*AUDITED, "--output=a.json", "--page=a.html"]) == 0
    first = contents(place)
    assert main([*AUDITED, "--output=a.json", "--page=a.html"]) == 0
    assert contents(place) == first
    Path("top.csv").write_text('"user","rank","item","score","title"\n"u1",1,"i1",0.5,"a"\n')
    check_table("output", "top.csv")
    pq.write_table(pa.table({"user": ["u"], "rank": [1], "item": ["i"], "score": [0.5]}), "top.parquet")
    check_table("output", "top.parquet")


def test_an_earlier_output_of_another_command_is_not(place: Path) -> None:
    Path("run.json").write_text(json.dumps(RESULT_OF_RUN))
    for keys in (AUDIT, LAB):
        with pytest.raises(RequestError, match=r"run\.json is there and no earlier output"):
            check_json("output", "run.json", keys)


def test_a_hard_link_to_the_input_is_the_input(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("earlier.csv").write_text('"user","rank","item","score"\n"u1",1,"i1",0.5\n')
    os.link("earlier.csv", "same.csv")
    assert main(["recommend", "--model=served", "--input=earlier.csv", "--output=same.csv"]) == 2
    assert "same.csv is the input" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["out.txt", "out", "out.inter", "out.yaml"])
def test_a_name_of_another_kind_is_refused(place: Path, name: str) -> None:
    with pytest.raises(RequestError, match=r"a file named \.json"):
        check_json("output", name, RESULT)
    with pytest.raises(RequestError, match=r"a file named \.html"):
        check_page("page", name)

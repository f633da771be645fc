"""Every command is ended by TERM, by HUP, by KILL and by a full disk, and started again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from recbole_logq import children
from recbole_logq.cli import main

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="commands are forked off one process")
QUIET = ["--data_path=data", "--show_progress=false"]
RUN = ["--model=TwoTowerLogQ", "--dataset=tiny", *QUIET]
EVALUATE = ["evaluate", "--checkpoint=own.pth", *QUIET, "--state=ERROR"]
LAB = ["lab", "--items=50", "--counts=[8]", "--pools=40", "--estimators=CorrectedLogQ", "--show_progress=false"]
RECOMMEND = ["recommend", "--model=exported", "--input=users.csv", "--show_progress=false"]


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        words: Of its command line.
        pause: The function at whose first call it is ended: what is being written is there and not in its place.
        writes: What it is ended in, for the table.
        full: What a full disk keeps it from writing.
        limit: Bytes that are free there.
    """

    name: str
    words: list[str]
    pause: str
    writes: str
    full: str
    limit: int = 1000


COMMANDS = [
    Command("run", [*RUN, "--epochs=2", "--output=result.json"], "os.fsync", "its first checkpoint", "log/"),
    Command("evaluate", [*EVALUATE, "--output=again.json"], "os.fsync", "`--output`", "again.json", 300),
    Command(
        "audit", ["audit", "--dataset=tiny", "--data_path=data", "--output=a.json"], "os.fsync", "`--output`", "a.json"
    ),
    Command("lab", [*LAB, "--output=lab.json"], "os.fsync", "`--output`", "lab.json", 100),
    Command(
        "convert",
        ["convert", "--input=table.csv", "--dataset=mine", "--data_path=data"],
        "os.replace",
        "the dataset",
        "data/mine",
    ),
    Command(
        "export",
        ["export", "--checkpoint=own.pth", "--folder=served", "--data_path=data"],
        "numpy.save",
        "the folder",
        "served",
    ),
    Command("recommend", [*RECOMMEND, "--output=top.csv"], "os.fsync", "`--output`", "top.csv"),
]


@pytest.fixture(scope="module")
def forker() -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Runs one command after the other; everything is imported once."""
    command = [sys.executable, str(Path(__file__).with_name("forker.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None

        def ask(job: dict[str, Any]) -> dict[str, Any]:
            print(json.dumps({**job, "folder": str(job["folder"])}), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())  # type: ignore[union-attr]

        yield ask
        process.stdin.close()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Path:
    """A folder with whatever the commands need: a dataset, a checkpoint, an exported model, a table, users."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "data" / "tiny").mkdir(parents=True)
    (folder / "data" / "tiny" / "tiny.inter").write_text(tiny)
    (folder / "users.csv").write_text("user\n" + "".join(f"u{n}\n" for n in range(60)))
    rows = [line.split("\t") for line in tiny.splitlines()[1:]]
    (folder / "table.csv").write_text("user,item,time\n" + "".join(f"{u},{i},{t}\n" for u, i, _, t in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*RUN, "--epochs=1", "--state=ERROR", "--output=result.json"]) == 0
        shutil.copy(json.loads(Path("result.json").read_text())["checkpoint"], "own.pth")
        assert main(["export", "--checkpoint=own.pth", "--folder=exported", "--data_path=data"]) == 0
        for rest in ("saved", "log", "log_tensorboard"):
            shutil.rmtree(rest)
        Path("result.json").unlink()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: content for name, content in found.items() if not name.startswith(("log/", "log_tensorboard/"))}


def unfinished(folder: Path) -> list[str]:
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob(".*") if path.suffix in {".tmp", ".old", ".lock"}
    )


def plain(text: str, folder: Path) -> str:
    """Without the parts of names that are drawn by chance, and numbers of processes."""
    text = re.sub(r"\.[0-9a-f]{8}-\d+-[0-9a-f]{8}\.", ".….", text.replace(f"{folder}/", ""))
    return re.sub(r"-\d{8}-\d{6}-[0-9a-f]{6}|-\w{3}-\d\d-\d{4}_[\d-]+-[0-9a-f]{6}", "-…", text)


def one_line(found: dict[str, Any]) -> str:
    lines = [line for line in found["said"].splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, found["said"]
    assert found["said"].splitlines()[-1] == lines[0]
    assert "Traceback" not in found["said"]
    assert "Logging error" not in found["said"]
    assert "unexpected" not in lines[0]
    return lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_ended_in_every_way(
    command: Command, forker: Callable[[dict[str, Any]], dict[str, Any]], base: Path, tmp_path: Path, seen: Any
) -> None:
    answers = {}
    for end in ("TERM", "HUP", "KILL"):
        folder = tmp_path / end
        shutil.copytree(base, folder)
        before = contents(folder)
        job = {"words": command.words, "folder": folder}
        found = forker({**job, "pause": command.pause, "signal": end})
        assert found["met"], found
        assert found["left"] == []
        after = contents(folder)
        assert {name: after.get(name) for name in before} == before  # nothing of before is touched
        left = unfinished(folder)
        if end == "KILL":
            assert found["status"] == -9
            assert left
            killed = ", ".join(dict.fromkeys(f"`{plain(name, folder)}`" for name in left))
            again = forker(job)
            assert again["status"] == 0, again["said"]
            assert unfinished(folder) == []  # the next one has taken it away
            assert contents(folder).keys() > before.keys()
        else:
            answers[end] = plain(one_line(found), folder)
            assert found["status"] == 1
            assert left == []
            assert after == before
    assert answers["TERM"] == answers["HUP"]
    folder = tmp_path / "full"
    shutil.copytree(base, folder)
    before = contents(folder)
    found = forker({"words": command.words, "folder": folder, "limit": command.limit})
    line = one_line(found)
    assert found["status"] == 1
    assert command.full in line
    assert re.search("(File too large|not all of it was written); free some space", line)
    assert unfinished(folder) == []
    assert contents(folder) == before
    row = [command.writes, f"`{answers['TERM']}`", killed, "takes it away, ends well", f"`{plain(line, folder)}`"]
    seen("signals", f"`{command.name}`", *row)


@dataclass(frozen=True)
class Several:
    """A command that works in several processes.

    Attributes:
        words: Of its command line.
        when: The file that shows that all of them are at work.
        answer: What it says when it is ended.
        again: What the next start does; other tests hold that.
        full: What it says of a full disk; tried by hand.
    """

    name: str
    words: list[str]
    when: str
    answer: str
    again: str
    full: str


LONG = ["--epochs=100000", "--stopping_step=100000"]
SEVERAL = [
    Several(
        "run --nproc=2",
        [*RUN, *LONG, "--nproc=2"],
        "saved/*-last.pth",
        "go on with --resume=saved/",
        "`--resume` goes on",
        "`error: cannot write the checkpoint saved/TwoTowerLogQ-tiny-….pth: File too large; ...`",
    ),
    Several(
        "compare",
        ["compare", "--models=TwoTowerLogQ", "--dataset=tiny", "--data_path=data", "--seeds=2", "--folder=here", *LONG],
        "here/runs/*/saved/*-last.pth",
        "interrupted; the same command goes on with what is missing",
        "goes on with what is missing",
        "`error: no run ended well; the first says: cannot write log/ or log_tensorboard/: File too large; ...`",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("command", SEVERAL, ids=lambda command: command.name)
def test_all_processes_end(
    command: Several, forker: Callable[[dict[str, Any]], dict[str, Any]], base: Path, tmp_path: Path, seen: Any
) -> None:
    answers = []
    for end in ("TERM", "KILL"):
        folder = tmp_path / end
        shutil.copytree(base, folder)
        (folder / "range.test").write_text("learning_rate loguniform -8,-2\n")
        found = forker({"words": command.words, "folder": folder, "when": command.when, "signal": end})
        assert found["met"], found
        assert found["had"] >= 1
        assert found["left"] == []
        if end == "KILL":
            assert found["status"] == -9
        else:
            line = one_line(found)
            assert command.answer in line
            assert found["status"] == 1
            assert unfinished(folder) in ([], ["here/.lock"])
            answers.append(plain(line, folder))
    row = [f"training, {command.when.rpartition('/')[0]}/", f"`{answers[0]}`", "the checkpoints, no process"]
    seen("signals", f"`{command.name}`", *row, command.again, command.full)


@pytest.mark.slow
def test_a_killed_rank_is_said_once_and_ends_the_others(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "here")
    command = [sys.executable, "-m", "recbole_logq", *RUN, *LONG, "--nproc=2", "--state=ERROR"]
    environment = {**children.environment(), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path / "here", env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        while not list((tmp_path / "here" / "saved").glob("*-last.pth")) and process.poll() is None:
            time.sleep(0.2)
        ranks = psutil.Process(process.pid).children()
        assert len(ranks) == 2
        ranks[1].kill()
        _, said = process.communicate(timeout=60)
    last = next((tmp_path / "here" / "saved").glob("*-last.pth")).relative_to(tmp_path / "here")
    advice = f"go on with --resume={last}"
    assert said == f"error: process 2 of 2, rank 1, was killed by SIGKILL (out of memory?); {advice}\n"
    assert process.returncode == 1
    assert not any(rank.is_running() for rank in ranks)


@pytest.mark.slow
def test_a_full_disk_under_a_sweep(
    forker: Callable[[dict[str, Any]], dict[str, Any]], base: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    folder = tmp_path / "full"
    shutil.copytree(base, folder)
    before = contents(folder)
    (folder / "range.test").write_text("learning_rate loguniform -8,-2\n")
    words = ["sweep", "--model=TwoTowerLogQ", "--dataset=tiny", "--data_path=data", "--params_file=range.test"]
    found = forker({"words": [*words, "--folder=here"], "folder": folder, "limit": 300})
    assert found["status"] == 1
    assert f"`{plain(one_line(found), folder)}`" == HELD_ELSEWHERE["sweep"][1][-1]
    assert unfinished(folder) in ([], ["here/.lock"])
    assert contents(folder).keys() - before.keys() <= {"range.test", "here/.lock"}


TESTS = Path(__file__).parents[1]
HELD_ELSEWHERE = {
    "sweep": (
        {
            "sweeps/test_sweep.py": ["test_killed_half_way_and_resumed_in_a_copy"],
            "sweeps/test_sweep_on_a_cluster.py": ["test_term_leaves_nothing_running"],
        },
        [
            "training, trials/",
            "`error: interrupted; the same command with --resume goes on`",
            "records and checkpoints, no process",
            "`--resume` goes on",
            "`error: cannot write here/plan.json: File too large; free some space`",
        ],
    ),
    "models": (
        {"reliability/test_surroundings.py": ["test_a_full_disk_under_standard_output"]},
        [
            "printing, which is over at once",
            "`error: interrupted`",
            "nothing: it writes no file",
            "starts anew",
            "`error: cannot write what models prints or writes: No space left on device; free some space`",
        ],
    ),
}
"""Commands whose rows other tests hold: their file, their names, and the cells."""


@pytest.mark.parametrize("name", HELD_ELSEWHERE)
def test_rows_that_other_tests_hold(name: str, seen: Any) -> None:
    references, cells = HELD_ELSEWHERE[name]
    for file, tests in references.items():
        text = (TESTS / file).read_text(encoding="utf-8")
        assert all(f"def {test}(" in text for test in tests)
    seen("signals", f"`{name}`", *cells)


def test_the_table_is_whole(names_in_page: Callable[[str], list[str]]) -> None:
    names = [command.name for command in (*COMMANDS, *SEVERAL)]
    assert names_in_page("signals") == [f"`{name}`" for name in (*names, *HELD_ELSEWHERE)]

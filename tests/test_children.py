"""Processes that end with the one that has started them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from recbole_logq import children
from recbole_logq.cli import main

CHILD = """
import signal, sys, time
from pathlib import Path
from recbole_logq.children import end_with_parent
from recbole_logq.interruption import interruptible

end_with_parent()
Path("at-work").touch()
try:
    with interruptible():
        time.sleep(100)
except KeyboardInterrupt:
    Path("cleaned-up").touch()
"""
PARENT = """
import sys, time
from recbole_logq import children
from recbole_logq.cli import main

print(children.start([sys.executable, "child.py"], children.environment()).pid, flush=True)
time.sleep(100)
"""


@pytest.fixture
def scripts(in_tmp: Path) -> Path:
    (in_tmp / "child.py").write_text(CHILD)
    (in_tmp / "parent.py").write_text(PARENT)
    return in_tmp


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert path.exists()


def test_a_child_whose_parent_is_killed_cleans_up_and_ends(scripts: Path) -> None:
    command = [sys.executable, "parent.py"]
    with subprocess.Popen(command, env=children.environment(), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for(scripts / "at-work")
        parent.kill()
    child.wait(20)
    assert (scripts / "cleaned-up").exists()


def test_children_end_with_the_block(scripts: Path) -> None:
    process = children.start([sys.executable, "child.py"], children.environment())

    def work() -> None:
        with children.ended_together([process]):
            wait_for(scripts / "at-work")
            time.sleep(0.3)  # it is in its work
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert process.returncode == 0
    assert (scripts / "cleaned-up").exists()


def test_a_process_that_does_not_come_to_its_end_is_killed(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "PATIENCE", 0.3)
    deaf = "import signal, pathlib, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); pathlib.Path('on').touch(); "
    process = children.start([sys.executable, "-c", deaf + "time.sleep(100)"], children.environment())
    wait_for(in_tmp / "on")
    children.end([process])
    assert process.returncode == -9


def test_whoever_was_started_otherwise_keeps_its_standard_input(scripts: Path) -> None:
    words = "from recbole_logq.children import end_with_parent; end_with_parent(); print(input())"
    done = subprocess.run(
        [sys.executable, "-c", words], env=children.environment(), input="hello\n", capture_output=True, text=True
    )
    assert done.stdout == "hello\n"


@pytest.mark.parametrize("policy", [None, "ACTIVE"])
def test_threads_wait_asleep_unless_the_user_says_otherwise(
    policy: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", policy or "")
    if policy is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    assert children.environment()["OMP_WAIT_POLICY"] == (policy or "PASSIVE")
    assert main(["--version"]) == 0
    assert os.environ["OMP_WAIT_POLICY"] == (policy or "PASSIVE")

"""Which of several failures is said: the one that came first, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.errors import WorkError
from recbole_logq.experiment.local_ranks import _failure
from recbole_logq.launcher import FAILURES, report_failure, reported_failures
from recbole_logq.ranks import lost_peer

KILLED = "process 2 of 2, rank 1, was killed by SIGKILL (out of memory?)"
LOST = {"rank": 0, "line": "another process of this run has ended; go on with --resume=a.pth", "status": 1}
LOST["follows"] = True
OWN = {"rank": 1, "line": "the training loss became nan", "status": 1, "follows": False}
REQUEST = {"rank": 0, "line": "learning_rate=-1", "status": 2, "follows": False}


@pytest.mark.parametrize(
    ("ended", "reported", "line", "status"),
    [
        ({1: -9, 0: 1}, [LOST], f"{KILLED}; go on with --resume=a.pth", 1),
        ({0: 1, 1: -11}, [LOST], "process 2 of 2, rank 1, was killed by SIGSEGV; go on with --resume=a.pth", 1),
        ({1: -9}, [], KILLED, 1),
        ({1: -9, 0: -6}, [], KILLED, 1),  # an abort follows
        ({0: 1, 1: 1}, [OWN, {**OWN, "rank": 0}], "the training loss became nan", 1),
        ({0: -6, 1: 1}, [LOST, OWN], "the training loss became nan", 1),
        ({0: 2, 1: 2}, [REQUEST, {**REQUEST, "rank": 1, "follows": True}], "learning_rate=-1", 2),
        ({1: 2}, [{**REQUEST, "rank": 1, "follows": True}], "learning_rate=-1", 2),
        ({1: 5}, [], "process 2 of 2, rank 1, ended with status 5", 1),
        ({1: -200}, [], "process 2 of 2, rank 1, was killed by signal 200", 1),
    ],
)  # fmt: skip
def test_one_line_for_all(ended: dict[int, int], reported: list[dict[str, Any]], line: str, status: int) -> None:
    error = _failure(2, ended, reported)
    assert (str(error), error.exit_status) == (line, status)


def test_what_processes_report_is_read_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not report_failure("nobody asks", 1, False)
    for key, value in (("WORLD_SIZE", "2"), (FAILURES, str(tmp_path))):
        monkeypatch.setenv(key, value)
    for rank in ("1", "0"):
        monkeypatch.setenv("RANK", rank)
        assert report_failure(f"of {rank}", 1, follows=False)
    (tmp_path / "2.json").write_text('{"rank": 2, "li')  # killed while it wrote
    assert [one["line"] for one in reported_failures(tmp_path)] == ["of 1", "of 0"]


def test_the_end_of_another_process_is_told_from_other_errors() -> None:
    gloo = RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer")
    assert lost_peer(gloo)
    assert lost_peer(torch.distributed.DistNetworkError("x"))
    assert not lost_peer(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not lost_peer(WorkError("gloo"))

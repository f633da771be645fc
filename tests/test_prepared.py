"""Processes that start as copies of a prepared one are fresh ones in everything but the time they take."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from recbole_logq import children, fork_server
from recbole_logq.comparisons.runs import Process, Store
from recbole_logq.experiment.plan import PlannedRun
from recbole_logq.prepared import LOST, PreparedProcess, PreparedProcesses

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="fresh processes elsewhere")

WORK = """
import json, os, random, signal, sys, threading, time
from pathlib import Path

from recbole_logq.children import end_with_parent
from recbole_logq.interruption import interruptible


def facts():
    first = {"threads": len(os.listdir("/proc/self/task")), "numpy": "numpy" in sys.modules, "fds": fds()}
    import numpy, torch
    from threadpoolctl import threadpool_info

    drawn = {"torch": torch.rand(1).item(), "numpy": numpy.random.rand(), "python": random.random()}
    weights = torch.ones(600, 600, requires_grad=True)
    (weights @ weights).sum().backward()  # with a pool of threads, and autograd's
    pools = sorted({pool["num_threads"] for pool in threadpool_info()})
    environment = {key: value for key, value in os.environ.items() if key != "_"}
    handlers = [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
    return {**first, "drawn": drawn, "pools": pools, "torch threads": torch.get_num_threads(), "cwd": os.getcwd(),
            "environment": environment, "handlers": handlers, "leader": os.getsid(0) == os.getpid(),
            "modes": [torch.is_grad_enabled(), torch.is_anomaly_enabled()], "argv": sys.argv[1:]}


def fds():
    return sorted(int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}"))


def main(words):
    end_with_parent()
    if words == ["facts"]:
        print(json.dumps(facts()))
    elif words == ["crash"]:
        os.kill(os.getpid(), signal.SIGSEGV)
    elif words == ["raise"]:
        raise ValueError("in a copy")
    elif words == ["sleep"]:
        Path("at-work").touch()
        try:
            with interruptible():
                time.sleep(100)
        except KeyboardInterrupt:
            Path("cleaned-up").touch()
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def prepared() -> Iterator[PreparedProcesses]:
    with PreparedProcesses() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work_of_a_test.py").write_text(WORK)
    (tmp_path / "log").touch()
    return tmp_path


def copied(prepared: PreparedProcesses, folder: Path, word: str, threads: int = 1) -> PreparedProcess:
    environment = {**children.environment(), "OMP_NUM_THREADS": str(threads), "OF_A_TEST": "1"}
    process = prepared.start(["work_of_a_test", word], environment, folder, folder / "log")
    assert process is not None
    return process


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert path.exists()


@pytest.mark.slow
def test_a_copy_is_like_a_fresh_process(prepared: PreparedProcesses, folder: Path) -> None:
    environment = {**children.environment(), "OMP_NUM_THREADS": "2", "OF_A_TEST": "1"}
    command = [sys.executable, "-m", "work_of_a_test", "facts"]
    fresh = json.loads(
        subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True
        ).stdout
    )
    seen = []
    for threads in (1, 2):
        assert copied(prepared, folder, "facts", threads).wait(60) == 0
        seen.append(json.loads((folder / "log").read_text().splitlines()[-1]))
    assert seen[0]["threads"] == 2  # its own, and the one that waits for the parent's end: no pool came with the copy
    assert seen[0]["torch threads"] == 1
    assert seen[0]["environment"].pop("OMP_NUM_THREADS") == "1"
    seen[0] |= {"pools": seen[1]["pools"], "torch threads": 2}
    seen[0]["environment"]["OMP_NUM_THREADS"] = "2"
    for facts in seen:
        assert facts["numpy"]
        assert facts["leader"]
        assert facts["fds"] == [0, 1, 2]
        for key in ("pools", "torch threads", "cwd", "environment", "handlers", "modes", "argv"):
            assert facts[key] == fresh[key], key
    assert len({facts["drawn"][kind] for facts in (fresh, *seen) for kind in ("torch", "numpy", "python")}) == 9


def test_one_that_fails_leaves_the_others_alone(prepared: PreparedProcesses, folder: Path) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "work_of_a_test.py").write_text(WORK)
    (other / "log").touch()
    sleeping = copied(prepared, other, "sleep")
    wait_for(other / "at-work")
    assert copied(prepared, folder, "crash").wait(60) == -signal.SIGSEGV
    assert copied(prepared, folder, "raise").wait(60) == 1
    log = (folder / "log").read_text()
    assert log.startswith("Traceback")
    assert log.endswith("ValueError: in a copy\n")
    assert sleeping.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        sleeping.wait(0.01)
    children.end([sleeping])
    assert sleeping.returncode == 1
    assert (other / "cleaned-up").exists()


@pytest.mark.slow
def test_copies_end_with_the_prepared_process_and_fresh_ones_take_over(folder: Path) -> None:
    with PreparedProcesses() as prepared:
        sleeping = copied(prepared, folder, "sleep")
        wait_for(folder / "at-work")
        time.sleep(0.3)  # it is in its work
        child, server = psutil.Process(sleeping.pid), psutil.Process(sleeping.pid).parent()
        assert server is not None
        assert server.pid != os.getpid()
        server.kill()
        assert sleeping.wait(20) == LOST
        child.wait(20)
        assert (folder / "cleaned-up").exists()
        environment = {**children.environment(), "OMP_NUM_THREADS": "1"}
        assert prepared.start(["work_of_a_test", "facts"], environment, folder, folder / "log") is None


def test_a_process_with_threads_is_not_copied() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert (fork_server.why_not() or "").endswith(" threads")
    finally:
        done.set()
        thread.join()


def plain(record: dict[str, Any]) -> dict[str, Any]:
    """A record without what a clock or a draw of a name has put there."""
    unlike = {"train_seconds", "train_cpu_seconds", "valid_seconds", "seconds", "positives_per_second"}
    history = [
        {key: value for key, value in epoch.items() if "seconds" not in key and key != "peak_memory_mb"}
        for epoch in record["result"]["history"]
    ]
    left = {"history", "checkpoint", "peak_memory_mb"} | unlike
    result = {key: value for key, value in record["result"].items() if key not in left}
    return {**record, "result": {**result, "history": history}}


def weights(store: Store, run: PlannedRun, record: dict[str, Any]) -> str:
    torch.set_printoptions(precision=17, threshold=10**9)
    file = store.file(run).with_suffix("") / record["result"]["checkpoint"]
    content = torch.load(file, weights_only=True)
    return repr([content["state_dict"], content["optimizer"]])


@pytest.mark.slow
def test_the_same_numbers_to_the_last_bit(prepared: PreparedProcesses, tmp_path: Path, ml100k_cut: Path) -> None:
    settings = {"epochs": 2, "seed": 1, "use_gpu": False, "data_path": str(ml100k_cut), "train_batch_size": 256}
    run = PlannedRun("own", "TwoTowerMNSCorrectedLogQ", "cut", 1, settings)
    other = PlannedRun("other", "BPR", "cut", 1, settings)
    found = []
    for name, planned, server in (
        ("fresh", run, None),
        ("other", other, prepared),
        ("first", run, prepared),
        ("second", run, prepared),
    ):
        store = Store(tmp_path / name)
        process = Process(store, planned, 2, server)
        assert isinstance(process.process, subprocess.Popen if server is None else PreparedProcess)
        process.process.wait(120)
        record = process.record()
        assert record is not None
        assert record["status"] == "done", record["error"]
        assert "epoch 1 evaluating" in process.log.read_text()
        if planned is run:
            found.append((plain(record), weights(store, run, record)))
    torch.set_printoptions(profile="default")
    for record, state in found[1:]:
        assert record == found[0][0]
        assert state == found[0][1]

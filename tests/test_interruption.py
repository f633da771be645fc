"""Signals become an exception, once, and the handlers are what they were afterwards."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from recbole_logq.cli import main
from recbole_logq.interruption import SIGNALS, Interrupted, handlers_kept, interruptible

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals that a process sends itself")


def send(name: str) -> None:
    """And give it the time to arrive."""
    os.kill(os.getpid(), getattr(signal, name))
    time.sleep(0.01)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    with handlers_kept():
        yield


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_an_interruption_and_handlers_are_put_back(name: str) -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    with pytest.raises(KeyboardInterrupt, match=name), interruptible():
        send(name)
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


def test_what_nohup_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interruptible():
        send("SIGHUP")
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_a_handler_of_the_calling_program_stays() -> None:
    seen = []
    signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    with interruptible():
        send("SIGTERM")
    assert seen == [signal.SIGTERM]


def test_a_second_signal_does_not_break_the_clean_up() -> None:
    done = []

    def work() -> None:
        with interruptible():
            try:
                send("SIGINT")
            finally:
                clean_up()

    def clean_up() -> None:
        try:
            send("SIGTERM")
            raise OSError("and something fails on the way")
        except OSError:
            send("SIGHUP")
        done.append("all of it")

    with pytest.raises(Interrupted, match="SIGINT"):
        work()
    assert done == ["all of it"]


def test_an_interruption_that_was_dealt_with_does_not_hide_the_next() -> None:
    with interruptible():
        for name in ("SIGTERM", "SIGHUP"):
            with pytest.raises(Interrupted, match=name):
                send(name)


def test_one_that_is_lost_in_a_finalizer_comes_again() -> None:
    class Finalized:
        def __del__(self) -> None:
            send("SIGTERM")

    def work() -> None:
        with interruptible():
            one = Finalized()
            del one
            time.sleep(5)

    with pytest.raises(Interrupted):
        work()


def test_in_another_thread_nothing_is_changed() -> None:
    found: list[Any] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    thread = threading.Thread(target=lambda: found.append((main(["--version"]), signal.getsignal(signal.SIGTERM))))
    thread.start()
    thread.join()
    assert found == [(0, before[signal.SIGTERM])]


def test_a_command_ends_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import recbole_logq.catalog

    monkeypatch.setattr(recbole_logq.catalog, "print_catalog", lambda: send("SIGTERM"))
    assert main(["models"]) == 1
    assert capsys.readouterr().err == "error: interrupted\n"

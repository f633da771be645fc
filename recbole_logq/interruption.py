"""TERM and HUP end a command as Ctrl-C does: an exception that every clean-up sees, and one line in the end.

Standard library only: in place before torch is there.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# The terminal is gone, somebody asks the process to end; on Windows, Ctrl-Break and the closing of its window.
NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
SIGNALS = tuple(number for name in NAMES if (number := getattr(signal, name, None)) is not None)
_AGAIN = 0.2
"""Seconds after which an interruption that was lost is tried once more."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise :class:`Interrupted` in the main thread where one of the signals comes; nothing changes in other threads.

    A signal that the process was started to ignore, as `nohup` does with HUP, stays ignored; one that the calling
    program handles itself stays with it. A second signal while the first one's clean-up runs is ignored: it would
    leave half of the work behind.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = {number: before for number in SIGNALS if (before := signal.getsignal(number)) in _DEFAULTS}
    hook = sys.unraisablehook
    for number in ours:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _try_again(hook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, before in ours.items():
            signal.signal(number, before)


@contextlib.contextmanager
def handlers_kept() -> Iterator[None]:
    """Undo what a library does to the handlers meanwhile: Ray takes TERM when it connects."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: not set from Python, so no library of Python's has changed it either
                signal.signal(number, handler)


_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if not _cleaning_up(sys.exception()):
        raise Interrupted(signal.Signals(number).name)


def _cleaning_up(error: BaseException | None) -> bool:
    """Whether an interruption is on its way up, under whatever other errors its clean-up has met."""
    waiting, seen = [error], set()
    while waiting:
        error = waiting.pop()
        if isinstance(error, KeyboardInterrupt):
            return True
        if error is not None and id(error) not in seen:
            seen.add(id(error))
            waiting += [error.__cause__, error.__context__]
    return False


def interrupt_main_thread(number: int) -> None:
    """What the signal does, from another thread; the main thread may sleep, or wait for a process."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(signal.Signals(number))


def _try_again(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """An exception in a finalizer is printed and forgotten; an interruption must not be."""

    def seen(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, Interrupted):
            hook(unraisable)
            return
        number = signal.Signals[str(unraisable.exc_value)]
        timer = threading.Timer(_AGAIN, interrupt_main_thread, [number])
        timer.daemon = True
        timer.start()

    return seen

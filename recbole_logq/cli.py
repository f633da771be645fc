"""The command line: ``run`` is the default command.

Exit status 0: done; 1: the work failed; 2: the request was wrong. Either failure is one clear line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from types import ModuleType

from recbole_logq.children import end_with_parent, wait_patiently
from recbole_logq.commands import (
    advise,
    audit,
    compare,
    convert,
    evaluate,
    export,
    lab,
    models,
    recommend,
    run,
    settings,
    sweep,
)
from recbole_logq.commands.help_pages import command_page, overview
from recbole_logq.errors import PeerLostError, RequestError, WorkError, failure_of_a_model, out_of_memory
from recbole_logq.files import write_failure
from recbole_logq.interruption import interruptible
from recbole_logq.launcher import launched_processes, launched_rank, report_failure, started_by_launcher
from recbole_logq.nearest import nearest
from recbole_logq.numerals import as_number
from recbole_logq.parsing import parse_arguments
from recbole_logq.terminal import READER_GONE, VisibleFormatter, reader_gone, show_traceback, text_width, visible
from recbole_logq.version import __version__

COMMANDS = {
    "run": run,
    "evaluate": evaluate,
    "audit": audit,
    "compare": compare,
    "sweep": sweep,
    "convert": convert,
    "lab": lab,
    "advise": advise,
    "export": export,
    "recommend": recommend,
    "models": models,
    "settings": settings,
}
HELP = frozenset({"-h", "--help", "help"})


LONGEST = 2000
"""Characters of an error: a value of any size may stand in it."""


def help_text(words: Sequence[str]) -> str:
    """What ``--help`` prints.

    Args:
        words: words of the command line; a command among them has a page of its own.

    Raises:
        RequestError: There is no such command.
    """
    remaining = [word for word in words if word not in HELP]
    if not remaining:
        return overview(COMMANDS, text_width())
    name = "run" if remaining[0].startswith("-") else remaining[0]
    return command_page(name, command_named(name), text_width())


def command_named(name: str) -> ModuleType:
    """The module of a command.

    Raises:
        RequestError: No command has the name; the message has the nearest one.
    """
    if name not in COMMANDS:
        raise RequestError(f"no command named {name!r}{nearest(name, set(COMMANDS))} (see --help)")
    return COMMANDS[name]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    end_with_parent()
    wait_patiently()
    try:
        with interruptible():
            return _command(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        return _say("interrupted", 1, follows=True)


def _command(words: list[str]) -> int:
    debug, name = False, "the command"
    if logging.lastResort is not None:  # before a run has opened its log
        logging.lastResort.setFormatter(VisibleFormatter())
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is written out; a stream that cannot be changed is no failure.
        if isinstance(stream, TextIOWrapper):
            with suppress(OSError, ValueError):
                stream.reconfigure(errors="backslashreplace")
    try:
        if any(word in HELP for word in words):
            print(help_text(words), end="", flush=True)
            return 0
        if words == ["--version"]:
            print(__version__, flush=True)
            return 0
        name = words.pop(0) if words and not words[0].startswith("-") else "run"
        command = command_named(name)
        positional = getattr(command, "POSITIONAL", None)
        if positional and words and not words[0].startswith("-"):
            words[0] = f"--{positional}={words[0]}"
        options = parse_arguments(words)
        debug = bool(options.pop("debug", False))
        if name == "run" and as_number(options.get("nproc", 1)) != 1 and not started_by_launcher():
            run.launch(options, [word for word in words if not word.startswith("--nproc=")])
        else:
            command.execute(options)
        sys.stdout.flush()  # a reader that has gone is noticed here, and not when the interpreter ends
        return 0
    except BrokenPipeError as error:
        if reader_gone():  # `models | head -n 1`: it has seen enough
            return READER_GONE
        return _fail(error, 1, debug, f"unexpected {type(error).__name__}: {error} (--debug=true shows where)")
    except (RequestError, WorkError) as error:
        return _fail(error, error.exit_status, debug)
    except ImportError as error:
        return _fail(error, 2, debug, f"this needs a package that is not installed: {error.name or error}")
    except Exception as error:
        if out_of_memory(error):
            sizes = "train_batch_size, eval_batch_size, negatives.count or embedding_size"
            return _fail(error, 1, debug, f"out of memory: lower {sizes}")
        if (failure := write_failure(error, f"what {name} prints or writes")) is not None:
            return _fail(failure, 1, debug)
        if launched_processes() > 1 and _lost_peer(error):
            return _fail(PeerLostError("another process of this run has ended"), 1, debug)
        from recbole_logq.plugin_errors import LOADED, place_of

        place = place_of(error)
        if place is None and (failed := failure_of_a_model(error)) is not None:
            return _fail(error, 1, debug, failed)
        blamed = f"{', '.join(LOADED)} may have given what does not fit; " if LOADED else ""
        hint = place or f"{blamed}--debug=true shows where"
        return _fail(error, 1, debug, f"unexpected {type(error).__name__}: {error} ({hint})")


def _lost_peer(error: Exception) -> bool:
    from recbole_logq.ranks import lost_peer

    return lost_peer(error)


def _fail(error: BaseException, status: int, debug: bool, line: str | None = None) -> int:
    if debug:
        sys.excepthook = show_traceback
        raise error
    follows = isinstance(error, PeerLostError) or isinstance(error.__cause__, KeyboardInterrupt)
    return _say(line or str(error), status, follows or (status == 2 and launched_rank() > 0))


def _say(line: str, status: int, follows: bool) -> int:
    """One line on standard error; of several processes the first says what all of them would say."""
    line = " ".join(line.split())
    if not report_failure(line, status, follows) and not (follows and launched_rank()):
        with suppress(OSError):  # the terminal may be gone: that is what HUP says
            print(f"error: {visible(line if len(line) <= LONGEST else line[:LONGEST] + '...')}", file=sys.stderr)
    return status

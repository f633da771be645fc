"""The command line: ``run`` is the default command.

Exit status 0: done; 1: the work failed; 2: the request was wrong. Either failure is one clear line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from recbole_logq import __version__
from recbole_logq.commands import audit, compare, convert, evaluate, export, lab, models, recommend, run, sweep
from recbole_logq.errors import RequestError, WorkError, out_of_memory
from recbole_logq.launcher import launched_rank, started_by_launcher
from recbole_logq.parsing import parse_arguments
from recbole_logq.settings import nearest
from recbole_logq.terminal import READER_GONE, VisibleFormatter, reader_gone, show_traceback, visible

COMMANDS = {
    "run": run,
    "evaluate": evaluate,
    "audit": audit,
    "compare": compare,
    "sweep": sweep,
    "convert": convert,
    "lab": lab,
    "export": export,
    "recommend": recommend,
    "models": models,
}


LONGEST = 2000
"""Characters of an error: a value of any size may stand in it."""


def usage() -> str:
    """What ``--help`` prints."""
    return (
        "usage: run_recbole_logq.py [COMMAND] [--key=value ...]\n\n"
        + "".join(command.USAGE for command in COMMANDS.values())
        + "\n  --debug=true   show the traceback of an error\n"
        "Settings are RecBole's and this package's; sections are reached with a dot: --negatives.count=512.\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = False
    if logging.lastResort is not None:  # before a run has opened its log
        logging.lastResort.setFormatter(VisibleFormatter())
    try:
        if any(word in {"-h", "--help", "help"} for word in words):
            print(usage(), end="", flush=True)
            return 0
        if words == ["--version"]:
            print(__version__, flush=True)
            return 0
        name = words.pop(0) if words and not words[0].startswith("-") else "run"
        if name not in COMMANDS:
            raise RequestError(f"no command named {name!r}{nearest(name, set(COMMANDS))} (see --help)")
        options = parse_arguments(words)
        debug = bool(options.pop("debug", False))
        if name == "run" and options.get("nproc", 1) != 1 and not started_by_launcher():
            return run.launch(options, [word for word in words if not word.startswith("--nproc=")])
        COMMANDS[name].execute(options)
        sys.stdout.flush()  # a reader that has gone is noticed here, and not when the interpreter ends
        return 0
    except BrokenPipeError as error:
        if reader_gone():  # `models | head -n 1`: it has seen enough
            return READER_GONE
        return _fail(error, 1, debug, f"unexpected {type(error).__name__}: {error} (--debug=true shows where)")
    except (RequestError, WorkError) as error:
        if launched_rank() and isinstance(error, RequestError):
            return error.exit_status  # the first of several processes says it
        return _fail(error, error.exit_status, debug)
    except ImportError as error:
        return _fail(error, 2, debug, f"this needs a package that is not installed: {error.name or error}")
    except KeyboardInterrupt:
        if not launched_rank():
            print("error: interrupted", file=sys.stderr)
        return 1
    except Exception as error:
        if out_of_memory(error):
            sizes = "train_batch_size, eval_batch_size, negatives.count or embedding_size"
            return _fail(error, 1, debug, f"out of memory: lower {sizes}")
        return _fail(error, 1, debug, f"unexpected {type(error).__name__}: {error} (--debug=true shows where)")


def _fail(error: BaseException, status: int, debug: bool, line: str | None = None) -> int:
    if debug:
        sys.excepthook = show_traceback
        raise error
    text = " ".join((line or str(error)).split())
    print(f"error: {visible(text if len(text) <= LONGEST else text[:LONGEST] + '...')}", file=sys.stderr)
    return status

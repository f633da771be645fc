"""Text out of data on its way to a terminal: nothing in it moves the cursor, rings or turns a line around."""

from __future__ import annotations

import logging
import os
import re
import select
import shutil
import sys
import traceback
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.text import Text

READER_GONE = 141
"""Exit status of a command whose reader has stopped, as shells give it: 128 and the number of SIGPIPE."""

# Controls but for the end of a line and the tabulator, halves of a character, and what has no shape of its own: marks
# that change the direction of writing, separators that terminals do not draw, tags. Joiners of letters stay.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_COLOURS = re.compile("(\x1b\\[[0-9;]*m)")


def visible(text: str) -> str:
    """The text with everything that is not to be seen written out: an escape character as a backslash and ``x1b``."""
    return _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def visible_in_colour(text: str) -> str:
    """The same, but for the colours of RecBole's log lines."""
    return "".join(part if i % 2 else visible(part) for i, part in enumerate(_COLOURS.split(text)))


class VisibleFormatter(logging.Formatter):
    """Formatter of log lines, in which names of datasets and columns stand."""

    def format(self, record: logging.LogRecord) -> str:
        """See :class:`logging.Formatter`."""
        return visible(super().format(record))


def show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As Python's own, which prints messages as they are."""
    print(visible("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)


def text_width() -> int:
    """Columns for running text: those of the terminal, 100 at most, and 80 where there is none."""
    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 100))


def bar_options() -> dict[str, Any]:
    """Arguments of a progress bar: its width, and seldom a new line where a file takes it."""
    return {"ncols": text_width(), "mininterval": 0.1 if sys.stderr.isatty() else 10}


def say(text: str) -> None:
    """Print a line, or several."""
    print(visible(text), flush=True)


def tell(text: str) -> None:
    """Print progress: on standard error, so that standard output holds results alone."""
    print(visible(text), file=sys.stderr, flush=True)


def cell(text: Any) -> Text:
    """A cell, a title or a heading of a table of rich: brackets in it are no markup."""
    from rich.text import Text

    return Text(visible(str(text)))


def console(width: int | None = None, file: IO[str] | None = None, stderr: bool = False) -> Console:
    """Where tables are printed.

    Args:
        width: Columns where there is no terminal that has them.
        file: Stream in place of standard output.
        stderr: Whether it is standard error, for progress.
    """
    from rich.console import Console

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would leave with a status of its own

    screen = Quiet(file=file, stderr=stderr)
    return screen if screen.is_terminal or width is None else Quiet(file=file, stderr=stderr, width=width)


def reader_gone() -> bool:
    """Whether nobody reads standard output any more; from then on nothing is written to it."""
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):  # it is no file
        return False
    if hasattr(select, "poll"):  # not on Windows
        poll = select.poll()
        poll.register(output, select.POLLOUT)
        if not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            return False
    # What is written in vain while the interpreter ends would be told on standard error.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, output)
    os.close(nowhere)
    return True

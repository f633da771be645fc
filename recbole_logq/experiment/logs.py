"""RecBole's log lines, on the screen and in ``log/<model>/``, for each of several runs in one process.

Both have what ``state`` asks for; records marked by :data:`DETAIL`, such as the dump of all settings, are for the
file, and for the screen at DEBUG.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import strftime
from types import MappingProxyType
from typing import Any

import colorlog
from recbole.utils.logger import RemoveColorFilter, log_colors_config

from recbole_logq.ranks import rank
from recbole_logq.terminal import VisibleFormatter, visible_in_colour

DETAIL: Mapping[str, bool] = MappingProxyType({"detail": True})
"""As ``extra`` of a record: for the file, and for a screen at DEBUG."""


class LogFile(logging.FileHandler):
    """A log that cannot be written ends the run; logging itself would print a traceback for every line."""

    def handleError(self, record: logging.LogRecord) -> None:
        raise


_installed: list[logging.Handler] = []


class _VisibleInColour(colorlog.ColoredFormatter):
    def format(self, record: logging.LogRecord) -> str:
        return visible_in_colour(super().format(record))


def _matters(record: logging.LogRecord) -> bool:
    return not getattr(record, "detail", False)


def start_log(config: Any) -> Path | None:
    """Send the root logger to the screen and to a new file, in place of the previous run's.

    RecBole's own set-up does nothing when the root logger already has a handler: a second run would write into the
    first one's file.

    Args:
        config: The settings; ``state`` is the level.

    Returns:
        The file; None in all processes of a run but the first.
    """
    root = logging.getLogger()
    for handler in _installed:
        root.removeHandler(handler)
        with suppress(OSError):
            handler.close()
    _installed.clear()
    if rank() > 0:  # the first process writes for all
        root.setLevel(logging.ERROR)
        return None
    level = getattr(logging, str(config["state"] or "INFO").upper(), logging.INFO)
    folder = Path("log") / config["model"]
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{config['model']}-{config['dataset']}-{strftime('%b-%d-%Y_%H-%M-%S')}-{secrets.token_hex(3)}.log"
    path = folder / name
    file = LogFile(path, encoding="utf-8")
    file.setFormatter(VisibleFormatter("%(asctime)-15s %(levelname)s  %(message)s", "%a %d %b %Y %H:%M:%S"))
    file.addFilter(RemoveColorFilter())
    screen = logging.StreamHandler()
    screen.setFormatter(
        _VisibleInColour(
            "%(log_color)s%(asctime)-15s %(levelname)s  %(message)s", "%d %b %H:%M", log_colors=log_colors_config
        )
    )
    if not screen.stream.isatty():
        screen.setFormatter(VisibleFormatter("%(asctime)-15s %(levelname)s  %(message)s", "%d %b %H:%M"))
        screen.addFilter(RemoveColorFilter())
    if level > logging.DEBUG:
        screen.addFilter(_matters)
    for handler in (file, screen):
        handler.setLevel(level)
        root.addHandler(handler)
        _installed.append(handler)
    root.setLevel(level)
    return path

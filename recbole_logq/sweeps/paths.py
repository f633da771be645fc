"""Paths in the files of a sweep: names within its own folder, whoever wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from recbole_logq.errors import RequestError

TRIALS = "trials"


def relative(folder: str | Path, path: str | Path) -> str | None:
    """A path as it is stored: relative to the folder of the search; None where it is not within it."""
    try:
        return Path(path).absolute().relative_to(Path(folder).absolute()).as_posix()
    except ValueError:
        return None


def inside(folder: Path, name: Any) -> Path | None:
    """The file or folder of that stored name; None where it leads out of the folder, by itself or by a link."""
    if not isinstance(name, str) or not name or "\0" in name:
        return None
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if len(parts) < 2 or parts[0] != TRIALS or ".." in parts or any(":" in part for part in parts):
        return None
    path = folder
    for part in parts:
        path /= part
        if path.is_symlink():
            return None
    return path


def stored(folder: Path, name: Any) -> str | None:
    """A stored name that can be followed, whether there is anything or not; None for any other.

    Earlier versions stored whole paths. Of those, what lies under the sweep's own trials counts, wherever it was then.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts if isinstance(name, str) else ()
    if TRIALS in parts:
        name = "/".join(parts[len(parts) - 1 - parts[::-1].index(TRIALS) :])
    return name if inside(folder, name) is not None else None


def refuse_links(folder: Path, searches: Sequence[str]) -> None:
    """Refuse a sweep whose own folders are links: what is removed there would be removed elsewhere.

    Raises:
        RequestError: A folder is a link.
    """
    for search in searches:
        for name in ("", "records", TRIALS, "winner"):
            if (place := folder / search / name).is_symlink():
                raise RequestError(f"{place} is a link: a sweep keeps its files in its own folder, set --folder=FOLDER")

"""Files and folders that are there as a whole or not at all; everything that the package writes goes through here.

What is not finished has a hidden name beside its place, which tells the machine and the process that writes it. An
exception takes it away, Ctrl-C, TERM and HUP included; what a killed process has left, the next one that writes in that
folder does.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from recbole_logq.errors import WorkError

_UNFINISHED = re.compile(r"\.(?P<name>.+)\.(?P<machine>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.(?P<kind>tmp|old)")
_FOREIGN_SECONDS = 24 * 3600.0
"""Age at which files of a process on another machine count as abandoned: only its last write is known here."""
_CLOCK_SECONDS = 5.0
_NO_SPACE = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}
# What libraries written in C++ say, and numpy, whose errors have no number.
_FAILED_WRITE = re.compile(
    r"fail\w* (to )?writ|writ\w+ fail|error writing|no space left|\d+ requested and \d+ written", re.I
)


def folder_name(label: str) -> str:
    """A title or a name as that of a folder."""
    return re.sub(r"[^\w.-]+", "-", label)


@contextmanager
def new_file(target: str | Path) -> Iterator[Path]:
    """A file to write, which takes its place, and that of an earlier one, when the block ends well.

    Raises:
        OSError: The file cannot be written; what was there is untouched.
    """
    path = Path(target).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_left_behind(path.parent)
    temporary = _hidden(path, "tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # else a machine that loses its power may find an empty file in its place
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def new_folder(target: str | Path, replace: bool = True) -> Iterator[Path]:
    """A folder to fill, which takes its place when the block ends well.

    Args:
        target: Its place.
        replace: Whether it may take the place of another one.

    Raises:
        OSError: The folder cannot be written; what was there is untouched.
    """
    path = Path(target).absolute()
    with scratch_folder(path.parent, path.name) as temporary:
        yield temporary
        old = _hidden(path, "old")
        if replace and path.exists():
            path.rename(old)
        try:
            temporary.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def scratch_folder(parent: str | Path | None = None, name: str = "recbole-logq") -> Iterator[Path]:
    """A folder that is there for as long as the block runs.

    Args:
        parent: Folder that it is made in; the system's folder for temporary files by default. It is made where it is
            not there.
        name: Part of its name, for whoever looks at it.
    """
    folder = Path(parent or tempfile.gettempdir()).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    remove_left_behind(folder)
    path = _hidden(folder / name, "tmp")
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write_text(target: str | Path, text: str) -> None:
    """Write or replace a file.

    Raises:
        WorkError: The file cannot be written; what was there is untouched.
    """
    try:
        with new_file(target) as file:
            file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise not_written(Path(target).absolute(), error) from error


def write_json(target: str | Path, content: Any) -> None:
    """The same for plain values."""
    write_text(target, json.dumps(content, indent=1, allow_nan=False) + "\n")


def not_written(target: str | Path, error: Exception, advice: str | None = None) -> WorkError:
    """The error for a file or folder that could not be written: why, and what to do.

    Args:
        target: What was to be written.
        error: Reason for the failure.
        advice: What to do beside freeing some space.
    """
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else (str(error).splitlines() or [type(error).__name__])[0]
    if number is None and _FAILED_WRITE.search(reason):
        reason = "not all of it was written"
    steps = ["free some space"] if number in _NO_SPACE or number is None else []
    steps += [advice] if advice else ["write elsewhere"] if number in _REFUSED else []
    return WorkError(f"cannot write {target}: {reason}" + (f"; {' or '.join(steps)}" if steps else ""))


def write_failure(error: BaseException, place: str) -> WorkError | None:
    """The error to report where a failure to write is under it; None where it is another failure.

    Args:
        error: Error that was not expected.
        place: What was written, where the failure itself does not know.
    """
    reason = failed_write(error)
    if reason is None or isinstance(error, WorkError):
        return None
    return not_written(getattr(reason, "filename", None) or place, reason)


def failed_write(error: BaseException | None) -> Exception | None:
    """The failure to write under an error, if it is one: a full or read-only disk, whichever library met it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in _NO_SPACE | _REFUSED:
            return error
        if isinstance(error, OSError | RuntimeError) and _FAILED_WRITE.search(str(error)):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def same_file(first: str | Path, second: str | Path) -> bool:
    """Whether two names are of one file: by another path, by a link, or on a disk that ignores upper and lower case."""
    try:
        return os.path.samefile(first, second)
    except OSError:  # one of them is not there
        return Path(first).absolute() == Path(second).absolute()


def remove_left_behind(folder: Path) -> None:
    """Take away what processes that are no more have left half written in a folder; living ones keep theirs."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (name := _UNFINISHED.fullmatch(entry.name)) and _abandoned(Path(entry.path), name):
                _remove(Path(entry.path), name)


def _hidden(path: Path, kind: str) -> Path:
    # A name has at most 255 bytes; that of an earlier folder is needed to put it back.
    name = path.name if kind == "old" else path.name.encode()[:200].decode(errors="ignore")
    return path.with_name(f".{name}.{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.{kind}")


@cache
def _machine() -> str:
    """Names this machine, and in a container the numbers that its processes have there."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{platform.node()} {namespace}".encode()).hexdigest()[:8]


def _abandoned(path: Path, name: re.Match[str]) -> bool:
    import psutil  # whoever reads an exported folder does without it

    written_at = _last_written(path)
    if name["machine"] != _machine():
        return time.time() - written_at > _FOREIGN_SECONDS
    try:
        return psutil.Process(int(name["pid"])).create_time() > written_at + _CLOCK_SECONDS  # another of that number
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _last_written(path: Path) -> float:
    newest = path.lstat().st_mtime
    if path.is_dir() and not path.is_symlink():
        for folder, _, files in os.walk(path):
            for file in (folder, *(os.path.join(folder, name) for name in files)):
                with suppress(OSError):
                    newest = max(newest, os.lstat(file).st_mtime)
    return newest


def _remove(path: Path, name: re.Match[str]) -> None:
    with suppress(OSError):
        if name["kind"] == "old" and not path.with_name(name["name"]).exists():
            path.rename(path.with_name(name["name"]))  # killed between the two renamings: the earlier one is kept
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()

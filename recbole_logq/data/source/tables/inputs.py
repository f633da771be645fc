"""What the user names as an input, as the files to read: a file, a folder, a pattern, or a place in a zip archive."""

from __future__ import annotations

import fnmatch
import glob
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from recbole_logq.data.source.tables.content import Content, look_at
from recbole_logq.errors import RequestError

_SHOWN = 8
_PATTERN = re.compile(r"[*?\[]")
_SPREADSHEET = "[Content_Types].xml"


def find_inputs(source: str | Path, encoding: str | None = None, flag: str = "input") -> list[Content]:
    """The files of an input, each looked at.

    Args:
        source: a file, a folder (its own files), a pattern such as ``part-*.csv``, a zip archive that holds one file,
            or a file, folder or pattern inside an archive (``archive.zip/folder/ratings.csv``).
        encoding: encoding of text where no byte order mark says it; UTF-8 when None.
        flag: name of the setting, for errors.

    Returns:
        Files, at least one, in the order of their names, in which 2 is before 10.

    Raises:
        RequestError: There is no such file, none in the folder, or several in the archive; or one is neither text nor
            Parquet.
    """
    path = Path(source)
    if path.is_file():
        return _in_archive(path, None, encoding, flag) if _is_archive(path) else [look_at(path, encoding)]
    if path.is_dir():
        files = [entry for entry in path.iterdir() if entry.is_file() and _is_data(entry.name)]
        if not files:
            raise RequestError(
                f"{flag}={source}: the folder holds no file; a pattern reads deeper, such as {source}/**/*"
            )
        return [look_at(file, encoding) for file in sorted(files, key=_order)]
    archive = next((parent for parent in path.parents if parent.is_file()), None)
    if archive is not None and _is_archive(archive):
        return _in_archive(archive, path.relative_to(archive).as_posix(), encoding, flag)
    if _PATTERN.search(str(source)):
        found = [file for name in glob.glob(str(source), recursive=True) if (file := Path(name)).is_file()]
        files = [file for file in found if _is_data(file.name)]
        if not files:
            raise RequestError(f"{flag}={source}: no file fits the pattern")
        return [look_at(file, encoding) for file in sorted(files, key=_order)]
    raise RequestError(f"{flag}={source}: no such file")


def _in_archive(archive: Path, member: str | None, encoding: str | None, flag: str) -> list[Content]:
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [entry.filename for entry in opened.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, OSError) as error:
        raise RequestError(
            f"{archive} cannot be unpacked (zip): {error}; of a spreadsheet, save the table as CSV"
        ) from error
    if _SPREADSHEET in names:
        raise RequestError(f"{archive} is a spreadsheet: save the table as CSV")
    names = [name for name in names if all(_is_data(part) for part in PurePosixPath(name).parts)]
    if not names:
        raise RequestError(f"{archive} holds no file")
    listing = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
    if member is None:
        if len(names) > 1:
            raise RequestError(f"{archive} holds {listing}: name one, such as --{flag}={archive}/{names[0]}")
        chosen = names
    else:
        in_folder = [name for name in names if PurePosixPath(name).parent == PurePosixPath(member)]
        chosen = [name for name in names if name == member] or in_folder or fnmatch.filter(names, member)
        if not chosen:
            raise RequestError(f"{archive} has no member {member}; it holds {listing}")
    return [look_at(archive, encoding, name) for name in sorted(chosen, key=_order)]


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _is_data(name: str) -> bool:
    """Whether a file is meant to be read: not a hidden one, nor what Spark and macOS leave beside it."""
    return not name.startswith((".", "_SUCCESS", "_metadata", "_common_metadata", "_committed", "_started", "__MACOSX"))


def _order(path: Path | str) -> tuple[Iterable[tuple[int, str]], str]:
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if place % 2 else (0, part) for place, part in enumerate(parts)], str(path)

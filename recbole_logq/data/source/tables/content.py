"""What a user's file is, by its first bytes, and its text, whatever that is packed in."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TextIO, cast

from recbole_logq.errors import RequestError

BadRow = Callable[[int, str], None]
"""Called with the number of a line that is no row and the reason; raises, or lets it be left out."""
BadColumn = Callable[[str, RequestError], object]
"""Called with the name of a column whose values are of no kind that is read, and why; raises, or lets it be empty."""
UTF8 = frozenset({"utf-8", "utf8", "utf-8-sig"})
_PACKED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".zst"})
# Longer marks first: that of UTF-32 begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS = {
    b"PAR1": "a compressed Parquet file: unpack it first",
    b"PK\x03\x04": "a zip archive in another, or one that is packed twice: unpack it",
    b"\xd0\xcf\x11\xe0": "a spreadsheet: save the table as CSV",
    b"ARROW1": "an Arrow (Feather) file: write it as Parquet",
    b"FEA1": "a Feather file: write it as Parquet",
    b"ORC": "an ORC file: write it as Parquet",
    b"Obj\x01": "an Avro file: write it as Parquet",
    b"SQLite format 3": "an SQLite database: write the table as CSV",
    b"\x89HDF": "an HDF5 file: write the table as CSV or Parquet",
    b"\x93NUMPY": "a numpy array: write a table with named columns as CSV or Parquet",
}
_HEAD = 1 << 16
# zipfile raises RuntimeError for a member with a password, NotImplementedError for a method that it lacks.
DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Content:
    """A file that has been looked at.

    Attributes:
        path: The file.
        format: ``parquet`` or ``text``.
        packed: What it is compressed with, None for nothing.
        encoding: encoding of text; a byte order mark is no part of it.
        head: The first characters of text.
        member: name of the file inside a zip archive, None outside one.
    """

    path: Path
    format: str
    packed: str | None = None
    encoding: str = "utf-8-sig"
    head: str = ""
    member: str | None = None

    @property
    def name(self) -> str:
        """Place of the file, that inside an archive behind the archive's."""
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def suffix(self) -> str:
        """Suffix of the name in lower case, without that of a compression."""
        suffixes = [suffix.lower() for suffix in Path(self.name).suffixes if suffix.lower() not in _SUFFIXES]
        return suffixes[-1] if suffixes else ""

    @contextmanager
    def text(self) -> Iterator[TextIO]:
        """The text from its beginning, line ends as they are.

        Raises:
            RequestError: The content is not text in its encoding, or cannot be unpacked.
        """
        try:
            with _unpacked(self.path, self.packed, self.member) as raw, _decoded(raw, self.encoding) as lines:
                yield lines
        except UnicodeError as error:
            raise not_text(self.name, self.encoding) from error
        except RequestError:
            raise
        except DAMAGED as error:
            raise _unreadable(self.name, self.packed, error) from error


def look_at(path: Path, encoding: str | None = None, member: str | None = None) -> Content:
    """Look at the first bytes of a file.

    Args:
        path: The file.
        encoding: encoding of text where no byte order mark says it; UTF-8 when None.
        member: name of the file inside, where the path is a zip archive.

    Raises:
        RequestError: The file is missing, is neither text nor Parquet, or the encoding is another one.
    """
    if not path.is_file():
        raise RequestError(f"{path}: no such file")
    packed = None
    name = f"{path}/{member}" if member else str(path)
    try:
        with path.open("rb") as raw:
            packed = "zip" if member else _packed(raw.read(32))
        with _unpacked(path, packed, member) as raw:
            head = raw.read(_HEAD)
    except KeyError as error:
        raise RequestError(f"{path} has no member {member}") from error
    except DAMAGED as error:
        raise _unreadable(name, packed, error) from error
    if inner := _packed(head) or ("tar" if head[257:262] == b"ustar" else None):
        raise RequestError(f"{name} holds a {inner} file: unpack it")
    if b"\0" in head:  # text may begin with such letters too
        if head.startswith(b"PAR1") and not packed:
            return Content(path, "parquet")
        for magic, description in _OTHERS.items():
            if head.startswith(magic):
                raise RequestError(f"{name} is {description}")
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    encoding = marked or encoding or "utf-8"
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in UTF8 else encoding
    try:
        _decoded(io.BytesIO(), encoding)  # which takes encodings of text alone
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except (UnicodeError, LookupError) as error:
        raise not_text(name, encoding) from error
    if "\0" in text:
        raise not_text(name, encoding)
    return Content(path, "text", packed, encoding, text, member)


def not_text(path: Path | str, encoding: str) -> RequestError:
    """The error for bytes that are no text."""
    name = encoding.removesuffix("-sig")
    return RequestError(f"{path} is not text in {name}: set --encoding=NAME where there is one, or save it as UTF-8")


def _packed(start: bytes) -> str | None:
    if start.startswith(b"BZh") and start[4:10] == b"1AY&SY":
        return "bzip2"
    return next((name for magic, name in _PACKED.items() if start.startswith(magic)), None)


def _unreadable(path: Path | str, packed: str | None, error: Any) -> RequestError:
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    return RequestError(f"{path} cannot be {f'unpacked ({packed})' if packed else 'read'}: {reason}")


def _unpacked(path: Path, packed: str | None, member: str | None = None) -> IO[bytes]:
    if member is not None:
        return cast(IO[bytes], io.BufferedReader(_Member(path, member)))
    if packed == "gzip":
        return cast(IO[bytes], gzip.open(path))
    if packed == "bzip2":
        return bz2.open(path)
    if packed == "xz":
        return lzma.open(path)
    if packed == "zstd":
        import pyarrow

        return cast(IO[bytes], pyarrow.input_stream(str(path), compression="zstd"))
    return path.open("rb")


class _Member(io.RawIOBase):
    """A file inside a zip archive, which is closed with it."""

    def __init__(self, path: Path, member: str) -> None:
        self.archive = zipfile.ZipFile(path)
        try:
            self.file = self.archive.open(member)
        except BaseException:
            self.archive.close()
            raise

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self.file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self.file.close()
            self.archive.close()
        super().close()


def _decoded(raw: IO[bytes], encoding: str) -> TextIO:
    return io.TextIOWrapper(raw, encoding=encoding, newline="")

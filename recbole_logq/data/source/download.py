"""Fetch an archive over HTTP and unpack it; a copy that is not whole is an error, never a result."""

import http.client
import logging
import urllib.error
import urllib.request
import zipfile
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from recbole_logq.errors import WorkError

CHUNK = 1 << 20
CONNECT_TIMEOUT = 15.0


class SourceError(WorkError):
    """One source of a data set did not deliver; another one may."""


def download(url: str, target: Path, timeout: float = CONNECT_TIMEOUT) -> None:
    """Stream `url` into the file `target`.

    Args:
        url: Address to fetch from.
        target: The file to write; its folder exists.
        timeout: Seconds to wait for the connection and for each block of data.

    Raises:
        SourceError: The server cannot be reached, refuses, stalls or closes the connection early.
    """
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response, target.open("wb") as out:
            size = _content_length(response.headers.get("Content-Length"))
            logging.getLogger().info("Downloading %s (%s)", url, _readable(size))
            # disable=None: no bar when the output is a file.
            with tqdm(total=size, unit="B", unit_scale=True, desc=target.name, disable=None) as bar:
                while block := response.read(CHUNK):
                    out.write(block)
                    bar.update(len(block))
            received = out.tell()
    except urllib.error.URLError as error:  # HTTPError included
        raise SourceError(f"{url}: {getattr(error, 'reason', error)}") from error
    except (OSError, http.client.HTTPException) as error:
        raise SourceError(f"{url}: {error or type(error).__name__}") from error
    # http.client reports a connection closed early as the end of the data.
    if size is not None and received != size:
        raise SourceError(f"{url}: the connection closed after {received:,} of {size:,} bytes")


def extract_zip(archive: Path, folder: Path) -> None:
    """Unpack `archive` into `folder`.

    Raises:
        SourceError: The archive is damaged, or a member's path leads out of `folder`.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            for name in opened.namelist():
                path = PurePosixPath(name.replace("\\", "/"))
                if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
                    raise SourceError(f"{archive.name}: refused, its member {name!r} leads out of the folder")
            opened.extractall(folder)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise SourceError(f"{archive.name}: not a readable zip archive ({error})") from error


def _content_length(header: str | None) -> int | None:
    return int(header) if header and header.isdigit() else None


def _readable(size: int | None) -> str:
    return "size unknown" if size is None else f"{size / 1e6:,.1f} MB"

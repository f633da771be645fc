"""The exported folder: which files it has, and that they are what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recbole_logq import __version__, files
from recbole_logq.errors import RequestError, WorkError

FORMAT = "recbole_logq export"
VERSION = 1
MANIFEST = "manifest.json"
VECTORS, ITEMS, USERS, ENCODER, CONTEXT, INDEX = (
    "item_vectors.npy",
    "items.parquet",
    "users.parquet",
    "encoder.pt2",
    "context.parquet",
    "index.faiss",
)
CONFIG, CARD = "config.json", "README.md"
_TOKENS = ("column", "token")
HISTORIES = {"train": 1, "valid": 2, "all": 3}
"""Up to what a folder knows of users, and how many parts of the split that is: what the model was trained on, what a
test of it knows, everything."""


def knows_users_by_id(manifest: dict[str, Any]) -> bool:
    """Whether the encoder knows a user by the id alone, so that a visitor with a history cannot be served."""
    return all(column["holds"] != "history" for column in manifest["columns"])


@contextmanager
def new_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which takes its place when everything is in it.

    Args:
        folder: Where it will be.
        overwrite: Whether an export that is there may be replaced.

    Raises:
        RequestError: Something else is there, or it cannot be written.
        WorkError: It could not be moved to its place.
    """
    check_target(folder, overwrite)
    try:
        with files.new_folder(folder) as scratch:
            yield scratch
    except (OSError, RuntimeError) as error:
        if isinstance(error, WorkError) or (reason := files.failed_write(error)) is None:
            raise
        raise files.not_written(folder, reason, "set --folder=FOLDER") from error


def check_target(folder: Path, overwrite: bool) -> None:
    """Refuse to put an export where something else is.

    Raises:
        RequestError: The folder holds something, and it is no export or must not be replaced.
    """
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder} is a file: give --folder=FOLDER")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not _is_export(folder):
        raise RequestError(f"{folder} holds other files than an export: give another --folder")
    if not overwrite:
        raise RequestError(f"{folder} holds an export: give another --folder, or --overwrite=true to replace it")


def _is_export(folder: Path) -> bool:
    """Whether a folder holds an export and nothing else: many a program's folder has a manifest.json."""
    known = {MANIFEST, VECTORS, ITEMS, USERS, ENCODER, CONTEXT, INDEX, CONFIG, CARD}
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    ours = isinstance(manifest, dict) and manifest.get("format") == FORMAT
    return ours and all(entry.name in known and not entry.is_dir() for entry in folder.iterdir())


def write_tables(
    folder: Path,
    items: Sequence[str],
    vectors: np.ndarray,
    users: Sequence[str],
    history: tuple[np.ndarray, np.ndarray],
    titles: Sequence[str | None] | None = None,
) -> None:
    """Write the catalogue and the users.

    Args:
        folder: An empty one.
        items: Original tokens; the first has id 1.
        vectors: float32 ``[n_items, d]``, in the same order.
        users: Original tokens; the first has id 1.
        history: Offsets ``[n_users + 1]`` into item ids, in time order.
        titles: Of the items, None where one has none.
    """
    np.save(folder / VECTORS, np.ascontiguousarray(vectors, dtype=np.float32), allow_pickle=False)
    table = {"item": pa.array(items, pa.string())}
    if titles is not None:
        table["title"] = pa.array(titles, pa.string())
    pq.write_table(pa.table(table), folder / ITEMS)
    lists = pa.LargeListArray.from_arrays(pa.array(history[0], pa.int64()), pa.array(history[1], pa.int32()))
    pq.write_table(pa.table({"user": pa.array(users, pa.string()), "history": lists}), folder / USERS)


def write_context(folder: Path, tokens: Mapping[str, Sequence[str]]) -> None:
    """Write the tokens of the columns that the query reads of a request, by column; the first has id 1."""
    rows = [(name, token) for name, known in tokens.items() for token in known]
    columns = {name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(_TOKENS)}
    pq.write_table(pa.table(columns), folder / CONTEXT)


def read_context(folder: Path) -> dict[str, list[str]]:
    """What :func:`write_context` wrote."""
    found: dict[str, list[str]] = {}
    columns = pq.read_table(folder / CONTEXT).to_pydict()
    for name, token in zip(*(columns[name] for name in _TOKENS), strict=True):
        found.setdefault(name, []).append(token)
    return found


def write_manifest(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Describe what is in a folder; its files are read and hashed."""
    names = (VECTORS, ITEMS, USERS, ENCODER, CONTEXT, INDEX)
    sealed = {name: _seal(folder / name) for name in names if (folder / name).is_file()}
    manifest = {"format": FORMAT, "format_version": VERSION, "recbole_logq": __version__, **content, "files": sealed}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path, verify: bool = True) -> dict[str, Any]:
    """What is in a folder.

    Args:
        folder: An exported one.
        verify: Whether to read all files once and compare their SHA-256.

    Raises:
        RequestError: It is no exported folder, of another version, or a file is missing or damaged.
    """
    if not folder.is_dir():
        raise RequestError(
            f"no folder at {folder}: `export` makes one" if not folder.exists() else f"{folder} is a file"
        )
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        version, listed = manifest["format_version"], manifest["files"]
        sealed = {name: (int(one["bytes"]), str(one["sha256"])) for name, one in listed.items()}
        ours = manifest["format"] == FORMAT
    except FileNotFoundError as error:
        raise RequestError(f"{folder} has no {MANIFEST}: it is no folder of `export`") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"{folder / MANIFEST} is damaged: export again") from error
    if not ours or version != VERSION:
        raise RequestError(
            f"{folder} is an export of format {version!r}, and recbole_logq {__version__} reads {VERSION}: export again"
        )
    for name in (VECTORS, ITEMS, USERS, ENCODER):
        if name not in sealed:
            raise RequestError(f"{folder / MANIFEST} does not list {name}: export again")
    for name, (size, digest) in sealed.items():
        if name != Path(name).name or not (folder / name).is_file():
            raise RequestError(f"{folder} has no {name}: copy it again, or export again")
        if (folder / name).stat().st_size != size or (verify and _seal(folder / name)["sha256"] != digest):
            raise RequestError(f"{folder / name} is not the file that was exported: copy it again, or export again")
    return manifest


def _seal(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}

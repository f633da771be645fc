"""The exported folder: which files it has, and that they are what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recbole_logq import files
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.serving.json_file import read_json
from recbole_logq.serving.manifest import FORMAT, VERSION, FileSeal, Manifest
from recbole_logq.serving.plain import first_problem
from recbole_logq.version import __version__

MANIFEST = "manifest.json"
VECTORS, ITEMS, USERS, ENCODER, CONTEXT, INDEX, TIMES, ITEM_ENCODER, SECOND = (
    "item_vectors.npy",
    "items.parquet",
    "users.parquet",
    "encoder.safetensors",
    "context.parquet",
    "index.safetensors",
    "times.safetensors",
    "item_encoder.safetensors",
    "second_histories.safetensors",
)
CONFIG, CARD = "config.json", "README.md"
SEALED = (VECTORS, ITEMS, USERS, ENCODER, CONFIG)
"""Files that every folder has and the manifest lists; the card is for people, and is not read."""
OF_FORMAT_1 = ("encoder.pt2", "index.faiss")
"""Files of older exports, which are not opened but may be replaced."""
HISTORIES = {"train": 1, "valid": 2, "all": 3}
"""Up to what a folder knows of users, and how many parts of the split that is: what the model was trained on, what a
test of it knows, everything."""


@contextmanager
def new_folder(folder: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to fill, which takes its place when everything is in it.

    Args:
        folder: Place of the finished folder.
        overwrite: Whether an export that is there may be replaced.

    Raises:
        RequestError: Something else is there, or it cannot be written.
        WorkError: The folder could not be moved to its place.
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


def check_writable(folder: Path) -> None:
    """Refuse a place that a folder cannot be made in.

    Raises:
        RequestError: It cannot be written.
    """
    try:
        with files.scratch_folder(folder.absolute().parent, folder.name):
            pass
    except OSError as error:
        raise RequestError(f"cannot write {folder}: {error.strerror}; set --folder=FOLDER") from error


def _is_export(folder: Path) -> bool:
    """Whether a folder holds an export and nothing else: many a program's folder has a manifest.json."""
    known = {MANIFEST, *SEALED, CONTEXT, INDEX, TIMES, ITEM_ENCODER, SECOND, CARD, *OF_FORMAT_1}
    try:
        ours = read_json(folder / MANIFEST).get("format") == FORMAT
    except RequestError:
        return False
    return ours and all(entry.name in known and not entry.is_dir() for entry in folder.iterdir())


def write_manifest(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Describe what is in a folder; its files are read and hashed.

    Raises:
        RequestError: The content is none that a folder may have.
    """
    names = (*SEALED, CONTEXT, INDEX, TIMES, ITEM_ENCODER, SECOND)
    sealed = {name: _seal(folder / name) for name in names if (folder / name).is_file()}
    manifest = {"format": FORMAT, "format_version": VERSION, "recbole_logq": __version__, **content, "files": sealed}
    try:
        Manifest.model_validate(manifest)
    except ValidationError as error:
        raise RequestError(f"{content['model']} cannot be exported: {first_problem(error)}") from error
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return manifest


def read_manifest(folder: Path, verify: bool = True) -> Manifest:
    """What is in a folder.

    Args:
        folder: An exported one.
        verify: Whether to read all files once and compare their SHA-256.

    Raises:
        RequestError: The folder is no exported one or of another version, or a file is missing or damaged.
    """
    if not folder.is_dir():
        raise RequestError(
            f"no folder at {folder}: `export` makes one" if not folder.exists() else f"{folder} is a file"
        )
    if not (folder / MANIFEST).exists():
        raise RequestError(f"{folder} has no {MANIFEST}: it is no folder of `export`")
    _check_place(folder, MANIFEST)
    content = read_json(folder / MANIFEST)
    version = content.get("format_version")
    if content.get("format") != FORMAT or type(version) is not int:
        raise RequestError(f"{folder / MANIFEST} is none that `export` has written: export again")
    if version != VERSION:
        raise RequestError(
            f"{folder} is an export of format {version}, and recbole_logq {__version__} reads {VERSION}: export again"
        )
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        raise RequestError(f"{folder / MANIFEST} is damaged: {first_problem(error)}; export again") from error
    expected = {*SEALED, *_further(manifest)}
    if strange := sorted(manifest.files.keys() ^ expected):
        verb = "does not list" if strange[0] in expected else "lists"
        raise RequestError(f"{folder / MANIFEST} {verb} {strange[0]}: export again")
    for name, seal in manifest.files.items():
        _check_file(folder, name, seal, verify)
    config = read_json(folder / CONFIG)
    if (config.get("model"), config.get("dataset")) != (manifest.model, manifest.data.dataset):
        raise RequestError(f"{folder / CONFIG} is of another model: export again")
    return manifest


def _further(manifest: Manifest) -> Iterator[str]:
    if any(column.type == "token" for column in manifest.encoder.context_columns):
        yield CONTEXT
    if manifest.encoder.moments.reads_times:
        yield TIMES
    if manifest.encoder.second_columns:
        yield SECOND
    if manifest.item_texts is not None:
        yield ITEM_ENCODER
    if manifest.index.name != "exact":
        yield INDEX


def _check_file(folder: Path, name: str, seal: FileSeal, verify: bool) -> None:
    _check_place(folder, name)
    size = (folder / name).stat().st_size
    if size != seal.bytes or (verify and _seal(folder / name)["sha256"] != seal.sha256):
        raise RequestError(f"{folder / name} is not the file that was exported: copy it again, or export again")


def _check_place(folder: Path, name: str) -> None:
    path = folder / name
    if not path.is_file():
        raise RequestError(f"{folder} has no {name}: copy it again, or export again")
    if path.resolve().parent != folder.resolve():
        raise RequestError(f"{path} is a link out of the folder: copy the file itself there")


def _seal(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": digest}

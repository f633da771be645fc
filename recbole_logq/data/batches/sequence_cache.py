"""Users' sequences in files that are mapped into memory, for data that does not fit there; numpy and torch only.

A cache is a folder: ``items.npy`` (int32, all sequences one after the other, each in time order), ``offsets.npy``
(int64 ``[users + 1]``, where each begins) and ``meta.json`` (version, counts, fingerprint).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.files import new_folder

VERSION = 1
_TYPES: dict[str, np.dtype] = {"items": np.dtype("<i4"), "offsets": np.dtype("<i8")}
_BLOCK = 1 << 24  # bytes hashed at a time


class SequenceCache:
    """An opened cache; nothing of it is read until it is asked for.

    Attributes:
        items: Items, memory-mapped int32 ``[interactions]``; ids from 1 up, as 0 is padding.
        offsets: Starts of the users' sequences, memory-mapped int64 ``[users + 1]``.
        n_items: Largest id + 1.
        fingerprint: sha256 of the contents, 64 hexadecimal digits.
    """

    def __init__(self, items: Tensor, offsets: Tensor, n_items: int, fingerprint: str) -> None:
        self.items, self.offsets = items, offsets
        self.n_items, self.fingerprint = n_items, fingerprint

    @property
    def n_users(self) -> int:
        """Sequences, empty ones included."""
        return len(self.offsets) - 1

    @classmethod
    def write(cls, folder: str | Path, chunks: Iterable[tuple[np.ndarray, np.ndarray]]) -> SequenceCache:
        """Make a cache of any size in the memory of one chunk; a folder that is there is a whole cache.

        Args:
            folder: Folder to make; nothing may be there yet.
            chunks: Items and lengths of consecutive users: whole numbers ``[interactions of the chunk]`` from 1 up, and
                ``[users of the chunk]`` that sum to them.

        Raises:
            RequestError: The folder exists, or a chunk is not like that.
        """
        folder = Path(folder)
        if folder.exists():
            raise RequestError(f"{folder} exists: delete it, or write the cache to another folder")
        with new_folder(folder, replace=False) as unfinished:
            _write(unfinished, chunks)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: str | Path, verify: bool = False) -> SequenceCache:
        """Map a cache.

        Args:
            folder: Folder that :meth:`write` made.
            verify: Whether to read everything once and hold it against the fingerprint; otherwise only versions, types
                and sizes are looked at.

        Raises:
            RequestError: The folder is no cache, or not as it was written.
        """
        folder = Path(folder)
        meta = _read_meta(folder)
        arrays = {name: _map(folder / f"{name}.npy", dtype) for name, dtype in _TYPES.items()}
        items, offsets = arrays["items"], arrays["offsets"]
        expected = (meta["interactions"], meta["users"] + 1)
        if (len(items), len(offsets)) != expected or (offsets[0], offsets[-1]) != (0, len(items)):
            raise RequestError(f"{folder} is damaged: its files do not fit its meta.json; write it anew")
        if verify:
            digests = {name: _digest(array) for name, array in arrays.items()}
            if _fingerprint(meta, digests) != meta["fingerprint"]:
                raise RequestError(f"{folder} is damaged: its contents do not have its fingerprint; write it anew")
        return cls(torch.from_numpy(items), torch.from_numpy(offsets), meta["n_items"], meta["fingerprint"])


class _GrowingFile:
    """A ``.npy`` file written piece by piece."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self._file, self._dtype = path.open("wb"), dtype
        self.length, self.hash = 0, hashlib.sha256()
        self._write_header()

    def append(self, values: np.ndarray) -> None:
        data = np.ascontiguousarray(values, dtype=self._dtype)
        self._file.write(data.data)
        self.hash.update(data.data)
        self.length += len(data)

    def close(self) -> None:
        # numpy leaves room in the header for the first axis to grow, for this use.
        self._file.seek(0)
        self._write_header()
        self._file.close()

    def _write_header(self) -> None:
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(self._file, header)


def _write(folder: Path, chunks: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
    files = {name: _GrowingFile(folder / f"{name}.npy", dtype) for name, dtype in _TYPES.items()}
    items, offsets = files["items"], files["offsets"]
    largest = 0
    try:
        offsets.append(np.zeros(1))
        for ids, lengths in chunks:
            _check_chunk(ids, lengths)
            offsets.append(items.length + np.cumsum(lengths, dtype=np.int64))
            items.append(ids)
            largest = max(largest, int(ids.max(initial=0)))
    finally:
        for file in files.values():
            file.close()
    if not largest:
        raise RequestError("a cache of sequences needs at least one interaction, and the chunks hold none")
    meta: dict[str, Any] = {"version": VERSION, "users": offsets.length - 1, "interactions": items.length}
    meta |= {"n_items": largest + 1, "dtype": {name: dtype.str for name, dtype in _TYPES.items()}}
    meta["fingerprint"] = _fingerprint(meta, {name: file.hash.hexdigest() for name, file in files.items()})
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


def _check_chunk(ids: np.ndarray, lengths: np.ndarray) -> None:
    if not all(np.issubdtype(array.dtype, np.integer) and array.ndim == 1 for array in (ids, lengths)):
        raise RequestError("a chunk of sequences is two lists of whole numbers: items, and lengths")
    if lengths.min(initial=0) < 0 or lengths.sum() != len(ids):
        raise RequestError(f"a chunk of sequences has {len(ids)} items and lengths that sum to {lengths.sum()}")
    if ids.min(initial=1) < 1 or ids.max(initial=1) > np.iinfo(np.int32).max:
        raise RequestError(f"item ids go from 1 to 2^31 - 1, found {ids.min()} to {ids.max()}")


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"{folder} is no cache of sequences: its meta.json cannot be read") from error
    except ValueError:
        meta = None
    version = meta.get("version") if isinstance(meta, dict) else None
    if type(version) is int and version != VERSION:
        raise RequestError(f"{folder} is a cache of version {version}, and this reads version {VERSION}: write it anew")
    kinds = {"version": int, "users": int, "interactions": int, "n_items": int, "fingerprint": str}
    if not isinstance(meta, dict) or any(type(meta.get(key)) is not kind for key, kind in kinds.items()):
        raise RequestError(f"{folder} is damaged: its meta.json is not what was written; write it anew")
    return meta


def _map(path: Path, dtype: np.dtype) -> np.ndarray:
    try:
        # Copy on write: torch takes no read-only array, and nothing ever reaches the file.
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RequestError(f"{path} is missing, cut short or no array: write the cache anew") from error
    if array.dtype != dtype or array.ndim != 1:
        raise RequestError(f"{path} holds {array.dtype} {list(array.shape)}, not {dtype}: write the cache anew")
    if path.stat().st_size != array.offset + array.nbytes:
        raise RequestError(f"{path} is longer than its array: write the cache anew")
    return array


def _digest(array: np.ndarray) -> str:
    digest, step = hashlib.sha256(), _BLOCK // array.itemsize
    for start in range(0, len(array), step):
        digest.update(array[start : start + step].data)
    return digest.hexdigest()


def _fingerprint(meta: dict[str, Any], digests: dict[str, str]) -> str:
    known = {key: value for key, value in meta.items() if key != "fingerprint"}
    return hashlib.sha256(json.dumps([known, digests], sort_keys=True).encode()).hexdigest()

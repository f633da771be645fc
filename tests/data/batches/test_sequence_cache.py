"""A cache of sequences: what went in comes out, and what was altered is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_logq.data.batches.sequence_cache import SequenceCache
from recbole_logq.errors import RequestError

Chunk = tuple[np.ndarray, np.ndarray]
SEQUENCES = [[5, 1, 2], [], [7], [2, 2, 9, 1]]


def chunks(*sizes: int) -> Iterator[Chunk]:
    """The sequences, so many users a chunk."""
    rest = SEQUENCES
    for size in sizes:
        part, rest = rest[:size], rest[size:]
        yield np.array([item for ids in part for item in ids], dtype=np.int64), np.array([len(ids) for ids in part])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SequenceCache.write(tmp_path / "cache", chunks(1, 3))
    return tmp_path / "cache"


@pytest.mark.parametrize("sizes", [(4,), (1, 3), (2, 1, 1), (1, 1, 1, 1)])
def test_round_trip(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    written = SequenceCache.write(tmp_path / "a" / "cache", chunks(*sizes))
    cache = SequenceCache.open(tmp_path / "a" / "cache", verify=True)
    assert (cache.n_users, cache.n_items) == (4, 10)
    bounds = cache.offsets.tolist()
    assert [cache.items[low:high].tolist() for low, high in pairwise(bounds)] == SEQUENCES
    assert (cache.items.dtype, cache.offsets.dtype) == (torch.int32, torch.int64)
    # How it was cut into chunks leaves no trace, and nothing is left beside it.
    assert cache.fingerprint == written.fingerprint == SequenceCache.write(tmp_path / "b", chunks(4)).fingerprint
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["cache"]


def test_the_files_are_plain_numpy(folder: Path) -> None:
    assert np.load(folder / "items.npy").tolist() == [item for ids in SEQUENCES for item in ids]
    assert np.load(folder / "offsets.npy").tolist() == [0, 3, 3, 4, 8]


def test_writing_to_what_was_mapped_never_reaches_the_file(folder: Path) -> None:
    SequenceCache.open(folder).items[0] = 3
    assert SequenceCache.open(folder, verify=True).items[0] == 5


def test_another_order_of_users_is_another_fingerprint(folder: Path, tmp_path: Path) -> None:
    whole = next(chunks(4))
    moved = SequenceCache.write(tmp_path / "moved", [(whole[0], whole[1][::-1])])
    assert moved.fingerprint != SequenceCache.open(folder).fingerprint


@pytest.mark.parametrize(("file", "position"), [("items.npy", -9), ("offsets.npy", -16)])
def test_an_altered_byte_is_found_on_request(folder: Path, file: str, position: int) -> None:
    content = bytearray((folder / file).read_bytes())
    content[position] ^= 1
    (folder / file).write_bytes(content)
    SequenceCache.open(folder)  # cheap, so it does not read everything
    with pytest.raises(RequestError, match="its contents do not have its fingerprint; write it anew"):
        SequenceCache.open(folder, verify=True)


def test_an_altered_number_of_items_is_found_on_request(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | {"n_items": 3}))
    with pytest.raises(RequestError, match="fingerprint"):
        SequenceCache.open(folder, verify=True)


@pytest.mark.parametrize("file", ["items.npy", "offsets.npy", "meta.json"])
@pytest.mark.parametrize("change", ["cut", "longer", "empty", "gone"])
def test_files_of_another_size_are_found_at_once(folder: Path, file: str, change: str) -> None:
    content = (folder / file).read_bytes()
    if change == "gone":
        (folder / file).unlink()
    else:
        (folder / file).write_bytes({"cut": content[:-5], "longer": content + b"0000", "empty": b""}[change])
    with pytest.raises(RequestError) as caught:
        SequenceCache.open(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "a cache of version 2, and this reads version 1"),
        ({"users": 3}, "its files do not fit its meta.json"),
        ({"users": "4"}, "meta.json is not what was written"),
        ({"interactions": 9}, "its files do not fit its meta.json"),
    ],
    ids=str,
)
def test_a_meta_file_that_does_not_fit(folder: Path, change: dict[str, object], message: str) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | change))
    with pytest.raises(RequestError, match=message):
        SequenceCache.open(folder)


def test_arrays_of_another_kind(folder: Path) -> None:
    np.save(folder / "items.npy", np.arange(8))
    with pytest.raises(RequestError, match=r"holds int64 \[8\], not int32"):
        SequenceCache.open(folder)
    np.save(folder / "items.npy", np.array([{}] * 8), allow_pickle=True)
    with pytest.raises(RequestError, match="no array"):  # a pickle is not loaded
        SequenceCache.open(folder)


@pytest.mark.parametrize(
    ("items", "lengths", "message"),
    [
        ([1, 2], [1], "2 items and lengths that sum to 1"),
        ([1, 2], [3, -1], "2 items and lengths that sum to 2"),
        ([1, 0], [2], "item ids go from 1 to 2.31 - 1, found 0 to 1"),
        ([1, 2**31], [2], "found 1 to 2147483648"),
        ([1.0, 2.0], [2], "two lists of whole numbers"),
    ],
)
def test_chunks_that_are_none_leave_nothing_behind(
    tmp_path: Path, items: list[int], lengths: list[int], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        SequenceCache.write(tmp_path / "cache", [next(chunks(2)), (np.array(items), np.array(lengths))])
    assert not list(tmp_path.iterdir())


def test_a_cache_of_nothing_and_a_cache_in_the_way(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="at least one interaction"):
        SequenceCache.write(tmp_path / "nothing", [])
    with pytest.raises(RequestError, match="exists: delete it"):
        SequenceCache.write(folder, chunks(4))


@pytest.mark.slow
def test_no_recbole_is_needed() -> None:
    code = "import sys; import recbole_logq.data.batches.sequence_batches; assert 'recbole' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Files that are there as a whole or not at all, and what killed processes have left of others."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from recbole_logq import files
from recbole_logq.errors import WorkError
from recbole_logq.files import new_file, new_folder, not_written, remove_left_behind, scratch_folder, write_text

GONE = 2**22 + 5  # beyond the numbers that processes have


def name_of(pid: int, machine: str | None = None, kind: str = "tmp", name: str = "out.json") -> str:
    return f".{name}.{machine or files._machine()}-{pid}-0123abcd.{kind}"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, SystemExit])
def test_what_is_not_finished_is_taken_away(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "out.json").write_text("earlier")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "earlier").touch()

    def write(path: Path) -> None:
        path.write_text("half")
        raise error

    with pytest.raises(error), new_file(tmp_path / "out.json") as file:
        write(file)
    for begin in (new_folder(tmp_path / "out"), scratch_folder(tmp_path, "out")):
        with pytest.raises(error), begin as folder:
            write(folder / "file")
    assert names(tmp_path) == ["out", "out.json"]
    assert (tmp_path / "out.json").read_text() == "earlier"
    assert names(tmp_path / "out") == ["earlier"]


def test_what_is_finished_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    write_text(tmp_path / "new" / "out.json", "one")
    write_text(tmp_path / "new" / "out.json", "two")
    for content in ("one", "two"):
        with new_folder(tmp_path / "folder") as folder:
            (folder / content).touch()
    assert (tmp_path / "new" / "out.json").read_text() == "two"
    assert names(tmp_path) == ["folder", "new"]
    assert names(tmp_path / "folder") == ["two"]
    assert names(tmp_path / "new") == ["out.json"]


def test_a_folder_that_must_not_be_replaced_is_not(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "theirs").touch()
    with pytest.raises(OSError, match=r"not empty|exists"), new_folder(tmp_path / "folder", replace=False) as folder:
        (folder / "ours").touch()
    assert names(tmp_path / "folder") == ["theirs"]


def test_what_dead_processes_left_goes_and_the_rest_stays(tmp_path: Path) -> None:
    ours, theirs = files._machine(), "00000000"
    day = time.time() - 25 * 3600
    left = [
        name_of(GONE),
        name_of(GONE, name="folder"),
        name_of(GONE, theirs, name="a"),
        name_of(os.getpid(), name="re"),
    ]
    stays = [
        name_of(os.getpid()),
        name_of(GONE, theirs),
        name_of(os.getppid(), name="parent"),
        "out.json",
        ".out.json.tmp",
        f"out.json.{ours}-{GONE}-0123abcd.tmp",
        f".out.json.{ours}-{GONE}-0123abcd.txt",
    ]
    for name in [*left, *stays]:
        (tmp_path / name).mkdir() if "folder" in name else (tmp_path / name).touch()
    (tmp_path / left[1] / "inside").touch()
    os.utime(tmp_path / left[2], (day, day))
    os.utime(tmp_path / left[3], (0, 0))  # written before the process of that number began
    remove_left_behind(tmp_path)
    assert names(tmp_path) == sorted(stays)


def test_a_link_is_removed_and_not_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / name_of(GONE)).symlink_to(tmp_path / "kept")
    remove_left_behind(tmp_path)
    assert names(tmp_path) == ["kept"]
    assert names(tmp_path / "kept") == ["file"]


@pytest.mark.parametrize("there", [True, False])
def test_killed_between_two_renamings_the_earlier_folder_is_kept(tmp_path: Path, there: bool) -> None:
    old = tmp_path / name_of(GONE, kind="old", name="served")
    old.mkdir()
    (old / "earlier").touch()
    if there:
        (tmp_path / "served").mkdir()
    remove_left_behind(tmp_path)
    assert names(tmp_path) == ["served"]
    assert names(tmp_path / "served") == ([] if there else ["earlier"])


def test_the_next_writer_in_the_folder_cleans_it(tmp_path: Path) -> None:
    for number, write in enumerate((new_file, new_folder, lambda target: scratch_folder(target.parent))):
        (tmp_path / name_of(GONE)).touch()
        with write(tmp_path / f"other{number}") as path:
            path.touch()
        assert not (tmp_path / name_of(GONE)).exists()


def test_a_name_may_be_as_long_as_the_system_lets_it_be(tmp_path: Path) -> None:
    write_text(tmp_path / ("ö" * 120), "x")
    assert names(tmp_path) == ["ö" * 120]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "x"), "cannot write out: No space left on device; free some space"),
        (OSError(errno.EROFS, "x"), "cannot write out: Read-only file system; write elsewhere"),
        (OSError("512 requested and 0 written"), "cannot write out: not all of it was written; free some space"),
        (
            RuntimeError("[enforce fail at inline_container.cc:626] . PytorchStreamWriter failed writing file data/1"),
            "cannot write out: not all of it was written; free some space",
        ),
    ],
)
def test_why_it_could_not_be_written(error: Exception, line: str) -> None:
    assert str(not_written("out", error)) == line
    wrapped = ValueError("something else")
    wrapped.__cause__ = error
    assert files.failed_write(wrapped) is error
    assert files.failed_write(ValueError("something else")) is None


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkError, match=r"cannot write .*(Not a directory|exists)"):
        write_text(tmp_path / "file" / "out", "x")

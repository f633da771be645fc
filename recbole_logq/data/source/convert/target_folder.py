"""Where a converted dataset is written: what is there already, and which names it can have."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from recbole_logq.data.source.known_datasets import PACKAGED
from recbole_logq.errors import RequestError

# What Windows keeps for itself, whatever stands behind a dot: a dataset should not depend on where it was made.
_RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}


def check_folder(folder: Path, target: Path, overwrite: bool, replaced: Collection[str]) -> None:
    """Refuse to write into a folder where something else is, or where files of other interactions would stay.

    Args:
        folder: folder of the dataset.
        target: its file of interactions.
        overwrite: whether the dataset may be replaced.
        replaced: names of the files that are written.

    Raises:
        RequestError: It must not be written there.
    """
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise RequestError(f"{folder} is no folder: give another --dataset")
        return
    names = sorted(path.name for path in folder.iterdir())
    companions = [name for name in names if name.startswith(f"{folder.name}.") and name not in replaced]
    if names and not target.exists():
        raise RequestError(
            f"{folder} holds {names[0]} and no {target.name}, so there is no dataset to replace: give another "
            "--dataset, or take out what is there"
        )
    if names and not overwrite:
        raise RequestError(f"{folder} exists already: give another --dataset, or set --overwrite=true to replace it")
    if companions:
        raise RequestError(
            f"{folder} also holds {', '.join(companions)}, of the interactions that would be replaced and read with "
            "the new ones: take them out, and put back what fits the new ones, or give another --dataset"
        )


def check_name(dataset: str) -> None:
    """Refuse what is no name of a dataset on every system.

    Raises:
        RequestError: The name is not usable everywhere, or RecBole's own.
    """
    plain = dataset and not set(dataset) & set('/\\:*?"<>|') and dataset.isprintable()
    if not plain or dataset.startswith(".") or dataset != dataset.rstrip(". "):
        raise RequestError(f"dataset={dataset!r}: give a plain name")
    if dataset.split(".")[0].lower() in _RESERVED:
        raise RequestError(f"dataset={dataset!r}: no folder can have that name on Windows, give another")
    if dataset == PACKAGED:
        raise RequestError(f"dataset={dataset}: RecBole always reads its own copy under that name, give another")

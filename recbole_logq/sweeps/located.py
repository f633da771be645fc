"""The results of a sweep as they are stored, and as they are where the sweep lies now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recbole_logq.errors import RequestError
from recbole_logq.experiment.run_store import problem_of
from recbole_logq.sweeps.paths import inside, stored
from recbole_logq.sweeps.trial_schema import SweepResult


def read_results(file: Path) -> dict[str, Any]:
    """The content of ``results.json``.

    Raises:
        RequestError: The file is something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        SweepResult.model_validate(content)
    except ValidationError as error:
        raise RequestError(
            f"{file} holds no results of a sweep ({problem_of(error)}): remove it, and --resume writes it anew"
        ) from error
    except (OSError, ValueError) as error:
        raise RequestError(f"{file} is damaged: remove it, and --resume writes it anew") from error
    return dict(content)


def located(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same with the paths of today: a sweep may have been copied or moved, and its files name no other place."""
    return {**content, "folder": str(folder), "searches": [_located(search, folder) for search in content["searches"]]}


def _located(search: dict[str, Any], folder: Path) -> dict[str, Any]:
    place = folder / Path(str(search["best"])).parent.name if search["best"] else folder
    trials = [
        {**trial, **{key: _path(place, trial.get(key)) for key in ("folder", "checkpoint")}}
        for trial in search["trials"]
    ]
    return {**search, "best": str(place / "best.yaml") if search["best"] else None, "trials": trials}


def _path(place: Path, name: Any) -> str | None:
    path = inside(place, stored(place, name))
    return None if path is None else str(path)

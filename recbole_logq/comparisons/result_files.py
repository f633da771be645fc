"""Results side by side, once it is certain that they were measured on the same test set in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recbole_logq.comparisons.run_record import Measurement
from recbole_logq.data.dataset.protocol import require_common
from recbole_logq.errors import RequestError
from recbole_logq.experiment.run_store import problem_of
from recbole_logq.parsing import read_json


def compare_files(files: Sequence[str | Path]) -> list[dict[str, Any]]:
    """The results in files that ``run --output`` wrote, which can stand side by side.

    Raises:
        RequestError: A file is no such result, or the results were not measured the same way.
    """
    results = [_read(Path(file)) for file in files]
    if len(results) < 2:
        raise RequestError('compare needs two results or more: --results="a.json b.json"')
    require_common(results)
    return results


def _read(path: Path) -> dict[str, Any]:
    result = read_json(path)
    if not isinstance(result, dict):
        raise RequestError(f"{path} is no result of run --output")
    missing = {"model", "dataset", "seed", "test_result", "fingerprint", "protocol"} - set(result)
    if missing:
        raise RequestError(f"{path} is no result of run --output: it has no {min(missing)}")
    for key in ("test_result", "fingerprint", "protocol"):
        if not isinstance(result[key], dict):
            raise RequestError(f"{path} is no result of run --output: its {key} is no mapping")
    try:
        Measurement.model_validate(result)
    except ValidationError as error:
        raise RequestError(f"{path} is no result of run --output: {problem_of(error)}") from error
    return result

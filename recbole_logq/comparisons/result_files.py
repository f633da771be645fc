"""Results side by side, once it is certain that they were measured on the same test set in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from recbole_logq.comparisons.run_record import Measurement, problem_of
from recbole_logq.data.dataset.protocol import require_common
from recbole_logq.errors import RequestError
from recbole_logq.markup import in_markdown
from recbole_logq.parsing import read_json


def compare_files(files: Sequence[str | Path]) -> str:
    """A table of the test results in files that ``run --output`` wrote, a line each.

    Raises:
        RequestError: A file is no such result, or the results were not measured the same way.
    """
    results = [_read(Path(file)) for file in files]
    if len(results) < 2:
        raise RequestError('compare needs two results or more: --results="a.json b.json"')
    require_common(results)
    return table(results)


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


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown, with protocol and test fingerprint below."""
    metrics = [name for name in results[0]["test_result"] if all(name in one["test_result"] for one in results)]
    lines = ["| model | seed | " + " | ".join(map(in_markdown, metrics)) + " |", "|---" * (len(metrics) + 2) + "|"]
    for one in results:
        values = " | ".join(f"{one['test_result'][name]:.4f}" for name in metrics)
        lines.append(f"| {in_markdown(one['model'])} | {in_markdown(one['seed'])} | {values} |")
    prints = ", ".join(dict.fromkeys(one["fingerprint"]["test"] for one in results))
    protocol = ", ".join(f"{key}: {value}" for key, value in results[0]["protocol"].items())
    return "\n".join([*lines, "", in_markdown(f"{results[0]['dataset']}; {protocol}; test set {prints}")])

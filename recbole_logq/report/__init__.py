"""The report on the records of runs: a page, Markdown, a table and everything as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_logq.files import write_text
from recbole_logq.report import comparison_tables
from recbole_logq.report.comparison_page import comparison_page
from recbole_logq.report.curves import by_decile
from recbole_logq.report.markdown import markdown
from recbole_logq.report.summary import Entry, Record, Summary, summarise


def write_report(
    records: Sequence[Record], comparisons: Sequence[dict[str, Any]], folder: str | Path, title: str
) -> list[Path]:
    """Write ``report.html``, ``report.csv``, ``report.json`` and ``report.md``, each whole or not at all.

    Args:
        records: One a run, of any number of models, data sets and seeds: ``name`` (the label in the table), ``model``,
            ``dataset``, ``seed``, ``status`` (``done`` or ``failed``), ``error`` (a line or None), ``command``; and of
            runs that are done ``measures`` (numbers by metric, and ``recall@10_by_decile`` with ``targets_by_decile``,
            10 each, the least popular items first) and ``result`` as :func:`recbole_logq.run` returns it.
        comparisons: Tests against a reference: ``name``, ``reference``, ``metric``, ``difference``, ``low``, ``high``,
            ``p_users``, ``p_seeds``, ``verdict``, and ``dataset`` where there are several; ``users`` and
            ``users_left_out``, how many were tested, may be left out. The metric of the first decides the order of the
            table; without any it is ndcg@10.
        folder: Folder of the report, made where it does not exist.
        title: Title of the report.

    Returns:
        The four files.

    Raises:
        RequestError: The runs cannot stand in one table.
        WorkError: The folder cannot be written.
    """
    summaries = summarise(records, comparisons)
    content = {
        "report.html": comparison_page(summaries, title),
        "report.csv": comparison_tables.csv_text(summaries),
        "report.json": json.dumps(_finite(_whole(summaries, records, title)), indent=1, allow_nan=False) + "\n",
        "report.md": markdown(summaries, title),
    }
    paths = [Path(folder) / name for name in content]
    for path in paths:
        write_text(path, content[path.name])
    return paths


def _whole(summaries: Sequence[Summary], records: Sequence[Record], title: str) -> dict[str, Any]:
    return {
        "title": title,
        "datasets": [
            {
                "dataset": summary.dataset,
                "primary": summary.primary,
                "protocol": summary.protocol,
                "fingerprints": summary.fingerprints(),
                "entries": [_entry(entry) for entry in summary.entries],
                "comparisons": summary.comparisons,
            }
            for summary in summaries
        ],
        "versions": comparison_tables.versions(summaries),
        # Without users and their values: there may be millions, and their names are not for every reader of a report.
        "runs": [
            {key: value for key, value in record.items() if key not in ("users", "per_user")} for record in records
        ],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "model": entry.model,
        "seeds": [run["seed"] for run in entry.runs],
        "failed": [{"seed": run["seed"], "error": run["error"]} for run in entry.failed],
        "values": {metric: value._asdict() for metric, value in entry.values.items()},
        "recall@10_by_decile": dict(by_decile(entry.runs)),
    }


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is not finite becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value

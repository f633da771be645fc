"""Audits of ml-100k, ml-1m and Sports, stored and set side by side.

uv run benchmarks/audits.py            # audit what is missing (Sports: see quality_sports.py), then the table
uv run benchmarks/audits.py --table
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from recbole_logq.audits.audit_page import TITLES, readable
from recbole_logq.audits.time_order_audit import audit
from recbole_logq.markup import markdown_table

RESULTS = Path(__file__).parent / "results" / "audits"
# RecBole's packaged settings of ml-100k bring times to [0, 1], which those of no other dataset do.
DATASETS: dict[str, tuple[str, dict[str, Any]]] = {
    "ml-100k": ("ml-100k", {}),
    "ml-100k, normalize_all off": ("ml-100k", {"normalize_all": False}),
    "ml-1m": ("ml-1m", {}),
    "sports": ("sports", {}),
}


def table() -> str:
    """One column a dataset."""
    stored = {name: _file(name) for name in DATASETS if _file(name).is_file()}
    reports: list[dict[str, Any]] = [json.loads(file.read_text(encoding="utf-8")) for file in stored.values()]
    rows = []
    for section, title in TITLES.items():
        rows.append([f"**{title}**", *[""] * len(reports)])
        for name in dict.fromkeys(name for report in reports for name in report.get(section, {})):
            values = (readable(name, report.get(section, {}).get(name, "-")) for report in reports)
            rows.append([name, *values])
    return markdown_table(["", *stored], rows)


def _file(name: str) -> Path:
    return RESULTS / f"{name.replace(', ', '-').replace(' ', '-')}.json"


def main() -> None:
    """Audit what is missing, then print."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name, (dataset, settings) in DATASETS.items():
        if "--table" not in sys.argv and not _file(name).is_file():
            report = audit(dataset, config_dict=settings)
            _file(name).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table())


if __name__ == "__main__":
    main()

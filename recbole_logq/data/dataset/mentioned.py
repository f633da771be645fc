"""Columns that settings mention and nobody would miss: RecBole passes over a name that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_logq.data.source.header import declared
from recbole_logq.errors import RequestError


def check_mentioned(dataset: Any, config: Any) -> None:
    """Refuse names of columns that are not there, in settings that would then change nothing.

    Args:
        dataset: Dataset that was just loaded.
        config: The checked settings.

    Raises:
        RequestError: A setting names a column that is missing; the message names both.
    """
    columns_of = {"seq_len": config["seq_len"] or []}
    columns_of |= {f"unused_col.{suffix}": columns or [] for suffix, columns in (config["unused_col"] or {}).items()}
    for key, columns in columns_of.items():
        for column in columns:
            if column not in dataset.field2type:
                raise RequestError(f"{key}: {config['dataset']} has no column {column!r}, or load_col leaves it out")
    for suffix, columns in (config["unload_col"] or {}).items():
        known = _columns(config, suffix)
        for column in columns or []:
            if column not in known:
                have = ", ".join(known) or "no such file"
                raise RequestError(f"unload_col.{suffix}: {config['dataset']} has no column {column!r} there: {have}")


def _columns(config: Any, suffix: str) -> list[str]:
    files = Path(config["data_path"]).glob(f"*.{suffix}")
    return list(dict.fromkeys(name for file in sorted(files) for name in declared(file, config)))

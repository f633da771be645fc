"""Whether the tables of ids get sparse gradients."""

from __future__ import annotations

from typing import Any

from recbole_logq.registry import losses

SPARSE_FROM = 50_000
"""Rows from which ``sparse_embeddings: auto`` is sparse: below, Adam over the whole table costs hardly more than
merging the rows of a step does (benchmarks/flat_in_catalogue.py)."""


def has_sparse_tables(values: Any, n_rows: int, over_catalogue: bool) -> bool:
    """Whether a table of ``n_rows`` ids has sparse gradients under these settings.

    Args:
        values: The checked settings.
        n_rows: Rows of the largest table.
        over_catalogue: Whether the loss is over all items.
    """
    setting = values["sparse_embeddings"]
    if setting != "auto":
        return bool(setting)
    return n_rows >= SPARSE_FROM and reason_against(values, over_catalogue) is None


def sparse_rule(config: Any, n_rows: int) -> bool:
    """Whether tables of at most ``n_rows`` ids or tokens get sparse gradients; decided before they are made."""
    return has_sparse_tables(config, n_rows, losses.get(config["loss"]).over_catalogue)


def reason_against(values: Any, over_catalogue: bool) -> str | None:
    """Why sparse gradients make no sense with other settings; None where they do."""
    if over_catalogue:
        return f"loss={values['loss']} has a gradient for every item; leave it out"
    if values["learner"] not in {"adam", "adamw"}:
        return f"learner={values['learner']} has no sparse form; set learner=adam"
    if values["weight_decay"]:
        return f"weight_decay={values['weight_decay']} is about all rows in every step; set one of them only"
    return None

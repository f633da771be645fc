"""Settings in layers: what files, plans and options set, put on top of each other."""

from __future__ import annotations

from typing import Any

Layer = dict[str, Any]


def over(low: Layer, high: Layer, sections: tuple[str, ...] | None = None) -> Layer:
    """Settings with others on top, which change parts of sections such as ``negatives`` and leave the rest of them.

    Args:
        low: Settings below.
        high: Settings that win.
        sections: Names of the sections that are merged; all by default. One level deep: two ways to split stay apart.

    Options belong to what they were written for: a recipe's alpha means nothing to another source of negatives, nor do
    the options of one loss to another.
    """
    merged = {**low, **high}
    for key in low.keys() & high.keys() if sections is None else sections:
        if isinstance(low.get(key), dict) and isinstance(high.get(key), dict):
            merged[key] = {**low[key], **high[key]}
    below, above = low.get("negatives"), high.get("negatives")
    if isinstance(below, dict) and isinstance(above, dict) and _is_another(below.get("source"), above.get("source")):
        merged["negatives"] = {**{key: below[key] for key in ("count",) if key in below}, **above}
    if _is_another(low.get("loss"), high.get("loss")):
        merged.pop("loss_options", None)
        merged |= {key: high[key] for key in ("loss_options",) if key in high}
    return merged


def _is_another(low: Any, high: Any) -> bool:
    """Whether both layers name something and not the same; one that names nothing is about what the other names."""
    return low is not None and high is not None and low != high

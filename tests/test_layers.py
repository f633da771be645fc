"""Settings on top of others: sections are merged, and options stay with what they were written for."""

from __future__ import annotations

from typing import Any

import pytest

from recbole_logq.layers import over

MIXED = {"negatives": {"source": "mixed", "count": 8, "share": 0.3}, "loss": "infonce", "loss_options": {"a": 1}}


@pytest.mark.parametrize(
    ("high", "negatives", "options"),
    [
        ({"negatives": {"count": 9}}, {"source": "mixed", "count": 9, "share": 0.3}, {"a": 1}),
        ({"negatives": {"source": "mixed"}}, MIXED["negatives"], {"a": 1}),
        ({"negatives": {"source": "uniform"}}, {"source": "uniform", "count": 8}, {"a": 1}),
        ({"negatives": {"source": "hard", "pool": 2}}, {"source": "hard", "count": 8, "pool": 2}, {"a": 1}),
        ({"loss": "infonce"}, MIXED["negatives"], {"a": 1}),
        ({"loss": "bce"}, MIXED["negatives"], None),
        ({"loss": "bce", "loss_options": {"b": 2}}, MIXED["negatives"], {"b": 2}),
        ({"loss_options": {"b": 2}}, MIXED["negatives"], {"a": 1, "b": 2}),
    ],
    ids=str,
)
def test_options_stay_with_their_source_and_loss(high: dict[str, Any], negatives: Any, options: Any) -> None:
    merged = over(MIXED, high)
    assert (merged["negatives"], merged.get("loss_options")) == (negatives, options)


def test_options_that_stand_below_their_source_are_kept() -> None:
    """A plan's settings may have the option and each of its models the source."""
    below: dict[str, Any] = {"negatives": {"share": 0.3}, "loss_options": {"a": 1}}
    merged = over(below, {"negatives": {"source": "mixed"}, "loss": "infonce"})
    assert merged == {"negatives": {"source": "mixed", "share": 0.3}, "loss": "infonce", "loss_options": {"a": 1}}


def test_sections_are_one_level_deep() -> None:
    low = {"eval_args": {"split": {"LS": "test_only"}, "order": "TO"}, "load_col": {"inter": ["a"]}}
    high = {"eval_args": {"split": {"RS": [8, 1, 1]}}, "load_col": {"item": ["b"]}}
    assert over(low, high)["eval_args"] == {"split": {"RS": [8, 1, 1]}, "order": "TO"}
    assert over(low, high)["load_col"] == {"inter": ["a"], "item": ["b"]}
    assert over(low, high, ("eval_args",))["load_col"] == {"item": ["b"]}  # another default gives way as a whole

"""What several commands write: files, and results on standard output."""

from __future__ import annotations

from typing import Any

from recbole_logq.files import write_json, write_text
from recbole_logq.terminal import cell, console, say


def write_result(target: Any, result: dict[str, Any]) -> None:
    """Write what ``--output`` asks for, if anything."""
    if target is not None:
        write_json(str(target), result)


def write_page(target: Any, text: str) -> None:
    """Write what ``--page`` asks for, if anything."""
    if target is not None:
        write_text(str(target), text)


def print_result(result: dict[str, Any]) -> None:
    """Print a table of test results, beside those of the validation where there was one.

    Args:
        result: Result of a run or of an evaluation.
    """
    from rich.table import Table

    best = result.get("best_valid_result") or {}
    title = f"{result['model']} on {result['dataset']}, seed {result['seed']}"
    say(title)
    table = Table()
    for name in ("metric", *(["valid"] if best else []), "test"):
        table.add_column(name, justify="left" if name == "metric" else "right")
    for metric, value in result["test_result"].items():
        table.add_row(cell(metric), *([cell(best.get(metric, "-"))] if best else []), cell(value))
    console().print(table)
    if energy := result.get("energy"):
        emitted = "" if energy["co2_kg"] is None else f", {1000 * energy['co2_kg']:.3g} g of CO2 ({energy['country']})"
        say(f"energy: {1000 * energy['kwh']:.3g} Wh{emitted}, an estimate of the {energy['measured']}'s")
    if result.get("checkpoint"):
        say(f"checkpoint: {result['checkpoint']}")

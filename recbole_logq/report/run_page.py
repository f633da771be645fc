"""The page of a single run: its results, its training curves, and what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole_logq.report.cells import Cell, number
from recbole_logq.report.page import Block, Pairs, Section, Table, Text, page, setting_text
from recbole_logq.report.run_figures import figures


def run_page(result: Mapping[str, Any]) -> str:
    """The page as HTML.

    Args:
        result: Result as :func:`recbole_logq.run` returns it; of a resumed run it has the history of the whole.
    """
    title = f"{result['model']} on {result['dataset']}, seed {result['seed']}"
    sections = [
        Section("Results", _results(result)),
        Section("Curves", figures(result)),
        Section("Settings", [Text(text="What was set; the rest are defaults."), Pairs(_settings(result))]),
        Section(
            "Where the numbers come from",
            [
                Text("Protocol"),
                Pairs(result["protocol"]),
                Text("Fingerprint of the split"),
                Pairs(result["fingerprint"]),
                Text("Versions"),
                Pairs(result["versions"]),
            ],
        ),
    ]
    return page(title, sections)


def _results(result: Mapping[str, Any]) -> list[Block]:
    best = result.get("best_valid_result") or {}
    names = list(dict.fromkeys([*result["test_result"], *best]))
    columns = [part for part in (best, result["test_result"]) if part]
    lines = [[Cell(name), *(_number(part.get(name)) for part in columns)] for name in names]
    head = ["metric", *(["validation"] if best else []), "test"]
    return [Table("Results", head, lines), Text("What it took"), Pairs(_costs(result))]


def _number(value: float | None) -> Cell:
    return Cell(number(value), key=value)


def _costs(result: Mapping[str, Any]) -> dict[str, Any]:
    """Names and cells of what is known: epochs, seconds, speed, memory, energy."""
    history = result.get("history") or []
    seconds = history[-1]["train_seconds"] if history else result["seconds"].get("train")
    energy = result.get("energy") or {}
    costs: dict[str, Any] = {
        "epochs": len(history) or None,
        "best epoch": result.get("best_epoch"),
        "seconds of training, without validation": seconds,
        "CPU seconds of training": result["train_cpu_seconds"],
        "positives per second": result["positives_per_second"],
        "negatives of a row": result.get("negatives_per_step"),
        "peak memory, MB": result["peak_memory_mb"],
        "peak memory of the accelerator, MB": result["device"].get("peak_memory_mb"),
        "energy, Wh, as CodeCarbon estimates it": _thousand(energy.get("kwh")),
        "emissions of it, g of CO2": _thousand(energy.get("co2_kg")),
    }
    cells = {
        name: Cell(f"{value:,}" if isinstance(value, int) else number(value), key=value)
        for name, value in costs.items()
        if value is not None
    }
    return cells | {"device": Cell(result["device"]["name"])}


def _thousand(value: float | None) -> float | None:
    return None if value is None else 1000 * value


def _settings(result: Mapping[str, Any]) -> dict[str, str]:
    settings = {"model": result["model"], "dataset": result["dataset"], **result["given"]}
    return {name: setting_text(value) for name, value in settings.items()}

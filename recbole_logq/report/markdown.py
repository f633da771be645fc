"""A report as Markdown, for a README or an issue."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_logq.markup import fenced, in_markdown, markdown_table
from recbole_logq.report import comparison_tables
from recbole_logq.report.cells import Cell
from recbole_logq.report.summary import Summary


def markdown(summaries: Sequence[Summary], title: str) -> str:
    """Tables, reasons of failure, protocol, fingerprints, versions and commands."""
    parts = [f"# {in_markdown(title)}"]
    for summary in summaries:
        parts.append(f"## {in_markdown(summary.dataset)}")
        if summary.runs:
            parts.append("Means over seeds with 95 % t intervals; one seed has none.")
            parts.append(_table(*comparison_tables.results(summary)))
        if summary.comparisons:
            parts += ["### Against the reference", _table(*comparison_tables.verdicts(summary))]
        if summary.failed:
            parts += ["### Failed runs", _table(*comparison_tables.failures(summary))]
        if summary.runs:
            protocol = ", ".join(f"{key}: {value}" for key, value in summary.protocol.items())
            prints = [
                f"seeds {', '.join(map(str, split['seeds']))}: train {split['train']}, valid {split['valid']}, "
                f"test {split['test']}"
                for split in summary.fingerprints()
            ]
            parts += ["### Protocol and split", in_markdown(protocol), _lines(prints)]
        parts += ["### Commands", fenced("\n".join(run["command"] for run in [*summary.runs, *summary.failed]), "sh")]
    used = comparison_tables.versions(summaries)
    if used:
        parts += ["## Versions", _lines([f"{package} {version}" for package, version in used.items()])]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], lines: Sequence[Sequence[Cell]]) -> str:
    rows = [[in_markdown(f"{cell.text} {cell.note}".strip()) for cell in line] for line in lines]
    return markdown_table([in_markdown(text) for text in head], rows)


def _lines(lines: Sequence[str]) -> str:
    return "\n".join(f"- {in_markdown(line)}" for line in lines)

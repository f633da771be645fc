"""The report of a comparison as one page."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_logq.report import comparison_tables
from recbole_logq.report.cells import Cell
from recbole_logq.report.comparison_figures import figures
from recbole_logq.report.page import Block, Code, Pairs, Section, Table, Text, page, plain
from recbole_logq.report.summary import Summary


def comparison_page(summaries: Sequence[Summary], title: str) -> str:
    """The page as HTML; labels, errors and commands are text there, whatever they hold."""
    sections = [Section(summary.dataset, _blocks(summary)) for summary in summaries]
    return page(title, [*sections, Section("Versions", [Pairs(comparison_tables.versions(summaries))])])


def _blocks(summary: Summary) -> list[Block]:
    blocks: list[Block] = []
    if summary.failed:
        runs = len(summary.runs) + len(summary.failed)
        message = f"{len(summary.failed)} of {runs} runs failed; the reasons stand below."
        blocks.append(Text(text=message, failed=True))
    if summary.runs:
        note = "Means over seeds with 95 % t intervals; one seed has none. A click on a heading sorts."
        blocks.append(Text(text=note))
        for heading, head, lines in comparison_tables.results_in_parts(summary):
            blocks += [Text(heading), Table(heading, head, lines, by=summary.primary)]
    if summary.comparisons:
        blocks += [Text("Against the reference"), Table("Verdicts", *comparison_tables.verdicts(summary))]
    blocks += figures(summary)
    if summary.failed:
        blocks += [Text("Failed runs"), Table("Failed runs", *comparison_tables.failures(summary))]
    if summary.runs:
        blocks += [
            Text("Runs"),
            Table("Runs", *comparison_tables.runs(summary)),
            Text("Protocol"),
            Pairs(summary.protocol),
        ]
        prints = summary.fingerprints()
        lines = [[Cell(plain(value)) for value in split.values()] for split in prints]
        blocks += [Text("Fingerprints of the split"), Table("Fingerprints", list(prints[0]), lines)]
    commands = "\n".join(run["command"] for run in [*summary.runs, *summary.failed])
    return [*blocks, Text("Commands"), Code(commands)]

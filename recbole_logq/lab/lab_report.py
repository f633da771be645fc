"""What the laboratory found, as tables in the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_logq.markup import markdown_table
from recbole_logq.terminal import cell, console

WIDTH = 130
"""Width of tables in a file, which should not be cut to the width of a terminal that is not there."""
READING = (
    "bias: of the gradient in the scores, relative to the full softmax's, noise of the mean taken off; '<' where it "
    "is not distinguishable from 0. std: spread over pools, alike. head mass: negative gradient on the 1 % most "
    "popular items, ideal 1.00. Q: how often the pools held items of the head / of the tail, relative to what their Q "
    "says, ideal 1.00."
)


def print_gradients(report: dict[str, Any]) -> None:
    """Print the table of estimators."""
    screen = console(WIDTH)
    screen.print(cell(heading(report)))
    screen.print(_table(HEAD, [cells(one) for one in report["estimators"]]))
    screen.print(READING, style="dim", highlight=False)


def heading(report: dict[str, Any]) -> str:
    """What was examined, in a line."""
    facts = "".join(f", {name} {value}" for name, value in report["facts"].items())
    return (
        f"{report['subject']}: {report['rows']} rows, {report['items']:,} items, mean P+ {report['p_positive']:.3f}, "
        f"{report['pools']} pools each{facts}"
    )


HEAD = ("estimator", "n", "bias", "std", "head mass", "Q head", "Q tail")


def bias_of(one: dict[str, Any]) -> tuple[float, bool]:
    """The relative bias, or the smallest that would be distinguishable from 0; and whether it is that bound."""
    # Two errors of the squared bias: what is below is not distinguishable from 0.
    is_bound = one["squared_bias"] <= 2 * one["bias_error"]
    return ((2 * one["bias_error"]) ** 0.5 if is_bound else one["bias"]), is_bound


def cells(one: dict[str, Any]) -> list[str]:
    """A line of the table."""
    value, is_bound = bias_of(one)
    bias = f"{'< ' if is_bound else ''}{value:.4f}"
    fit, head = one["q_fit"], one["head_mass"]
    held = [f"{fit[i][0]:.2f} ± {fit[i][1]:.2f}" for i in (0, 3)] if fit else ["-", "-"]
    return [
        one["estimator"],
        f"{one['n']:,}",
        bias,
        f"{one['spread']:.3f}",
        "-" if head is None else f"{head:.2f}",
        *held,
    ]


def print_weights(report: dict[str, Any]) -> None:
    """Print where the model is most and least certain."""
    screen = console(WIDTH)
    deciles = " ".join(f"{value:.3f}" for value in report["deciles"])
    screen.print(
        cell(
            f"{report['subject']}: exact w = 1 - P(+|u) of {report['rows']:,} training positives, mean "
            f"{report['mean']:.4f}, deciles {deciles}"
        )
    )
    for name, title in (("most_certain", "Most certain (small w)"), ("least_certain", "Least certain (w near 1)")):
        lines = [[one["user"], one["item"], f"{one['w']:.6f}", f"{one['targets']:,}"] for one in report[name]]
        screen.print(_table(("user", "item", "w", "training targets of the item"), lines, title))


def print_folding(report: dict[str, Any]) -> None:
    """Print the toy's outcome."""
    screen = console(WIDTH)
    lines = [[one["negatives"], f"{one['foreign']:.3f}", f"{one['own_hits']:.3f}"] for one in report["folding"]]
    head = ("negatives", "foreign items in the top 10", "users with a held-out hit")
    screen.print(_table(head, lines, "Two languages that never meet"))
    screen.print(
        "own: only what the user refused, all in the own language - the groups fold onto each other. global: uniform "
        "over the catalogue. mixed: two of each.",
        style="dim",
        highlight=False,
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]], title: str | None = None) -> Any:
    from rich.table import Table

    table = Table(title=None if title is None else cell(title), title_justify="left")
    for position, column in enumerate(head):
        table.add_column(column, justify="left" if position == 0 else "right", no_wrap=position > 0, overflow="fold")
    for line in lines:
        table.add_row(*map(cell, line))
    return table


def markdown(report: dict[str, Any]) -> str:
    """The table of estimators for documentation."""
    rows = map(cells, report["estimators"])
    return markdown_table(HEAD, [[f"`{name}`", *values] for name, *values in rows])

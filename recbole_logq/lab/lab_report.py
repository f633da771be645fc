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
READING_INSIDE = (
    " In batch: the same for rows that are in the batch their pool is made of, with all of their own window, as in "
    "training."
)
READING_STRATA = (
    "mass: share of the softmax on negatives. squared: share of the squared negative gradient. Of an estimator: the "
    "gradient that it has in each part on average, relative to the full softmax's, ideal 1.00; then the parts with "
    "most of the squared bias, the positive counted as one."
)


def print_gradients(report: dict[str, Any]) -> None:
    """Print where the gradient lies, and the tables of estimators."""
    screen = console(WIDTH)
    screen.print(cell(heading(report)))
    if report.get("strata"):
        screen.print(table(LIES_HEAD, lies_lines(report), "Where the gradient lies"))
    screen.print(table(head_of(report), [cells(entry, has_inside(report)) for entry in report["estimators"]]))
    screen.print(reading(report), style="dim", highlight=False)
    if report.get("strata"):
        head, lines = seen_table(report)
        screen.print(table(head, lines, "What each estimator sees of it"))
        screen.print(READING_STRATA, style="dim", highlight=False)


def reading(report: dict[str, Any]) -> str:
    """How the table of estimators is to be read."""
    learned = {f"{entry['n']:,}": entry["lessons"] for entry in report["estimators"] if entry.get("lessons")}
    pools = ", ".join(f"{lessons:,} pools with {n} columns" for n, lessons in learned.items())
    more = (
        f" Learned proposals saw {pools} before they were examined, on other rows of the same model, and learn no more."
        if learned
        else ""
    )
    return READING + (READING_INSIDE if has_inside(report) else "") + more


def heading(report: dict[str, Any]) -> str:
    """What was examined, in a line."""
    facts = "".join(f", {name} {value}" for name, value in report["facts"].items())
    return (
        f"{report['subject']}: {report['rows']} rows, {report['items']:,} items, mean P+ {report['p_positive']:.3f}, "
        f"{report['pools']} pools each{facts}"
    )


HEAD = ("estimator", "n", "bias", "std", "head mass", "Q head", "Q tail")
IN_BATCH = ("bias in batch", "std in batch")
LIES_HEAD = ("part of a row's catalogue", "items", "mass", "squared")


def has_inside(report: dict[str, Any]) -> bool:
    """Whether rows were examined in batches that hold them, too."""
    return any("inside" in entry for entry in report["estimators"])


def head_of(report: dict[str, Any]) -> tuple[str, ...]:
    """Headings of the table of estimators."""
    return (*HEAD[:4], *IN_BATCH, *HEAD[4:]) if has_inside(report) else HEAD


def bias_of(entry: dict[str, Any]) -> tuple[float, bool]:
    """The relative bias, or the smallest that would be distinguishable from 0; and whether it is that bound."""
    # Two errors of the squared bias: what is below is not distinguishable from 0.
    is_bound = entry["squared_bias"] <= 2 * entry["bias_error"]
    return ((2 * entry["bias_error"]) ** 0.5 if is_bound else entry["bias"]), is_bound


def _bias(entry: dict[str, Any]) -> str:
    value, is_bound = bias_of(entry)
    return f"{'< ' if is_bound else ''}{value:.4f}"


def cells(entry: dict[str, Any], inside: bool = False) -> list[str]:
    """A line of the table, with what holds for rows in the batch where that is asked for."""
    fit, head, within = entry["q_fit"], entry["head_mass"], entry.get("inside")
    fits = [f"{fit[i][0]:.2f} ± {fit[i][1]:.2f}" for i in (0, 3)] if fit else ["-", "-"]
    in_batch = ["-", "-"] if within is None else [_bias(within), f"{within['spread']:.3f}"]
    return [
        entry["estimator"],
        f"{entry['n']:,}",
        _bias(entry),
        f"{entry['spread']:.3f}",
        *(in_batch if inside else []),
        "-" if head is None else f"{head:.2f}",
        *fits,
    ]


def lies_lines(report: dict[str, Any]) -> list[list[str]]:
    """Lines of the table of parts."""
    return [
        [part["name"], f"{part['items']:,.1f}", f"{part['mass']:.3f}", f"{part['squared']:.3f}"]
        for part in report["strata"]
    ]


def seen_table(report: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings and lines of what each estimator sees of the parts, by rows in the batch where they were examined."""
    names = [part["name"] for part in report["strata"] if part["items"]]
    lines = []
    for entry in report["estimators"]:
        examined = entry.get("inside") or entry
        parts = {part["name"]: part for part in examined["strata"]}
        seen = ["-" if parts[name]["seen"] is None else f"{parts[name]['seen']:.2f}" for name in names]
        lines.append([entry["estimator"], f"{entry['n']:,}", *seen, _where_bias_lies(examined)])
    return ["estimator", "n", *names, "squared bias lies in"], lines


def _where_bias_lies(entry: dict[str, Any]) -> str:
    """The two parts that hold most of the squared bias, the positive among them."""
    if bias_of(entry)[1]:
        return "-"
    shares = {part["name"]: part["squared_bias"] / entry["squared_bias"] for part in entry["strata"]}
    shares["positive"] = 1 - sum(shares.values())
    largest = sorted(shares, key=lambda name: -shares[name])[:2]
    return ", ".join(f"{name} {shares[name]:.2f}" for name in largest if shares[name] >= 0.005)


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
        lines = [[pair["user"], pair["item"], f"{pair['w']:.6f}", f"{pair['targets']:,}"] for pair in report[name]]
        screen.print(table(("user", "item", "w", "training targets of the item"), lines, title))


def print_folding(report: dict[str, Any]) -> None:
    """Print the toy's outcome."""
    screen = console(WIDTH)
    lines = [
        [
            row["negatives"],
            "" if row["share"] is None else f"{row['share']:g}",
            f"{row['foreign']:.3f}",
            f"{row['own_hits']:.3f}",
        ]
        for row in report["folding"]
    ]
    head = ("negatives", "sampled share", "foreign items in the top 10", "users with a held-out hit")
    screen.print(table(head, lines, "Two languages that never meet"))
    screen.print(
        "own: only what the user refused, all in the own language - the groups fold onto each other. global: uniform "
        "over the catalogue. mixed: two of each. impression: what was shown beside the positive and refused, with a "
        "share of the loss for sampled negatives.",
        style="dim",
        highlight=False,
    )
    for beside, share in report["ends"].items():
        end = "does not end at any of these shares" if share is None else f"ends at a sampled share of {share:g}"
        screen.print(cell(f"Beside impressions, with {beside} negatives, folding {end}."))


def print_advice(report: dict[str, Any]) -> None:
    """Print ways to train, the best first, and why."""
    screen = console(WIDTH)
    limits = f"{report['memory_mb']:,.0f} MB and {report['minutes']:,.0f} minutes"
    screen.print(cell(f"{report['encoder']}, {report['subject']}: {limits}"))
    screen.print(table(ADVICE_HEAD, advice_lines(report)))
    for line in report["reasons"]:
        screen.print(cell(line))
    for line in report["left_out"]:
        screen.print(cell(f"Left out: {line}."))
    best = report["advice"][0]
    graded = {"grade_field": report["grade_field"]} if report["grade_field"] else {}
    settings = " ".join(f"--{key}={value}" for key, value in (graded | best["settings"]).items())
    screen.print(cell(f"Train it: --model={report['encoder']}{best['recipe']} {settings}"))
    screen.print(ADVICE_READING, style="dim", highlight=False)


ADVICE_HEAD = ("recipe", "own items", "negatives", "batch", "bias", "std", "ms a step", "MB", "epochs", "score")
ADVICE_READING = (
    "bias, std: expected, of the gradient, relative to the full softmax's. ms a step: measured here. MB: an estimate. "
    "epochs: in the time. score: expected share of the possible progress, a rule of thumb."
)


def advice_lines(report: dict[str, Any]) -> list[list[str]]:
    """Lines of the table of ways to train."""
    return [
        [
            row["recipe"],
            row["own"] or "-",
            f"{row['n']:,}",
            f"{row['batch']:,}",
            f"{row['bias']:.3f}",
            f"{row['spread']:.3f}",
            f"{row['step_ms']:,.1f}",
            f"{row['memory_mb']:,.0f}",
            f"{row['epochs']:,.1f}",
            f"{row['score']:.3f}",
        ]
        for row in report["advice"]
    ]


def table(head: Sequence[str], lines: Sequence[Sequence[str]], title: str | None = None) -> Any:
    from rich.table import Table

    table = Table(title=None if title is None else cell(title), title_justify="left")
    for position, column in enumerate(head):
        table.add_column(column, justify="left" if position == 0 else "right", no_wrap=position > 0, overflow="fold")
    for line in lines:
        table.add_row(*map(cell, line))
    return table


def markdown(report: dict[str, Any]) -> str:
    """The table of estimators for documentation."""
    return _coded(head_of(report), [cells(entry, has_inside(report)) for entry in report["estimators"]])


def markdown_lies(report: dict[str, Any]) -> str:
    """The table of where the gradient lies, the same."""
    return markdown_table(LIES_HEAD, lies_lines(report))


def markdown_seen(report: dict[str, Any]) -> str:
    """The table of what each estimator sees of it, the same."""
    return _coded(*seen_table(report))


def _coded(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return markdown_table(head, [[f"`{name}`", *values] for name, *values in lines])

"""The figure of sample weights: their deciles as bands, their mean as a line."""

from __future__ import annotations

from collections.abc import Sequence

from recbole_logq.report.svg import Plot, Scale

WEIGHTS = (
    "w = 1 - P(positive | user), the weight that corrected logQ gives a row. From light to dark: 10 to 90 %, "
    "20 to 80 %, 30 to 70 %, 40 to 60 %; the line is the mean."
)


def weight_plot(label: str, epochs: Sequence[dict[str, float]], series: int) -> Plot:
    """The plot.

    Args:
        label: Name of the plot.
        epochs: ``epoch``, ``mean`` and ``d10`` to ``d90`` of each, by epoch; one or more.
        series: Number of the line's colour.
    """
    x = Scale([epoch["epoch"] for epoch in epochs], limits=(0, float("inf")), room=0.02)
    plot = Plot(label, x, Scale([0.0, 1.0], limits=(0, 1)), "epoch", "w", x_ticks=x.whole_ticks())
    for low in (10, 20, 30, 40):
        corners = [(epoch["epoch"], epoch[f"d{low}"], epoch[f"d{100 - low}"]) for epoch in epochs]
        plot.band(corners, f"{low} to {100 - low} %")
    plot.line([(epoch["epoch"], epoch["mean"]) for epoch in epochs], series, "mean")
    return plot

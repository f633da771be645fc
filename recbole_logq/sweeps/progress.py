"""What a terminal shows of a sweep: a live table, or a line for every trial that is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.table import Table

from recbole_logq.experiment.run_store import Record
from recbole_logq.sweeps.trial_records import ENDED
from recbole_logq.terminal import cell, console, visible

if TYPE_CHECKING:
    from rich.console import Console

_SHOWN = 15


class Progress:
    """One search's progress.

    Args:
        name: Name of the search.
        total: Trials in all.
        metric: Metric of the validation.
        bigger: Whether a larger score is better.
        earlier: Records of trials that were over before.
        screen: Stream that it is shown on; standard error by default.
    """

    def __init__(
        self,
        name: str,
        total: int,
        metric: str,
        bigger: bool,
        earlier: list[Record],
        screen: Console | None = None,
    ) -> None:
        self.name, self.total, self.metric, self.bigger = name, total, metric, bigger
        self.records = {record["trial"]: record for record in earlier}
        self.screen = screen or console(stderr=True)
        self.live: Live | None = None
        self.start, self.drawn_at = time.time(), 0.0

    def __enter__(self) -> Progress:
        if self.screen.is_terminal:
            self.live = Live(console=self.screen, auto_refresh=False, transient=False)
            self.live.start()
        return self

    def __exit__(self, *raised: Any) -> None:
        if self.live is not None:
            self.live.update(self.table(), refresh=True)
            self.live.stop()

    def show(self, record: Record) -> None:
        """A trial has started, was validated, or is over."""
        self.records[record["trial"]] = record
        over = record["status"] in ENDED
        if self.live is not None and (over or time.time() - self.drawn_at > 0.5):
            self.drawn_at = time.time()
            self.live.update(self.table(), refresh=True)
        elif self.live is None and over:
            self.screen.print(visible(self.line(record)), markup=False, highlight=False, soft_wrap=True)

    def line(self, record: Record) -> str:
        """A trial that is over, in words."""
        over = sum(trial["status"] in ENDED for trial in self.records.values())
        outcome = f"{record['status']} after {record['epochs']} epochs"
        if record["best_score"] is not None:
            outcome += f", {self.metric} {record['best_score']:.4f}"
        if record["status"] == "failed":
            outcome = f"FAILED: {record['error']}"
        return f"[{over}/{self.total}] {self.name}, trial {record['number']}: {outcome}; {point_text(record['point'])}"

    def table(self) -> Table:
        """Trials that run, and the best of those that are over."""
        over = [record for record in self.records.values() if record["status"] in ENDED]
        running = [record for record in self.records.values() if record["status"] not in ENDED]
        counts = ", ".join(f"{sum(record['status'] == kind for record in over)} {kind}" for kind in ENDED)
        minutes = (time.time() - self.start) / 60
        table = Table(title=cell(f"{self.name}: {len(over)} of {self.total} trials ({counts}), {minutes:.1f} min"))
        for column in ("trial", "status", "epoch", self.metric, "parameters"):
            table.add_column(cell(column), overflow="fold")
        sign = -1 if self.bigger else 1
        over.sort(key=lambda record: (record["best_score"] is None, sign * (record["best_score"] or 0.0)))
        for record in [*running, *over[: max(_SHOWN - len(running), 3)]]:
            score = "-" if record["best_score"] is None else f"{record['best_score']:.4f}"
            table.add_row(
                str(record["number"]), record["status"], str(record["epochs"]), score, cell(point_text(record["point"]))
            )
        return table


def point_text(point: dict[str, Any]) -> str:
    """A point as one would set it on the command line, with few digits."""
    values = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in point.items()}
    return " ".join(f"{key}={value}" for key, value in values.items())

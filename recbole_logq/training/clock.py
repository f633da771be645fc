"""An estimate of the time a run still takes."""

from __future__ import annotations

from time import perf_counter


class Clock:
    """Measures the mean time of an epoch, validation included.

    Args:
        total: Epochs to go.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._start = perf_counter()

    def line(self, epochs: int) -> str:
        """A log line after ``done`` epochs; an upper bound, since early stopping may end the run before."""
        seconds = (perf_counter() - self._start) / epochs * (self.total - epochs)
        return f"epoch {epochs} of {self.total} done, at most {_spell(seconds)} left"


def _spell(seconds: float) -> str:
    minutes, remainder = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {remainder:02d} s" if minutes else f"{remainder} s"

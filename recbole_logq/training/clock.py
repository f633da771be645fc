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

    def line(self, done: int) -> str:
        """A log line after ``done`` epochs; an upper bound, since early stopping may end the run before."""
        left = (perf_counter() - self._start) / done * (self.total - done)
        return f"epoch {done} of {self.total} done, at most {_spell(left)} left"


def _spell(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"

"""A setting that is a number between two ends."""

from __future__ import annotations

import math
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.numerals import as_number, as_whole
from recbole_logq.sweeps.parameter import Parameter

RANGES = {"uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3, "randint": 2, "lograndint": 2}
"""Kinds of ranges, with how many numbers each takes."""
_FINITE = {"quniform", "randint"}


class Range(Parameter):
    """A number between two ends, both included."""

    @property
    def log(self) -> bool:
        return "log" in self.kind

    @property
    def options(self) -> tuple[Any, ...]:
        return ()

    @property
    def limits(self) -> tuple[float, float]:
        return self.values[0], self.values[1]

    def position(self, value: Any) -> float:
        return float(value)

    def every(self) -> list[Any] | None:
        if self.kind not in _FINITE:
            return None
        low, high = self.limits
        step = self._step or 1
        return [self.rounded(low + i * step) for i in range(round((high - low) / step) + 1)]

    def typical(self) -> list[Any]:
        return [self.rounded(end) for end in self.limits]

    def middle(self) -> Any:
        low, high = self.limits
        return self.rounded(math.sqrt(low * high) if self.log else (low + high) / 2)

    def rounded(self, value: float) -> float:
        """A drawn value as a setting: on its step, and a whole number where the range has only those."""
        low, high = self.limits
        if self._step:
            value = min(max(round(value / self._step) * self._step, low), high)
        if all(isinstance(number, int) for number in self.values) and (self._step or self.whole):
            return round(value)
        return float(f"{value:.12g}")  # 0.3, not 0.30000000000000004

    def draw(self, state: Any) -> Any:
        from ray import tune

        low, high, *step = self.values
        above = high + self.whole  # Tune leaves the upper end of whole numbers out
        return self.rounded(getattr(tune, self.kind)(low, above, *step).sample(random_state=state))

    def distribution(self) -> Any:
        from optuna.distributions import FloatDistribution, IntDistribution

        low, high = self.limits
        if self.whole:
            return IntDistribution(low, high, log=self.log)
        # No steps in a logarithm; values are rounded to them afterwards.
        return FloatDistribution(low, high, log=self.log, step=None if self.log else self._step)

    def encoded(self, value: Any) -> Any:
        return value

    def suggest(self, trial: Any) -> Any:
        low, high = self.limits
        if self.whole:
            return trial.suggest_int(self.name, low, high, log=self.log)
        step = self.distribution().step
        return self.rounded(trial.suggest_float(self.name, low, high, step=step, log=self.log))

    @property
    def _step(self) -> Any:
        return self.values[2] if len(self.values) > 2 else None

    @property
    def whole(self) -> bool:
        return self.kind.endswith("randint")


def checked_range(label: str, kind: str, values: Any) -> tuple[Any, ...]:
    """The ends of a range, and its step, as a file gives them.

    Args:
        label: Name of the parameter in errors.
        kind: One of :data:`RANGES`.
        values: Numbers, or texts that stand for numbers.

    Raises:
        RequestError: Other than the numbers that the kind takes, upside down, or not on its step.
    """
    values = as_number(values)
    if kind.endswith("randint") and isinstance(values, list):
        values = [value if as_whole(value) is None else as_whole(value) for value in values]
    need = "[low, high, step]" if RANGES[kind] == 3 else "[low, high]"
    numbers = isinstance(values, list) and all(
        isinstance(bound, int | float) and not isinstance(bound, bool) and math.isfinite(bound) for bound in values
    )
    if not numbers or len(values) != RANGES[kind]:
        raise RequestError(f"{label}: {kind}={values!r}: {need}, numbers")
    low, high, *step = values
    if low >= high:
        raise RequestError(f"{label}: {kind}={values!r}: low must be below high")
    if "log" in kind and low <= 0:
        raise RequestError(f"{label}: {kind}={values!r}: a logarithm needs low above 0")
    if kind.endswith("randint") and not all(isinstance(bound, int) for bound in values):
        raise RequestError(f"{label}: {kind}={values!r}: whole numbers")
    if step and (step[0] <= 0 or any(abs(end / step[0] - round(end / step[0])) > 1e-9 for end in (low, high))):
        raise RequestError(f"{label}: {kind}={values!r}: low and high must be multiples of a step above 0")
    return tuple(values)

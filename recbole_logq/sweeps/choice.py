"""A setting that is one of a list of options."""

from __future__ import annotations

import json
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.sweeps.parameter import Parameter


class Choice(Parameter):
    """One of several options, which can be of any type."""

    log = False

    @property
    def options(self) -> tuple[Any, ...]:
        return self.values

    @property
    def limits(self) -> tuple[float, float]:
        return -0.5, len(self.values) - 0.5

    def position(self, value: Any) -> float:
        return float(self.values.index(value))

    def every(self) -> list[Any]:
        return list(self.values)

    def typical(self) -> list[Any]:
        return list(self.values)

    def middle(self) -> Any:
        return self.values[len(self.values) // 2]

    def draw(self, state: Any) -> Any:
        from ray import tune

        return self.values[tune.choice(list(range(len(self.values)))).sample(random_state=state)]

    def distribution(self) -> Any:
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([self.encoded(value) for value in self.values])

    def encoded(self, value: Any) -> str:
        """Text: Optuna knows no options that are lists."""
        return json.dumps(value)

    def suggest(self, trial: Any) -> Any:
        return json.loads(trial.suggest_categorical(self.name, self.distribution().choices))


def checked_options(label: str, values: Any) -> tuple[Any, ...]:
    """The options of a choice as a file gives them.

    Args:
        label: Name of the parameter in errors.
        values: Options of the choice.

    Raises:
        RequestError: No list, an empty one, or a value that stands there twice.
    """
    if not isinstance(values, list) or not values:
        raise RequestError(f"{label}: choice={values!r}: a list of one value or more")
    if any(option == two for i, option in enumerate(values) for two in values[:i] if type(option) is type(two)):
        raise RequestError(f"{label}: choice={values!r}: a value stands there twice")
    return tuple(values)

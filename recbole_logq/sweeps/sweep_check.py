"""What can be known to go wrong with a sweep before Ray starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recbole_logq.comparisons.common_rows import check_common_rows
from recbole_logq.errors import RequestError
from recbole_logq.models.resolve import resolve_model
from recbole_logq.plugins import load_plugins
from recbole_logq.sweeps.parameter import Parameter, Point
from recbole_logq.sweeps.space import resolved
from recbole_logq.sweeps.sweep_plan import PROTOCOL, Search, SweepPlan, merged


def check(plan: SweepPlan) -> dict[str, Any]:
    """Every setting is known, every value can be used with some of the others, the data is there.

    A combination that makes no sense is not refused: it becomes a trial that failed, and the sweep goes on.

    Returns:
        The configuration of each search, by name: that of a point that can be trained.

    Raises:
        RequestError: A value that no combination makes good, or models whose scores are not of the same rows.
    """
    from recbole_logq.data.prepare import fetch
    from recbole_logq.experiment.processes import of_one_process
    from recbole_logq.experiment.tracking import check_reachable

    configs = {}
    for search in plan.searches:
        label = f"{search.name}: " if len(plan.searches) > 1 else ""
        try:
            configs[search.name] = _check(search, plan.settings.gpus)
            check_reachable(configs[search.name])
            fetch(of_one_process(configs[search.name]))
            if configs[search.name]["eval_step"] < 1:
                raise RequestError("eval_step=0: trials are compared by their validation, set 1 or more")
        except RequestError as error:
            raise RequestError(f"{label}{error}") from error
    _same_protocol(plan, configs)
    check_common_rows(list(configs.items()))
    return configs


def configuration(search: Search, point: Point, gpus: float, own: dict[str, Any] | None = None) -> Any:
    """The checked configuration of a trial, with what is its ``own`` on top.

    Raises:
        RequestError: These settings do not go together.
    """
    from recbole_logq.config import Config

    return Config(search.model, search.dataset, None, {**settings_of(search, point, gpus), **(own or {})})


def settings_of(search: Search, point: Point, gpus: float) -> dict[str, Any]:
    """Everything that is set in a trial, except for where it writes."""
    return {"use_gpu": gpus > 0, "show_progress": False, **merged(search.settings, point)}


def _check(search: Search, gpus: float) -> Any:
    load_plugins(search.settings.get("plugins"))
    resolve_model(search.model)
    usable = None
    for parameter in search.space:
        for value in parameter.typical():
            error = None
            for point in _around(search.space, parameter, value):
                try:
                    config = configuration(search, point, gpus)
                except RequestError as problem:
                    error = error or problem
                else:
                    usable, error = usable or config, None
                    break
            if error is not None:
                raise RequestError(f"space.{parameter.name}, value {value!r}: {error}") from error
    return usable


def _around(space: list[Parameter], fixed: Parameter, value: Any) -> Iterator[Point]:
    """Points with this value: the first options of the other choices, then each other option of one of them."""
    first = {parameter.name: parameter.typical()[0] for parameter in space}
    first |= {choice: allowed[0] for choice, allowed in fixed.when}
    first[fixed.name] = value
    yield resolved(space, first)
    for varied in space:
        if varied.name != fixed.name:
            for option in varied.options[1:]:
                yield resolved(space, {**first, varied.name: option})


def _same_protocol(plan: SweepPlan, configs: dict[str, Any]) -> None:
    """Winners of several models stand side by side, so they are chosen and tested in the same way."""
    first = plan.searches[0].name
    for name, config in configs.items():
        for key in PROTOCOL:
            expected, actual = (_shown(values[key]) for values in (configs[first], config))
            if expected != actual:
                raise RequestError(
                    f"{first} and {name} would be measured differently: {key} is {expected} and {actual}; set it once, "
                    "under settings"
                )


def _shown(value: Any) -> Any:
    return {key: value.get(key) for key in ("split", "order", "mode")} if isinstance(value, dict) else value

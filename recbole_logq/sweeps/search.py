"""The points of a space, for Tune: a list for grid and random search, Optuna for the rest, and the scheduler."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from recbole_logq.sweeps.plan import Asha
from recbole_logq.sweeps.space import Parameter, Point, resolved
from recbole_logq.sweeps.trial import CLOCK, METRIC
from recbole_logq.sweeps.trial_records import Record


def text_of(point: Point) -> str:
    """A point as text: the same point is the same text."""
    return json.dumps(point, sort_keys=True)


def random_points(space: Sequence[Parameter], count: int, seed: int) -> list[Point]:
    """Different points, drawn by Tune's distributions; fewer where there are not as many.

    Args:
        space: The parameters.
        count: Number of points.
        seed: Seed of the draws; the same seed gives the same points, however many there are.
    """
    import numpy as np

    domains = {parameter.name: _domain(parameter) for parameter in space}
    state = np.random.RandomState(seed)
    found: dict[str, Point] = {}
    for _ in range(20 * count):
        drawn = {}
        for parameter in space:  # all of them, so that one parameter's draw does not depend on another's value
            value = domains[parameter.name].sample(random_state=state)
            drawn[parameter.name] = parameter.values[value] if parameter.kind == "choice" else parameter.rounded(value)
        point = resolved(list(space), drawn)
        found.setdefault(text_of(point), point)
        if len(found) == count:
            break
    return list(found.values())


def _domain(parameter: Parameter) -> Any:
    from ray import tune

    if parameter.kind == "choice":
        return tune.choice(list(range(len(parameter.values))))
    low, high, *step = parameter.values
    if parameter.kind.endswith("randint"):
        high += 1  # Tune leaves the upper end out
    return getattr(tune, parameter.kind)(low, high, *step)


def optuna_search(
    space: Sequence[Parameter], mode: str, seed: int, ended: Sequence[Record], first: Sequence[Point]
) -> Any:
    """Tune's Optuna search with the TPE sampler.

    Args:
        space: The parameters; a condition is part of how a point is asked for.
        mode: ``max`` or ``min``.
        seed: Seed of the sampler; another one after each session, which would draw the points of the last one again.
        ended: Trials of earlier sessions, which the search knows of.
        first: Points to begin with.
    """
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, study_name="sweep", direction=f"{mode}imize")
    study.add_trials([_known(space, record) for record in ended])
    return OptunaSearch(
        space=_Ask(list(space)),
        metric=METRIC,
        mode=mode,
        seed=seed + len(ended),
        storage=storage,
        study_name="sweep",
        points_to_evaluate=[_in_its_terms(space, point) for point in first] or None,
    )


def _known(space: Sequence[Parameter], record: Record) -> Any:
    """A trial that is over, as Optuna stores it."""
    from optuna.trial import TrialState, create_trial

    point, score = record["point"], record["best_score"]
    failed = record["status"] == "failed" or score is None
    return create_trial(
        state=TrialState.FAIL if failed else TrialState.COMPLETE,
        value=None if failed else score,
        params=_in_its_terms(space, point),
        distributions={one.name: _distribution(one) for one in space if one.name in point},
    )


class _Ask:
    """Asks Optuna for a point, parameter by parameter; a class, since Tune pickles its search."""

    def __init__(self, space: list[Parameter]) -> None:
        self.space = space

    def __call__(self, trial: Any) -> dict[str, Any]:
        point: Point = {}
        for parameter in self.space:
            if parameter.exists(point):
                point[parameter.name] = _suggest(trial, parameter)
        return {"point": text_of(point)}


def _suggest(trial: Any, parameter: Parameter) -> Any:
    name, known = parameter.name, _distribution(parameter)
    if parameter.kind == "choice":
        return json.loads(trial.suggest_categorical(name, known.choices))
    if parameter.kind.endswith("randint"):
        return trial.suggest_int(name, known.low, known.high, log=known.log)
    return parameter.rounded(trial.suggest_float(name, known.low, known.high, step=known.step, log=known.log))


def _distribution(parameter: Parameter) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.kind == "choice":  # as text: Optuna knows no options that are lists
        return CategoricalDistribution([json.dumps(value) for value in parameter.values])
    low, high, *step = parameter.values
    log = "log" in parameter.kind
    if parameter.kind.endswith("randint"):
        return IntDistribution(low, high, log=log)
    # No steps in a logarithm; values are rounded to them afterwards.
    return FloatDistribution(low, high, log=log, step=step[0] if step and not log else None)


def _in_its_terms(space: Sequence[Parameter], point: Point) -> dict[str, Any]:
    """A point as Optuna has it."""
    kinds = {parameter.name: parameter.kind for parameter in space}
    return {name: json.dumps(value) if kinds[name] == "choice" else value for name, value in point.items()}


def scheduler(asha: Asha | None, mode: str, epochs: int, ended: Sequence[Record]) -> Any:
    """Tune's asynchronous successive halving, or first come first served.

    Args:
        asha: Its settings.
        mode: ``max`` or ``min``.
        epochs: A trial has at most.
        ended: Trials of an earlier session, which the later ones are held against.
    """
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler

    # A trial at its last epoch is not stopped: it is over, and may win.
    last = epochs - 1
    if asha is None or last < asha.grace_period:
        return FIFOScheduler()
    found = ASHAScheduler(
        time_attr=CLOCK,
        metric=METRIC,
        mode=mode,
        max_t=last,
        stop_last_trials=False,
        grace_period=asha.grace_period,
        reduction_factor=asha.reduction_factor,
    )
    for record in ended:
        trial = SimpleNamespace(trial_id=record["trial"])
        found.on_trial_add(None, trial)
        for line in record["history"]:
            found.on_trial_result(None, trial, line)
    return found

"""The points of a space, for Tune: a list for grid and random search, Optuna for the rest, and the scheduler."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from recbole_logq.experiment.run_store import Record
from recbole_logq.sweeps.parameter import Parameter, Point
from recbole_logq.sweeps.space import resolved
from recbole_logq.sweeps.sweep_plan import Asha
from recbole_logq.sweeps.trial import CLOCK, METRIC


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

    state = np.random.RandomState(seed)
    points: dict[str, Point] = {}
    for _ in range(20 * count):
        # All of them, so that one parameter's draw does not depend on another's value.
        drawn = {parameter.name: parameter.draw(state) for parameter in space}
        point = resolved(list(space), drawn)
        points.setdefault(text_of(point), point)
        if len(points) == count:
            break
    return list(points.values())


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
        distributions={parameter.name: parameter.distribution() for parameter in space if parameter.name in point},
    )


class _Ask:
    """Asks Optuna for a point, parameter by parameter; a class, since Tune pickles its search."""

    def __init__(self, space: list[Parameter]) -> None:
        self.space = space

    def __call__(self, trial: Any) -> dict[str, Any]:
        point: Point = {}
        for parameter in self.space:
            if parameter.exists(point):
                point[parameter.name] = parameter.suggest(trial)
        return {"point": text_of(point)}


def _in_its_terms(space: Sequence[Parameter], point: Point) -> dict[str, Any]:
    """A point as Optuna has it."""
    return {parameter.name: parameter.encoded(point[parameter.name]) for parameter in space if parameter.name in point}


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
    halving = ASHAScheduler(
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
        halving.on_trial_add(None, trial)
        for line in record["history"]:
            halving.on_trial_result(None, trial, line)
    return halving

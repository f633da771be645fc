"""Tune at work: on this machine, or on a cluster that is reached through a Ray client."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ray import tune

from recbole_logq.errors import WorkError
from recbole_logq.experiment.run_store import Record
from recbole_logq.files import scratch_folder
from recbole_logq.sweeps.parameter import Point
from recbole_logq.sweeps.search import optuna_search, scheduler, text_of
from recbole_logq.sweeps.sweep_plan import SweepSettings
from recbole_logq.sweeps.trial import Job, reason, run_trial

Tell = Callable[[tuple[Any, ...]], Any]
"""Takes ``("started", trial, point)``, ``("reported", trial, result)`` and ``("ended", trial, result, error)``."""
LOST = 3
"""How often a trial is started again after its process or machine was lost."""
# Tune reads these: what happens to Ctrl-C and to trials that report no score, and which files it writes.
_TUNE = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


@dataclass(frozen=True)
class Task:
    """A search, as plain values.

    Attributes:
        job: What all trials share.
        points: Points to try, or, where ``how.search`` is optuna, to begin with.
        missing: Number of trials to run.
        concurrent: Trials at a time; None for as many as fit.
        ended: Records of trials that are over.
        mode: ``max`` or ``min``.
        epochs: A trial has at most.
    """

    job: Job
    settings: SweepSettings
    points: list[Point]
    missing: int
    concurrent: int | None
    ended: list[Record]
    mode: str
    epochs: int


def tune_trials(task: Task, prepared: list[Any], tell: Tell) -> None:
    """Run the trials.

    Args:
        task: Task to do.
        prepared: A reference to the dataset in Ray's object store, or None if each trial prepares its own; in a list,
            since Ray would fetch it otherwise.
        tell: Function called with everything that happens.
    """
    for key, value in _TUNE.items():
        os.environ.setdefault(key, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # records say what failed
    settings, resources = task.settings, {"cpu": task.settings.cpus, "gpu": task.settings.gpus}
    trainable = tune.with_resources(tune.with_parameters(run_trial, job=task.job, prepared=prepared[0]), resources)
    options: dict[str, Any] = {}
    param_space = None
    if settings.search == "optuna":
        space = task.job.search.space
        options["search_alg"] = optuna_search(space, task.mode, settings.search_seed, task.ended, task.points)
        options["num_samples"] = task.missing
    else:
        param_space = {"point": tune.grid_search([text_of(point) for point in task.points])}
    spent = sum(record["train_cpu_seconds"] or 0.0 for record in task.ended)
    budget = None if settings.max_cpu_seconds is None else Budget(settings.max_cpu_seconds, spent)
    relay = _Relay(tell)
    # Nothing is read back from what Tune stores: records are plain JSON, and Tune's own state is pickles.
    with scratch_folder(name="tune") as storage:
        tuner = tune.Tuner(
            trainable,
            param_space=param_space,
            tune_config=tune.TuneConfig(
                scheduler=scheduler(settings.scheduler, task.mode, task.epochs, task.ended),
                max_concurrent_trials=task.concurrent,
                reuse_actors=True,  # importing torch and RecBole takes longer than a short trial
                **options,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=str(storage),
                callbacks=[relay],
                stop=budget,
                failure_config=tune.FailureConfig(max_failures=LOST),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except Exception as error:  # Tune reports its own, with the traceback of ours in it
            raise relay.failure or error from None
        if budget is not None and budget.stop_all():
            relay.end_what_runs()


class _Relay(tune.Callback):
    """Says in plain values what Tune says with its trials."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.failure: WorkError | None = None
        self.running: dict[str, Any] = {}

    def tell(self, event: tuple[Any, ...]) -> None:
        """Pass something on, and keep why that failed, such as a full disk."""
        try:
            self._tell(event)
        except WorkError as error:
            self.failure = error
            raise

    def end_what_runs(self) -> None:
        """Tune says nothing of the trials that run when the budget is spent."""
        for trial in list(self.running.values()):
            self._ended(trial, None)

    def _ended(self, trial: Any, error: str | None) -> None:
        self.running.pop(trial.trial_id, None)
        self.tell(("ended", trial.trial_id, _plain(trial.last_result), error))

    def __getstate__(self) -> dict[str, Any]:
        # Tune stores its callbacks beside its own state, which nothing here reads back.
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.running[trial.trial_id] = trial
        self.tell(("started", trial.trial_id, json.loads(trial.config["point"])))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        self.tell(("reported", trial.trial_id, _plain(result)))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._ended(trial, None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        error = None
        with contextlib.suppress(Exception):
            error = trial.get_pickled_error()
        if trial.trial_id not in self.running:  # it could not even be started
            self.on_trial_start(iteration, trials, trial)
        message = f"its process was lost: {reason(error)}" if error else "its process was lost (out of memory?)"
        self._ended(trial, message)


def _plain(result: dict[str, Any] | None) -> dict[str, Any]:
    """What the trial said, without what Tune adds."""
    return {key: value for key, value in (result or {}).items() if isinstance(value, str | int | float)}


class Budget(tune.Stopper):
    """Ends a search when its trials together have trained for that many CPU seconds.

    Args:
        seconds: The budget.
        spent: Seconds used by trials that are over.
    """

    def __init__(self, seconds: float, spent: float) -> None:
        self.seconds, self.before = seconds, spent
        self.spent: dict[str, float] = {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never stops one trial alone."""
        self.spent[trial_id] = max(self.spent.get(trial_id, 0.0), float(result.get("train_cpu_seconds") or 0.0))
        return False

    def stop_all(self) -> bool:
        """Whether the budget is spent."""
        return self.before + sum(self.spent.values()) >= self.seconds

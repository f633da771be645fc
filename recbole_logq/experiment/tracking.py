"""A run and those who are told of it: experiment trackers, and the meter of its energy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from recbole_logq.experiment.energy import EnergyMeter
from recbole_logq.ranks import rank
from recbole_logq.training.trackers import Outcome, Tracker, Trackers

_OF_THE_COMPUTER = frozenset(
    {"data_path", "checkpoint_dir", "state", "show_progress", "plugins", "mlflow_uri", "mlflow_experiment", "run_name"}
    | {"log_wandb", "wandb_project", "log_mlflow", "log_energy", "gpu_id", "device", "local_rank", "saved"}
)
_SECRET = re.compile(r"password|passwd|secret|credential|api_?key|(^|_)(auth|access|api)_?token$", re.IGNORECASE)


def check_reachable(config: Any) -> None:
    """Refuse a tracking server that does not answer, before any data is read.

    Raises:
        RequestError: The server cannot be reached.
    """
    if config["log_mlflow"] and rank() == 0:
        from recbole_logq.experiment.mlflow_tracker import reach

        reach(config)


@contextmanager
def tracked(config: Any, trainer: Any) -> Iterator[Tracked]:
    """Tell trackers of what is trained in the block, and measure its energy.

    Args:
        config: Settings of the run.
        trainer: Trainer that is told of them; one of RecBole's own is told of the whole run alone.

    Raises:
        RequestError: A tracker cannot begin.
    """
    first, history = rank() == 0, getattr(trainer, "history", [])
    trackers = getattr(trainer, "trackers", None) or Trackers(trainer.tensorboard)
    meter = EnergyMeter(config, history) if config["log_energy"] and first else None
    tracked_run = Tracked(trackers, meter)
    outcome: Outcome = "failed"
    try:
        if first:
            trackers.start(_trackers(config), history)
        if meter is not None:
            meter.start()
            trainer.meter = meter
        yield tracked_run
        outcome = "finished"
    except SystemExit:  # of Tune, which ends a trial so
        outcome = "stopped"
        raise
    finally:
        if meter is not None:
            meter.stop()
        trackers.end(outcome)


class Tracked(NamedTuple):
    """Trackers and meter of a run."""

    trackers: Trackers
    meter: EnergyMeter | None

    def conclude(self, result: dict[str, Any]) -> None:
        """Tell of the result, under RecBole's names, and put what the meter has read into it, as ``energy``.

        Args:
            result: result of the run; a trial has its ``best_valid_score`` alone.
        """
        energy = self.meter.stop() if self.meter is not None else None
        if self.meter is not None:
            result["energy"] = energy
        values = {f"eval/{key}": value for key, value in result.get("test_result", {}).items()}
        if result["best_valid_score"] is not None:
            values["best_valid_score"] = result["best_valid_score"]
        spent = {key: value for key, value in (energy or {}).items() if key in ("kwh", "co2_kg")}
        self.trackers.summarise(values | {f"energy/{key}": value for key, value in spent.items()})


def run_name(config: Any) -> str:
    """Name of a run on a tracker."""
    return str(config["run_name"] or f"{config['model']} on {config['dataset']}, seed {config['seed']}")


def _trackers(config: Any) -> list[Tracker]:
    name, parameters = run_name(config), _parameters(config)
    trackers: list[Tracker] = []
    if config["log_wandb"]:
        from recbole_logq.experiment.wandb_tracker import WandbTracker

        trackers.append(WandbTracker(config, name, parameters))
    if config["log_mlflow"]:
        from recbole_logq.experiment.mlflow_tracker import MlflowTracker

        tags = {"model": config["model"], "dataset": config["dataset"]}
        trackers.append(MlflowTracker(config, name, parameters, tags))
    return trackers


def _parameters(config: Any) -> dict[str, str]:
    """All settings that say what is trained, sections by dotted names; none of this computer, and no secret."""
    flat: dict[str, str] = {}

    def take(prefix: str, values: dict[str, Any]) -> None:
        for key, value in values.items():
            name = f"{prefix}{key}"
            if name in _OF_THE_COMPUTER or _SECRET.search(key) or value is None:
                continue
            if isinstance(value, dict) and value:
                take(f"{name}.", value)
            else:
                flat[name] = value if isinstance(value, str) else json.dumps(value)

    take("", config.plain())
    return flat

"""What happens in one trial, on whatever machine it is: train, report every validation, leave the test alone."""

from __future__ import annotations

import json
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from recbole_logq.errors import RequestError, WorkError
from recbole_logq.plugins import receive
from recbole_logq.sweeps.parameter import Point
from recbole_logq.sweeps.paths import relative
from recbole_logq.sweeps.sweep_plan import Search

METRIC = "best_score"
CLOCK = "epoch"
_OVER = Event()
"""Whether the trial of this process is over."""
_OVER.set()
_PATIENCE = 8
"""Seconds in which trackers are told of a trial's end; Tune waits for ten."""


@dataclass(frozen=True)
class Job:
    """What all trials of a search share.

    Attributes:
        folder: Folder in which trials have theirs.
        threads: Number of threads of a trial.
        resumable: Folders of trials that were cut off, by point: they go on from their last checkpoint.
    """

    search: Search
    folder: str
    threads: int
    gpus: float
    resumable: dict[str, str]


def run_trial(config: dict[str, Any], job: Job, prepared: Any = None) -> None:
    """Tune's function: reports a line at every validation and one that says how it ended.

    Whatever a configuration brings about is reported, not raised, so that only a lost process or machine makes Tune
    start a trial again.
    """
    os.environ.setdefault("TUNE_FUNCTION_THREAD_TIMEOUT_S", str(_PATIENCE))  # the same where another trial follows
    _OVER.clear()
    try:
        _run(config["point"], job, prepared)
    finally:
        _OVER.set()


class _Patient:
    """What Tune makes a trainable of, but waiting for a trial that it stops: Tune would end the process at once, before
    trackers are told."""

    def cleanup(self) -> None:
        """End the trial."""
        try:
            super().cleanup()  # type: ignore[misc]
        finally:
            _OVER.wait(_PATIENCE)


run_trial.__mixins__ = (_Patient,)  # type: ignore[attr-defined]


def _run(text: str, job: Job, prepared: Any) -> None:
    from ray import get_runtime_context, tune

    _forget_the_last()
    folder = _own_folder(job, text)
    place: dict[str, Any] = {
        "folder": relative(Path(job.folder).parent, folder),
        "node": get_runtime_context().get_node_id(),
    }
    try:
        receive(job.search.sources)
        ended = _train(json.loads(text), folder, job, prepared, place)
    except Exception as error:
        ended = {"ended": "failed", "error": reason(error), METRIC: math.nan}
    tune.report({**ended, **place})


def _forget_the_last() -> None:
    """A process serves several trials, one after another; what one left behind is not to count for the next."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def reason(error: BaseException) -> str:
    """One line."""
    is_ours = isinstance(error, RequestError | WorkError)
    text = " ".join(str(error).split()) or "no message"
    return (text if is_ours else f"{type(error).__name__}: {text}")[:500]


def _own_folder(job: Job, text: str) -> Path:
    """Folder of this trial alone; the folder of the sweep may be out of reach on another machine of a cluster."""
    from ray import tune

    if text in job.resumable and Path(job.resumable[text]).is_dir():
        folder = Path(job.resumable[text])
    else:
        name = str(tune.get_context().get_trial_id())
        folder = Path(job.folder) / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            folder = Path(tempfile.mkdtemp(prefix=f"recbole-logq-{name}-"))
    os.chdir(folder)  # RecBole writes log/ and log_tensorboard/ where it stands
    return folder


def _train(point: Point, folder: Path, job: Job, prepared: Any, place: dict[str, Any]) -> dict[str, Any]:
    import torch
    from ray import tune

    from recbole_logq.experiment.beginning import Phases, begin
    from recbole_logq.experiment.tracking import tracked
    from recbole_logq.sweeps.sweep_check import configuration

    torch.set_num_threads(job.threads)
    overrides = {"checkpoint_dir": str(folder / "saved")}
    if job.search.settings.get("log_mlflow") or job.search.settings.get("log_wandb"):
        overrides["run_name"] = f"{job.search.name}, {folder.name}"
    config = configuration(job.search, point, job.gpus, overrides)
    shared = prepared is not None and prepared.fits(config)
    place["data"] = "shared" if shared else "own"
    if job.gpus:  # what Ray has set, and a configuration of RecBole's would set anew
        place["devices"] = os.environ.get("CUDA_VISIBLE_DEVICES")
    trainer, loaders, _ = begin(config, Phases(), prepared if shared else None)
    bigger = bool(config["valid_metric_bigger"])
    best: list[float] = []

    def report(epoch: int, score: float) -> None:
        if not math.isfinite(score):
            raise WorkError(f"{config['valid_metric']} on validation became {score} in epoch {epoch}")
        best[:] = [(max if bigger else min)([score, *best])]
        spent = {key: round(getattr(trainer, key, 0.0), 3) for key in ("train_seconds", "train_cpu_seconds")}
        tune.report({CLOCK: epoch + 1, "score": float(score), METRIC: float(best[0]), **spent, **place})

    if interrupted := sorted((folder / "saved").glob("*-last.pth")):
        trainer.resume_checkpoint(str(interrupted[-1]))
        for entry in trainer.history:
            if "valid_score" in entry:
                report(entry["epoch"], entry["valid_score"])
    with tracked(config, trainer) as tracked_run:
        score, _ = trainer.fit(loaders[0], loaders[1], saved=True, show_progress=False, callback_fn=report)
        if not best:  # a loop of RecBole's that validates nothing, such as pre-training
            report(0, float(score))
        tracked_run.conclude({"best_valid_score": best[0]})  # a trial is not tested
    for file in (folder / "saved").glob("*-last.pth"):
        file.unlink()  # the trial is over, and its best epoch is kept
    return {
        "ended": "done",
        METRIC: float(best[0]),
        "best_epoch": getattr(trainer, "best_epoch", None),
        "checkpoint": relative(Path(job.folder).parent, trainer.saved_model_file),
    }

"""One run: train a model on a dataset, test its best epoch, record everything."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_logq import compat
from recbole_logq.errors import PeerLostError, RequestError, WorkError
from recbole_logq.experiment.beginning import Begun, Phases, begin
from recbole_logq.experiment.locks import sole_writer
from recbole_logq.experiment.machine_facts import device_facts, versions
from recbole_logq.experiment.processes import join
from recbole_logq.experiment.stored_plugins import say_missing_plugins
from recbole_logq.experiment.tracking import check_reachable, tracked
from recbole_logq.files import write_failure
from recbole_logq.plugins import checksums
from recbole_logq.ranks import lost_peer, rank
from recbole_logq.training import checkpoint
from recbole_logq.training.memory import peak_memory_mb


def run(
    model: str | type | None = None,
    dataset: str | None = None,
    config_file_list: list[str] | None = None,
    config_dict: dict[str, Any] | None = None,
    saved: bool = True,
    resume: str | None = None,
    callback: Any = None,
) -> dict[str, Any]:
    """Train, validate and test; the counterpart of RecBole's ``run_recbole`` for its models and this package's.

    Args:
        model: Model name, ``recbole-logq models`` lists them; or a class, of RecBole's recommenders or an encoder.
        dataset: Dataset name.
        config_file_list: YAML files, later ones win.
        config_dict: Settings that win over the files.
        saved: Whether to keep checkpoints; without them the last epoch is tested, not the best.
        resume: Checkpoint to continue from.
        callback: Function called with ``(trainer, loaders)`` before training, for experiments that watch a run.

    Returns:
        RecBole's ``best_valid_score``, ``valid_score_bigger``, ``best_valid_result``, ``test_result``, and ``model``,
        ``dataset``, ``parameters``, ``seed``, ``versions``, ``fingerprint``, ``protocol``, ``seconds``, ``plugins``
        (checksums of their files), ``model_class`` (where it was given as one), ``peak_memory_mb``, ``device``,
        ``positives_per_second``, ``checkpoint``, ``history``, ``negatives_per_step``: what a row was set against on
        average, in the last epoch (None for RecBole's models); and ``energy``, where ``log_energy`` asks for it.

    Raises:
        RequestError: The request cannot be done as stated.
        WorkError: Training failed or was interrupted.
    """
    compat.apply()
    from recbole_logq.config import Config

    try:
        config = Config(model, dataset, config_file_list, config_dict)
    except RequestError as error:
        if resume is not None:
            say_missing_plugins(resume, error)
        raise
    join(config)
    if resume is not None:
        _check_resumable(resume, config)
    check_reachable(config)
    phases, trainer = Phases(), None
    try:
        begun = begin(config, phases)
        trainer = begun.trainer
        if resume is not None:
            trainer.resume_checkpoint(resume)
        if callback is not None:
            callback(trainer, begun.loaders)
        with sole_writer(trainer.saved_model_file) if saved and rank() == 0 else nullcontext():
            if resume is not None and rank() == 0:  # nobody else is writing them now
                for file in (trainer.saved_model_file, trainer.last_file):
                    checkpoint.remove_half_written(file)
            with tracked(config, trainer) as tracked_run:
                result = _train_and_test(config, begun, phases, saved)
                tracked_run.conclude(result)
                return result
    except KeyboardInterrupt as error:
        raise WorkError(f"interrupted; {_kept(trainer)}") from error
    except (OSError, RuntimeError) as error:
        if (failure := write_failure(error, "log/ or log_tensorboard/")) is not None:
            raise WorkError(f"{failure}; {_kept(trainer)}") from error
        if not lost_peer(error):
            raise
        raise PeerLostError(f"another process of this run has ended; {_kept(trainer)}") from error
    finally:
        close(trainer)


def _kept(trainer: Any) -> str:
    last = getattr(trainer, "last_file", "")
    return f"go on with --resume={last}" if os.path.exists(last) else "no epoch was finished, nothing is kept"


def close(trainer: Any) -> None:
    """End the thread of tensorboard's writer, which every trainer of RecBole's starts and none ends."""
    if (end := getattr(getattr(trainer, "tensorboard", None), "close", None)) is not None:
        try:
            end()
        except OSError as error:  # of a run that is over either way
            with suppress(OSError):
                getLogger().warning(f"log_tensorboard/: the last lines are missing: {error.strerror}")


def _train_and_test(config: Any, begun: Begun, phases: Phases, saved: bool) -> dict[str, Any]:
    from recbole.utils import init_seed, set_color

    from recbole_logq.data.dataset.protocol import protocol_of

    trainer, loaders, parts = begun
    logger, show = getLogger(), config["show_progress"]
    with phases("train"):
        score, valid_result = trainer.fit(loaders[0], loaders[1], saved=saved, show_progress=show)
    # RecBole draws the negatives of uniN evaluation from the global generator: `evaluate` must draw the same.
    init_seed(config["seed"], config["reproducibility"])
    with phases("test"):
        test_result = trainer.evaluate(loaders[2], load_best_model=saved, show_progress=show)
    logger.info(set_color("best valid ", "yellow") + f": {checkpoint.plain(dict(valid_result or {}))}")
    logger.info(set_color("test result", "yellow") + f": {checkpoint.plain(dict(test_result))}")
    if saved:
        logger.info(f"checkpoint: {trainer.saved_model_file}")
    train_seconds = getattr(trainer, "train_seconds", phases.seconds["train"])
    result = {
        "best_valid_score": float(score) if valid_result else None,
        "valid_score_bigger": config["valid_metric_bigger"],
        "best_valid_result": checkpoint.plain(dict(valid_result or {})),
        "test_result": checkpoint.plain(dict(test_result)),
        "model": config["model"],
        "dataset": config["dataset"],
        "seed": config["seed"],
        "parameters": config.plain(),
        "given": config.given(),
        "plugins": checksums(config["plugins"]),
        "model_class": config.given_class,
        "versions": versions(),
        "fingerprint": trainer.fingerprint,
        "protocol": protocol_of(config, parts),
        "seconds": phases.seconds,
        "train_cpu_seconds": round(getattr(trainer, "train_cpu_seconds", 0.0), 3),
        "peak_memory_mb": peak_memory_mb(),
        "device": device_facts(config["device"]),
        "positives_per_second": round(getattr(trainer, "positives", 0) / max(train_seconds, 1e-9), 1),
        "checkpoint": trainer.saved_model_file if saved else None,
        "best_epoch": getattr(trainer, "best_epoch", None),
        "negatives_per_step": (getattr(trainer, "history", None) or [{}])[-1].get("negatives_per_step"),
        "history": checkpoint.plain(getattr(trainer, "history", [])),
    }
    if saved and rank() == 0:
        _store_result(trainer.saved_model_file, result)
    return result


def _check_resumable(path: str, config: Any) -> None:
    # Before any data is loaded: a wrong file should cost a second, not a minute.
    stored = checkpoint.load(path)["config"]
    for key in ("model", "dataset"):
        if stored[key] != config[key]:
            raise RequestError(f"{path} is of {key} {stored[key]}, not {config[key]}")
    folder = config.given().get("checkpoint_dir")
    if folder is not None and Path(folder).resolve() != Path(path).resolve().parent:
        raise RequestError(f"checkpoint_dir={folder}: a resumed run goes on writing beside {path}; leave it out")


def _store_result(path: str, result: dict[str, Any]) -> None:
    # So that `evaluate` can be held against what training reported.
    try:
        content = checkpoint.load(path)
    except RequestError:  # boosted trees keep a format of their own
        return
    content |= {key: result[key] for key in ("test_result", "versions")}
    checkpoint.save(content, path)

"""One run: train a model on a dataset, test its best epoch, record everything."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib.metadata import PackageNotFoundError, version
from logging import getLogger
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import torch

from recbole_logq import compat
from recbole_logq.errors import PeerLostError, RequestError, WorkError, out_of_memory
from recbole_logq.experiment.locks import remove_left_locks, sole_writer
from recbole_logq.experiment.processes import join
from recbole_logq.experiment.stored_plugins import say_missing_plugins
from recbole_logq.files import remove_left_behind, write_failure
from recbole_logq.plugin_errors import described, place_of
from recbole_logq.plugins import checksums
from recbole_logq.ranks import lost_peer, rank, wait_for_all
from recbole_logq.training import checkpoint
from recbole_logq.version import __version__


class Phases:
    """Wall-clock seconds per phase of a run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.seconds[name] = round(perf_counter() - start, 3)


class Begun(NamedTuple):
    """What a run trains with: the trainer, the loaders of the three parts, and the parts."""

    trainer: Any
    loaders: tuple[Any, Any, Any]
    parts: list[Any]


def begin(config: Any, phases: Phases, prepared: Any = None) -> Begun:
    """Everything before the first epoch.

    Args:
        config: The checked settings.
        phases: Record of the seconds that data preparation takes.
        prepared: A dataset that was prepared under settings that mean the same data; None to do it here.

    Raises:
        RequestError: The request cannot be done as stated.
        WorkError: Files cannot be read.
    """
    from recbole.utils import init_seed

    from recbole_logq.data.dataset.fingerprint import id_fingerprint, split_fingerprint
    from recbole_logq.data.prepare import check_labels, create_dataset, create_loaders, fetch, split_dataset
    from recbole_logq.experiment.logs import DETAIL, start_log
    from recbole_logq.experiment.opening import data_lines, request_lines
    from recbole_logq.training.create import create_trainer

    init_seed(config["seed"], config["reproducibility"])
    if prepared is None:
        fetch(config, missing=False)  # what is wrong is said before the log is opened
    try:
        Path(config["checkpoint_dir"]).mkdir(parents=True, exist_ok=True)
        if rank() == 0:
            remove_left_behind(Path(config["checkpoint_dir"]))
            remove_left_locks(Path(config["checkpoint_dir"]))
        log_file = start_log(config)
    except OSError as error:
        raise RequestError(f"cannot write {error.filename}: {error.strerror}; set --checkpoint_dir=FOLDER") from error
    logger = getLogger()
    for line in request_lines(config, log_file):
        logger.info(line)
    logger.info(config, extra=DETAIL)
    compat.say_anomalies()
    with phases("data"):
        if prepared is None:
            if rank() == 0:
                fetch(config)
            wait_for_all()  # the others find the files
            data = create_dataset(config)
            parts = split_dataset(config, data)
            fingerprint, ids = split_fingerprint(parts), id_fingerprint(data)
        else:
            prepared.hand_over(config)
            data, parts = prepared.data, prepared.parts
            fingerprint, ids = prepared.fingerprint, prepared.id_fingerprint
        logger.info(data, extra=DETAIL)
        for line in data_lines(config, data, parts):
            logger.info(line)
        logger.info(f"split fingerprint: {fingerprint}")
        check_labels(data, config)
        try:
            loaders = create_loaders(config, data, parts)
        except NotImplementedError as error:  # what RecBole raises for a transform that it does not have
            raise RequestError(f"{config['model']} cannot get its batches with these settings: {error}") from error
    init_seed(config["seed"], config["reproducibility"])
    try:
        network = config.model_class(config, parts[0]).to(config["device"])
    except RequestError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, AssertionError, ArithmeticError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        reason = described(error) if place_of(error) else (str(error).splitlines() or [repr(error)])[0]
        raise RequestError(f"{config['model']} cannot be built with these settings: {reason}") from error
    logger.info(network, extra=DETAIL)
    trainer = create_trainer(config, network)
    trainer.fingerprint, trainer.id_fingerprint = fingerprint, ids
    return Begun(trainer, loaders, parts)


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
        ``positives_per_second``, ``checkpoint``, ``history``, and ``negatives_per_step``: what a row was set against on
        average, in the last epoch (None for RecBole's models).

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
            return _train_and_test(config, begun, phases, saved)
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


def versions() -> dict[str, str]:
    """Versions of everything that can change a number."""
    found = {"python": platform.python_version(), "recbole-logq": __version__}
    for package in ("recbole", "torch", "numpy", "pandas", "scipy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def device_facts(device: torch.device) -> dict[str, Any]:
    """Name of what was computed on, and the largest memory of an accelerator that was taken so far, in MB."""
    if device.type != "cuda":
        return {"name": device.type}
    peak = torch.cuda.max_memory_allocated(device) / 1e6
    return {"name": torch.cuda.get_device_name(device), "peak_memory_mb": round(peak, 1)}


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, in MB."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        memory = psutil.Process().memory_info()
        return round(getattr(memory, "peak_wset", memory.rss) / 1e6, 1)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)

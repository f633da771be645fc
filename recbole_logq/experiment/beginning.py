"""A run up to its first epoch: data, split, loaders, network and trainer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from recbole_logq import compat
from recbole_logq.errors import RequestError, out_of_memory
from recbole_logq.experiment.locks import remove_left_locks
from recbole_logq.files import remove_left_behind
from recbole_logq.plugin_errors import described, place_of
from recbole_logq.ranks import rank, wait_for_all


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

"""One run in several processes: torchrun's environment on one side, ``--nproc`` on the other."""

from __future__ import annotations

import logging
import os
import sys
import uuid
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.launcher import started_by_launcher
from recbole_logq.ranks import rank, world_size


def child_environment() -> dict[str, str]:
    """This process's environment, in which a Python started anywhere finds this package, installed or not."""
    root = str(Path(__file__).parents[2])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": root if known is None else os.pathsep.join([root, known])}


def launch(nproc: int, words: list[str]) -> int:
    """Run the command ``words`` in ``nproc`` processes on this machine, through torch's own launcher.

    Returns:
        The exit status: that of the process that failed first, 0 if none did.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.update(child_environment())
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // nproc, 1)))
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # the process itself says what failed
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=nproc,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "recbole_logq", *words)
    except ChildFailedError as error:
        status = error.get_first_failure()[1].exitcode
        return status if status in {1, 2} else 1
    except SignalException:
        return 1
    return 0


def join(config: Any) -> None:
    """Become one of the processes of this run, where there are several: the first writes, the others keep quiet.

    Raises:
        RequestError: Several processes were asked for and not started.
    """
    if started_by_launcher() and world_size() == 1 and config["nproc"] > 1:
        import torch.distributed as dist

        on_gpu = config["device"].type == "cuda"
        dist.init_process_group("nccl" if on_gpu else "gloo", device_id=config["device"] if on_gpu else None)
    if config["nproc"] != world_size():
        raise RequestError(
            f"nproc={config['nproc']}: set it on the command line, or start your script under torchrun "
            "--nproc-per-node=N and leave it out"
        )
    if rank() > 0:
        import recbole.trainer.trainer as recbole_trainer

        config["show_progress"] = config["log_wandb"] = False
        recbole_trainer.get_tensorboard = lambda logger: _NoWriter()


def of_one_process(config: Any) -> Any:
    """The configuration, for commands that do not share their work.

    Raises:
        RequestError: Several processes are at it.
    """
    if config["nproc"] > 1:
        raise RequestError(f"nproc={config['nproc']}: only training runs in several processes; start this in one")
    return config


def leave() -> None:
    """End what :func:`join` began."""
    if world_size() > 1:
        import torch.distributed as dist

        dist.destroy_process_group()


class _NoWriter:
    """In place of tensorboard's in all processes but the first."""

    def add_scalar(self, *args: Any) -> None:
        pass

    def add_hparams(self, *args: Any) -> None:
        pass

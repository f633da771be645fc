"""One run in several processes, as each of them sees it; ``--nproc`` and torchrun start them."""

from __future__ import annotations

from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.launcher import started_by_launcher
from recbole_logq.ranks import rank, world_size


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

        config["show_progress"] = False
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
    """Replacement of tensorboard's writer in all processes but the first."""

    def add_scalar(self, *args: Any) -> None:
        pass

    def add_hparams(self, *args: Any) -> None:
        pass

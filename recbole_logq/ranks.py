"""The processes of a distributed run, as the rest of the package sees them; in one nothing happens. Torch only."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """This process among them; 0 writes files."""
    return dist.get_rank() if world_size() > 1 else 0


def own_share(n: int) -> slice:
    """This process's share of ``n`` rows: consecutive, in the order of ranks, sizes differ by at most one."""
    base, extra = divmod(n, world_size())
    start = rank() * base + min(rank(), extra)
    return slice(start, start + base + (rank() < extra))


@dataclass(frozen=True)
class Gathered:
    """Rows of all processes, in the order of ranks.

    Attributes:
        rows: ``[all rows, ...]``.
        first: Place at which this process's rows begin.
    """

    rows: Tensor
    first: int


def gather_rows(rows: Tensor) -> Gathered:
    """Collect tensors ``[rows, ...]`` whose first sizes differ; a collective call, with the same result everywhere."""
    if world_size() == 1:
        return Gathered(rows, 0)
    sizes = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world_size())]
    dist.all_gather(sizes, torch.tensor([len(rows)], device=rows.device))
    lengths = [int(size) for size in sizes]
    padded = rows.new_zeros(max(lengths), *rows.shape[1:])
    padded[: len(rows)] = rows
    parts = [torch.zeros_like(padded) for _ in lengths]
    dist.all_gather(parts, padded)
    gathered = torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])
    return Gathered(gathered, sum(lengths[: dist.get_rank()]))


def sum_over_ranks(values: Tensor) -> Tensor:
    """The sum over all processes, in place; a collective call."""
    if world_size() > 1:
        dist.all_reduce(values)
    return values


def from_first(text: str) -> str:
    """The first process's text; a collective call."""
    if world_size() == 1:
        return text
    texts = [text]
    dist.broadcast_object_list(texts)
    return texts[0]


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if world_size() > 1:
        dist.barrier()


_COLLECTIVE = re.compile(r"gloo|nccl|ProcessGroup|TCPStore|connection (closed|reset)", re.IGNORECASE)


def lost_peer(error: BaseException) -> bool:
    """Whether an error says that another process of the run is gone; gloo has no class for that."""
    if isinstance(error, dist.DistError):
        return True
    return type(error) is RuntimeError and _COLLECTIVE.search(str(error)) is not None

"""Gradients of several processes, averaged; torch only.

torch's DistributedDataParallel would do for dense gradients alone: it cannot reduce sparse ones over nccl, and it wants
the whole loss inside one module's forward pass.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recbole_logq.ranks import gather_rows, sum_over_ranks, world_size


def average_gradients(model: nn.Module) -> None:
    """Give every process the mean of all processes' gradients; a collective call, nothing to do in one process.

    Dense gradients go through one buffer. Sparse ones travel as indices and values: what is sent grows with the rows of
    a step, not with the table. A process without rows in a step counts with zeros.
    """
    if world_size() == 1:
        return
    tables = {id(module.weight) for module in model.modules() if getattr(module, "sparse", False)}
    dense = []
    for parameter in model.parameters():
        if not parameter.requires_grad:
            continue
        if id(parameter) in tables:
            parameter.grad = _average_rows(parameter)
        else:
            dense.append(parameter)
    _average_dense(dense)


def _average_dense(parameters: list[nn.Parameter]) -> None:
    if not parameters:
        return
    grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    buffer = sum_over_ranks(torch.cat([grad.flatten() for grad in grads])).div_(world_size())
    parts = buffer.split([grad.numel() for grad in grads])
    for parameter, part in zip(parameters, parts, strict=True):
        parameter.grad = part.view_as(parameter)


def _average_rows(table: nn.Parameter) -> Tensor:
    if table.grad is None:
        index, values = torch.zeros(0, dtype=torch.int64, device=table.device), table.new_zeros(0, *table.shape[1:])
    else:
        grad = table.grad.coalesce()
        index, values = grad.indices()[0], grad.values()
    index, values = gather_rows(index).rows, gather_rows(values).rows / world_size()
    return torch.sparse_coo_tensor(index.unsqueeze(0), values, table.shape, check_invariants=False).coalesce()

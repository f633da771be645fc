"""Adam that touches only the rows of a table that a step has used; torch only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def merge_rows(model: nn.Module) -> None:
    """Sum the duplicate rows of sparse gradients: a norm of them is wrong before."""
    for parameter in model.parameters():
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = merged(parameter.grad)


def merged(grad: Tensor) -> Tensor:
    """A sparse gradient with every row once, duplicates summed; no host waits for the number of rows."""
    if grad.device.type == "cpu" or grad.is_coalesced():
        return grad.coalesce()
    return merged_without_waiting(grad)


def merged_without_waiting(grad: Tensor) -> Tensor:
    """As coalescing, with as many entries as before: those that are left over are zeros of row 0, the padding."""
    ids, values = grad._indices()[0], grad._values()
    ordered, order = ids.sort()
    first = torch.cat([torch.zeros_like(ordered[:1]), (ordered[1:] != ordered[:-1]).long()])
    entry = first.cumsum(0)
    sums = torch.zeros_like(values).index_add_(0, entry, values[order])
    rows = torch.zeros_like(ids).scatter_(0, entry, ordered)
    return torch.sparse_coo_tensor(rows.unsqueeze(0), sums, grad.shape, is_coalesced=True, check_invariants=False)


class LazyAdam(torch.optim.Adam):
    """Adam for parameters with dense gradients; row by row for those with sparse ones (``nn.Embedding(sparse=True)``).

    A row lives as if the optimizer ran only on the steps in which it has a gradient: its moments do not decay in
    between, and its bias correction counts its own steps. (Corrected by the number of all steps, as in torch's
    SparseAdam, a row that is met late for the first time would take a first step of ``(1 - beta1) / sqrt(1 - beta2)``,
    about three times the learning rate.) Where every row has a gradient in every step this is Adam exactly.

    Duplicate rows of a gradient are merged before anything is squared.

    Args:
        params: Parameters or groups, as for Adam.
        **options: As for Adam.

    Raises:
        ValueError: ``step`` meets a sparse gradient in a group with weight decay: decay is about all rows in every
            step, and on the rows of the step alone it would mean something else.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step, dense parameters first."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        tables = [
            (group, table, table.grad)
            for group in self.param_groups
            for table in group["params"]
            if table.grad is not None and table.grad.is_sparse
        ]
        for group, table, _ in tables:
            if group["weight_decay"]:
                raise ValueError(f"weight_decay={group['weight_decay']} with sparse gradients is not Adam's decay")
            table.grad = None  # Adam leaves out what has no gradient
        super().step()
        for group, table, grad in tables:
            table.grad = merged(grad)
            self._step_rows(group, table, table.grad.indices()[0], table.grad.values())
        return loss

    def _step_rows(self, group: dict[str, Any], table: Tensor, rows: Tensor, grad: Tensor) -> None:
        state = self.state[table]
        if not state:
            # The names that Adam's own state has; `step` counts per row, in float32 as there.
            state["step"] = torch.zeros(len(table), 1, device=table.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
        beta1, beta2 = group["betas"]
        step = state["step"].index_select(0, rows).add_(1)
        mean = state["exp_avg"].index_select(0, rows).lerp_(grad, 1 - beta1)
        square = state["exp_avg_sq"].index_select(0, rows).mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        for name, values in (("step", step), ("exp_avg", mean), ("exp_avg_sq", square)):
            state[name].index_copy_(0, rows, values)
        # Corrections in float64: 1 - 0.999^1 has lost four digits in float32.
        first, second = ((1 - beta ** step.double()).to(grad.dtype) for beta in (beta1, beta2))
        update = mean.div_(first).div_(square.div_(second).sqrt_().add_(group["eps"]))
        if isinstance(group["lr"], Tensor):  # a captured step reads the rate from the device
            table.index_add_(0, rows, update.mul_(-group["lr"]))
        else:
            table.index_add_(0, rows, update, alpha=-group["lr"])

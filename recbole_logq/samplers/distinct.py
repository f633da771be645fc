"""Distinct values found by sorting, in sizes that a host need not wait for; torch only."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recbole_logq.transfer import to_device


class Distinct(NamedTuple):
    """Values without repeats.

    Attributes:
        values: int64 `[n]`, each value once, in order. On an accelerator as many as there were values before, the
            largest several times at the end: their number would have to be waited for.
        place: int64 `[values before]`, the place of each among them.
        number: int64 scalar, how many there are.
    """

    values: Tensor
    place: Tensor
    number: Tensor


def distinct(values: Tensor) -> Distinct:
    """The distinct ones of int64 `[n]`."""
    if not len(values):
        return Distinct(values, values, values.new_zeros(()))
    ordered, order = values.sort()
    entry = torch.cat([torch.zeros_like(ordered[:1]), (ordered[1:] != ordered[:-1]).cumsum(0)])
    size = int(entry[-1]) + 1 if values.device.type == "cpu" else len(values)
    once = ordered[-1:].repeat(size).scatter_(0, entry, ordered)
    return Distinct(once, torch.empty_like(entry).scatter_(0, order, entry), entry[-1] + 1)


def drawn_of(items: Distinct, count: int | None, generator: torch.Generator) -> tuple[Tensor, Tensor | float]:
    """Some of distinct items, drawn without replacement.

    Args:
        items: The items; their ids are above 0.
        count: Items to draw; None for all of them.
        generator: Generator on the CPU, which gives the same items on every device.

    Returns:
        int64 `[n]`, the ids, on an accelerator with 0 behind them where there are fewer; and the log of the share that
        was drawn.
    """
    total = len(items.place)
    if count is None or count >= total:
        every = torch.arange(len(items.values), device=items.values.device)
        return items.values.masked_fill(every >= items.number, 0), 0.0
    order = to_device(torch.randperm(total, generator=generator), items.values.device)
    behind = order >= items.number
    # Those of a random order that are places of items are in random order.
    if order.device.type == "cpu":
        chosen = order[~behind][:count]
        ids = items.values[chosen]
    else:
        chosen = order[behind.long().argsort(stable=True)[:count]]
        ids = items.values[chosen].masked_fill(chosen >= items.number, 0)
    return ids, (items.number.double().clamp_max(count) / items.number).log()

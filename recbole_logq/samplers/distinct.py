"""Distinct values found by sorting, in sizes that a host need not wait for; torch only."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recbole_logq.transfer import to_device


class Distinct(NamedTuple):
    """Values without repeats.

    Attributes:
        values: int64 `[n]`, each value once, in order; padded, the largest several times at the end.
        place: int64 `[values before]`, the place of each among them.
        number: int64 scalar, how many there are.
        padded: Whether there are as many as there were values before.
    """

    values: Tensor
    place: Tensor
    number: Tensor
    padded: bool


def pads(device: torch.device) -> bool:
    """Whether a number of distinct values would have to be waited for."""
    return device.type != "cpu"


def distinct(values: Tensor) -> Distinct:
    """The distinct ones of int64 `[n]`, padded on an accelerator."""
    padded = pads(values.device)
    if not len(values):
        return Distinct(values, values, values.new_zeros(()), padded)
    ordered, order = values.sort()
    entry = torch.cat([torch.zeros_like(ordered[:1]), (ordered[1:] != ordered[:-1]).cumsum(0)])
    size = len(values) if padded else int(entry[-1]) + 1
    once = ordered[-1:].repeat(size).scatter_(0, entry, ordered)
    return Distinct(once, torch.empty_like(entry).scatter_(0, order, entry), entry[-1] + 1, padded)


def drawn_of(items: Distinct, count: int | None, generator: torch.Generator) -> tuple[Tensor, Tensor | float]:
    """Some of distinct items, drawn without replacement.

    Args:
        items: The items; their ids are above 0.
        count: Items to draw; None for all of them.
        generator: Generator on the CPU, which gives the same items on every device.

    Returns:
        int64 `[n]`, the ids, with 0 behind them where items are padded and there are fewer; and the log of the share
        that was drawn.
    """
    total, device = len(items.place), items.values.device
    if count is None or count >= total:
        if not items.padded:
            return items.values, 0.0
        return items.values.masked_fill(torch.arange(total, device=device) >= items.number, 0), 0.0
    # Those of a random order that are places of items are in random order.
    order = to_device(torch.randperm(total, generator=generator), device)
    behind = order >= items.number
    log_share = (items.number.double().clamp_max(count) / items.number).log()
    if not items.padded:
        return items.values[order[~behind][:count]], log_share
    chosen = order[behind.long().argsort(stable=True)[:count]]
    return items.values[chosen].masked_fill(chosen >= items.number, 0), log_share

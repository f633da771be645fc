"""Rows and the item sets that they share, laid out as blocks of padded matrices of similar size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_logq.transfer import to_device

CPU_BLOCK_ELEMENTS = 2**19
"""Scores of a block on the CPU: 2 MB of float32, so that the passes after the product stay in the cache."""
ACCELERATOR_BLOCK_ELEMENTS = 2**25


@dataclass(frozen=True)
class SetBlock:
    """Some sets, each with its rows and its columns padded to those of the largest; padding repeats any of them.

    Args:
        rows: int64 `[sets, width]`, the rows of each set.
        columns: int64 `[sets, height]`, the columns of each set.
        real_rows: bool `[sets, width]`, which rows are no padding.
        real_columns: bool `[sets, height]`, the same for columns.
        own: int64 `[sets, width]`, the place in its set of each row's own item.
    """

    rows: Tensor
    columns: Tensor
    real_rows: Tensor
    real_columns: Tensor
    own: Tensor


@dataclass(frozen=True)
class SetLayout:
    """All blocks.

    Args:
        blocks: Blocks of the sets that have rows and something to score beside a row's own item.
        items: int64 `[columns]`, the item of each column; every set has columns of its own.
        row_at: int64 `[rows]`, the place of each row when the blocks' padded rows stand one after the other; the
            number of these for a row whose set has nothing to score.
        column_at: int64 `[columns]`, the same for columns.
        scores: Padded scores in all blocks.
    """

    blocks: list[SetBlock]
    items: Tensor
    row_at: Tensor
    column_at: Tensor
    scores: int


def set_layout(
    row_set: Tensor,
    own_item: Tensor,
    pair_set: Tensor,
    pair_item: Tensor,
    n_sets: int,
    elements: int | None = None,
    repeated: Tensor | None = None,
    sizes: tuple[Tensor, Tensor] | None = None,
    n_items: int | None = None,
) -> SetLayout:
    """Lay out rows and sets.

    Args:
        row_set: int64 `[rows]`, the set of each row.
        own_item: int64 `[rows]`, an item of that set that is left out for this row.
        pair_set: int64 `[pairs]`, a set, and beside it
        pair_item: int64 `[pairs]`, an item in it; sorted by both.
        n_sets: Number of sets.
        elements: Padded scores in a block that holds more than one set, at most. Default: by device.
        repeated: bool `[pairs]`, pairs that stand before themselves already and are not scored. Default: none are.
        sizes: Pairs and rows of each set, int64 `[n_sets]` each, on the host, where it knows them: then nothing waits
            for an accelerator. Every set has a row and another item.
        n_items: Ids are below it; looked for when None.
    """
    device, n_rows = row_set.device, len(row_set)
    if elements is None:
        elements = CPU_BLOCK_ELEMENTS if device.type == "cpu" else ACCELERATOR_BLOCK_ELEMENTS
    if sizes is None:
        heights, widths = torch.bincount(pair_set, minlength=n_sets), torch.bincount(row_set, minlength=n_sets)
        on_host = heights.cpu(), widths.cpu()
        scored = (heights > 1) & (widths > 0)
        kept = scored[pair_set]
        items, repeated = pair_item[kept], None if repeated is None else repeated[kept]
    else:
        on_host = sizes
        heights, widths = to_device(torch.stack(sizes), device).unbind()
        scored, items = torch.ones_like(heights, dtype=torch.bool), pair_item
    first_pair, first_row = heights.cumsum(0) - heights, widths.cumsum(0) - widths
    first_column = (heights * scored).cumsum(0) - heights * scored
    digit = n_items or (int(pair_item.max()) + 1 if len(pair_item) else 1)
    own = torch.searchsorted(pair_set * digit + pair_item, row_set * digit + own_item) - first_pair[row_set]
    row_order = row_set.argsort(stable=True)

    blocks: list[SetBlock] = []
    for sets, width, height in _similar(*on_host, elements):
        chosen = to_device(sets, device)
        rows, real_rows = _padded(first_row[chosen], widths[chosen], width, n_rows)
        columns, real_columns = _padded(first_column[chosen], heights[chosen], height, len(items))
        if repeated is not None:
            real_columns = real_columns & ~repeated[columns]
        rows = row_order[rows]
        blocks.append(SetBlock(rows, columns, real_rows, real_columns, own[rows].clamp_max(height - 1)))
    row_at = _places([block.rows for block in blocks], [block.real_rows for block in blocks], n_rows, device)
    column_at = _places([b.columns for b in blocks], [b.real_columns for b in blocks], len(items), device)
    scores = sum(block.rows.numel() * block.columns.shape[1] for block in blocks)
    return SetLayout(blocks, items, row_at, column_at, scores)


def _similar(heights: Tensor, widths: Tensor, elements: int) -> list[tuple[Tensor, int, int]]:
    """Sets of similar height next to each other, with the largest width and height; on the host."""
    kept = ((heights > 1) & (widths > 0)).nonzero().flatten()
    kept = kept[heights[kept].argsort(stable=True)]
    groups: list[tuple[Tensor, int, int]] = []
    first = width = 0
    high, wide = heights[kept].tolist(), widths[kept].tolist()
    for place in range(len(high)):
        wider = max(width, wide[place])
        if place > first and ((place - first + 1) * wider * high[place] > elements or high[place] > 2 * high[first]):
            groups.append((kept[first:place], width, high[place - 1]))
            first, wider = place, wide[place]
        width = wider
    if len(high):
        groups.append((kept[first:], width, high[-1]))
    return groups


def _padded(first: Tensor, sizes: Tensor, width: int, total: int) -> tuple[Tensor, Tensor]:
    """Indices `[sets, width]` from the first of each set on, and which are no padding."""
    step = torch.arange(width, device=first.device)
    return (first.unsqueeze(1) + step).clamp_max(total - 1), step < sizes.unsqueeze(1)


def _places(indices: list[Tensor], real: list[Tensor], total: int, device: torch.device) -> Tensor:
    """Where each of `total` indices stands in all of them, flattened; behind them for one that is not there."""
    padded = sum(index.numel() for index in indices)
    places = torch.full((total + 1,), padded, dtype=torch.int64, device=device)
    if padded:
        index = torch.cat([part.masked_fill(~kept, total).flatten() for part, kept in zip(indices, real, strict=True)])
        places[index] = torch.arange(padded, device=device)
    return places[:total]

"""Triton kernels of a pool's logsumexp: scores exist for one tile at a time, in registers.

The rows of a step stand in `pools` groups of `size` rows each, the last one shorter, and every group has a pool of
`columns` items of its own. A program of the forward pass walks over the columns with a block of rows, keeping maximum
and sum of each row so far (Milakov & Gimelshein 2018, arXiv 1805.02867) and, as attention does with its values (Dao et
al. 2022, arXiv 2205.14135), the items' vectors weighted by their exponentials: of them the gradient of the queries is
made. A program of the backward pass walks over the rows with a block of columns. Where there are too few blocks for a
device's multiprocessors the walk is cut into splits, and the caller adds up what they give: no atomic operations, so
that every run has the same numbers.

All tensors are contiguous. Products multiply in the type of the vectors, float32 ones in `PRECISION` (of `tl.dot`);
whatever is added up is float32.
"""

from __future__ import annotations

import triton
import triton.language as tl

MASKED_SCORE = tl.constexpr(-1e30)

SIZES = ["rows", "size", "columns", "sets", "pools", "split_columns", "split_rows", "offset_row", "offset_pool"]
"""Numbers that a kernel is not compiled anew for, since they differ from step to step."""


@triton.jit
def _valid(
    row,
    column,
    inside,
    pool,
    columns,
    row_id,
    column_id,
    row_key,
    column_key,
    row_set,
    held,
    sets,
    listed,
    BY_ID: tl.constexpr,
    BY_KEY: tl.constexpr,
    HELD: tl.constexpr,
    SPARED: tl.constexpr,
    LISTED: tl.constexpr,
):
    """A tile of a `ColumnMask`: rows stand along one of its dimensions, columns along the other."""
    valid = inside
    place = pool.to(tl.int64) * columns + column
    if BY_KEY:
        valid = valid & (tl.load(row_key + row) != tl.load(column_key + place))
    if BY_ID:
        valid = valid & (tl.load(row_id + row) != tl.load(column_id + place))
    if HELD:
        in_set = (pool.to(tl.int64) * sets + tl.load(row_set + row)) * columns + column
        stays = tl.load(held + in_set) == 0
        if SPARED:
            stays = stays | (tl.load(row_id + row) == tl.load(column_id + place))
        valid = valid & stays
    if LISTED:
        valid = valid & (tl.load(listed + row.to(tl.int64) * columns + column) != 0)
    return valid


@triton.jit
def _vectors(table, at, WIDTH: tl.constexpr, PADDED: tl.constexpr):
    """Vectors `[block, PADDED]` of a contiguous `[n, WIDTH]`."""
    dim = tl.arange(0, PADDED)
    address = table + at.to(tl.int64)[:, None] * WIDTH + dim[None, :]
    if WIDTH == PADDED:
        return tl.load(address)
    return tl.load(address, mask=dim[None, :] < WIDTH, other=0.0)


@triton.jit(do_not_specialize=SIZES)
def forward_kernel(
    query,
    vectors,
    offset,
    row_id,
    column_id,
    row_key,
    column_key,
    row_set,
    held,
    listed,
    lse,
    expected,
    counts,
    rows,
    size,
    columns,
    sets,
    split_columns,
    offset_row,
    offset_pool,
    WIDTH: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
    PRECISION: tl.constexpr,
    OFFSET: tl.constexpr,
    BY_ID: tl.constexpr,
    BY_KEY: tl.constexpr,
    HELD: tl.constexpr,
    SPARED: tl.constexpr,
    LISTED: tl.constexpr,
    EXPECTED: tl.constexpr,
):
    """logsumexp of each row, its softmax's mean of the vectors, and the number of its valid columns; by split."""
    split, pool = tl.program_id(1), tl.program_id(2)
    end = tl.minimum((pool + 1) * size, rows)
    slot = pool * size + tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    row = tl.minimum(slot, end - 1)  # what lies behind the end repeats the last: no load needs a mask
    q = _vectors(query, row, WIDTH, PADDED)  # [block of rows, d]

    peak = tl.full([BLOCK_ROWS], MASKED_SCORE, tl.float32)
    total = tl.full([BLOCK_ROWS], 0.0, tl.float32)
    count = tl.full([BLOCK_ROWS], 0, tl.int32)
    weighted = tl.full([BLOCK_ROWS, PADDED], 0.0, tl.float32)
    first = split * split_columns
    last = tl.minimum(first + split_columns, columns)
    for left in range(first, last, BLOCK_COLUMNS):
        after = left + tl.arange(0, BLOCK_COLUMNS)
        column = tl.minimum(after, last - 1)
        v = _vectors(vectors + pool.to(tl.int64) * columns * WIDTH, column, WIDTH, PADDED)  # [block of columns, d]
        scores = tl.dot(q, tl.trans(v), input_precision=PRECISION)  # [block of rows, block of columns]
        if OFFSET:
            at = row.to(tl.int64)[:, None] * offset_row + pool.to(tl.int64) * offset_pool + column[None, :]
            scores -= tl.load(offset + at)
        valid = _valid(
            row[:, None],
            column[None, :],
            (after < last)[None, :] & (slot < end)[:, None],
            pool,
            columns,
            row_id,
            column_id,
            row_key,
            column_key,
            row_set,
            held,
            sets,
            listed,
            BY_ID,
            BY_KEY,
            HELD,
            SPARED,
            LISTED,
        )
        scores = tl.where(valid, scores, MASKED_SCORE)
        new_peak = tl.maximum(peak, tl.max(scores, 1))
        shrink = tl.exp(peak - new_peak)
        weights = tl.where(valid, tl.exp(scores - new_peak[:, None]), 0.0)
        total = total * shrink + tl.sum(weights, 1)
        count += tl.sum(valid.to(tl.int32), 1)
        if EXPECTED:
            weighted = tl.dot(weights.to(v.dtype), v, weighted * shrink[:, None], input_precision=PRECISION)
        peak = new_peak

    real = slot < end
    out = split * rows + row
    # A total that is not a number stays one: what went wrong in the model must be seen.
    tl.store(lse + out, tl.where(total == 0.0, MASKED_SCORE, peak + tl.log(total)), mask=real)
    tl.store(counts + out, count, mask=real)
    if EXPECTED:
        dim = tl.arange(0, PADDED)
        mean = weighted / tl.where(total == 0.0, 1.0, total)[:, None]
        to = expected + out.to(tl.int64)[:, None] * WIDTH + dim[None, :]
        tl.store(to, mean, mask=real[:, None] & (dim < WIDTH)[None, :])


@triton.jit(do_not_specialize=SIZES)
def backward_kernel(
    query,
    vectors,
    offset,
    row_id,
    column_id,
    row_key,
    column_key,
    row_set,
    held,
    listed,
    lse,
    gradient,
    into,
    rows,
    size,
    columns,
    sets,
    pools,
    split_rows,
    offset_row,
    offset_pool,
    WIDTH: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
    PRECISION: tl.constexpr,
    OFFSET: tl.constexpr,
    BY_ID: tl.constexpr,
    BY_KEY: tl.constexpr,
    HELD: tl.constexpr,
    SPARED: tl.constexpr,
    LISTED: tl.constexpr,
):
    """Gradient of the columns' vectors, by split; scores are computed again, transposed."""
    split, pool = tl.program_id(1), tl.program_id(2)
    slot = tl.program_id(0) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    column = tl.minimum(slot, columns - 1)
    v = _vectors(vectors + pool.to(tl.int64) * columns * WIDTH, column, WIDTH, PADDED)  # [block of columns, d]

    sums = tl.full([BLOCK_COLUMNS, PADDED], 0.0, tl.float32)
    first = pool * size + split * split_rows
    last = tl.minimum(tl.minimum(first + split_rows, (pool + 1) * size), rows)
    for top in range(first, last, BLOCK_ROWS):
        after = top + tl.arange(0, BLOCK_ROWS)
        row = tl.minimum(after, last - 1)
        q = _vectors(query, row, WIDTH, PADDED)  # [block of rows, d]
        scores = tl.dot(v, tl.trans(q), input_precision=PRECISION)  # [block of columns, block of rows]
        if OFFSET:
            at = row.to(tl.int64)[None, :] * offset_row + pool.to(tl.int64) * offset_pool + column[:, None]
            scores -= tl.load(offset + at)
        valid = _valid(
            row[None, :],
            column[:, None],
            (after < last)[None, :] & (slot < columns)[:, None],
            pool,
            columns,
            row_id,
            column_id,
            row_key,
            column_key,
            row_set,
            held,
            sets,
            listed,
            BY_ID,
            BY_KEY,
            HELD,
            SPARED,
            LISTED,
        )
        softmax = tl.exp(scores - tl.load(lse + row)[None, :])
        weights = tl.where(valid, softmax * tl.load(gradient + row)[None, :], 0.0)
        sums = tl.dot(weights.to(q.dtype), q, sums, input_precision=PRECISION)

    dim = tl.arange(0, PADDED)
    out = (split * pools + pool).to(tl.int64) * columns + slot
    tl.store(into + out[:, None] * WIDTH + dim[None, :], sums, mask=(slot < columns)[:, None] & (dim < WIDTH)[None, :])


@triton.jit(do_not_specialize=SIZES)
def count_kernel(
    row_id,
    column_id,
    row_key,
    column_key,
    row_set,
    held,
    counts,
    rows,
    size,
    columns,
    sets,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
    BY_ID: tl.constexpr,
    BY_KEY: tl.constexpr,
    HELD: tl.constexpr,
    SPARED: tl.constexpr,
):
    """Number of valid columns of each row."""
    pool = tl.program_id(1)
    end = tl.minimum((pool + 1) * size, rows)
    slot = pool * size + tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    row = tl.minimum(slot, end - 1)
    count = tl.full([BLOCK_ROWS], 0, tl.int32)
    for left in range(0, columns, BLOCK_COLUMNS):
        after = left + tl.arange(0, BLOCK_COLUMNS)
        column = tl.minimum(after, columns - 1)
        valid = _valid(
            row[:, None],
            column[None, :],
            (after < columns)[None, :] & (slot < end)[:, None],
            pool,
            columns,
            row_id,
            column_id,
            row_key,
            column_key,
            row_set,
            held,
            sets,
            held,
            BY_ID,
            BY_KEY,
            HELD,
            SPARED,
            False,
        )
        count += tl.sum(valid.to(tl.int32), 1)
    tl.store(counts + row, count, mask=slot < end)

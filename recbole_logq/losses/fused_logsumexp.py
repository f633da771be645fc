"""logsumexp of dot products with pools, by a kernel that never writes scores to memory; forward and backward.

The forward pass keeps, of each row, the logsumexp and the softmax's mean of the items' vectors, which times the
incoming gradient is the query's; the backward pass scores again for the items' part. Four matrix products in all, one
launch each way and a few small ones. `losses/kernels/` has the kernels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from math import ceil
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_logq.losses.column_mask import ColumnMask
from recbole_logq.losses.terms import MaskFunction, Terms

Kernel = Literal["auto", "triton", "torch"]
"""What computes a pool's logsumexp: the Triton kernel where it is known to be faster, always, or never."""

FASTER_ON: frozenset[tuple[int, int]] = frozenset()
"""Compute capabilities of devices on which `benchmarks/pool_kernel.py` has shown the kernel to be right, and faster.

None so far: it compiles for 8.0 and 9.0 and is right in Triton's interpreter, and has not been run on a device.
"""

WIDEST = 256
"""Dimensions up to which a block of vectors fits a multiprocessor's memory."""
LEAST_CAPABILITY = (8, 0)
"""The oldest compute capability with TF32 and bfloat16."""
LEAST_SHARED_MEMORY = 160_000
"""Bytes that a block of threads must be able to share: the largest tiles take 140,000 (A100 and later server cards)."""


@dataclass(frozen=True)
class Tiling:
    """How a kernel's work is cut: rows and columns of a tile, warps of a program, tiles that are loaded ahead."""

    rows: int
    columns: int
    warps: int
    stages: int


@dataclass(frozen=True)
class Tilings:
    """Tiles of the forward and of the backward kernel."""

    forward: Tiling
    backward: Tiling


def tilings(width: int, precision: str) -> Tilings:
    """The cuts for vectors of a width, padded to a power of two, and a precision as of `fused_logsumexp`."""
    narrow = width <= 128
    if precision == "bfloat16":
        return Tilings(Tiling(128, 64, 8, 2), Tiling(64, 64, 4, 2)) if narrow else _equal_tilings(64, 64, 8)
    if precision == "tf32":
        return _equal_tilings(64, 64, 4) if narrow else _equal_tilings(64, 32, 8)
    if precision == "tf32x3":
        return _equal_tilings(64, 32, 4) if narrow else _equal_tilings(16, 32, 4)
    return _equal_tilings(32, 32, 8) if narrow else _equal_tilings(16, 16, 4)


def _equal_tilings(walking: int, walked: int, warps: int) -> Tilings:
    """Blocks that stand still and blocks that are walked over, in either direction."""
    return Tilings(Tiling(walking, walked, warps, 2), Tiling(walked, walking, warps, 2))


def product_precision() -> str:
    """How products of float32 vectors multiply, as `torch.set_float32_matmul_precision` says.

    Returns:
        "tf32x3" (each product of three in TF32, about as exact as float32), "tf32", or "bfloat16".
    """
    return {"highest": "tf32x3", "high": "tf32", "medium": "bfloat16"}[torch.get_float32_matmul_precision()]


def why_not(kernel: Kernel, query: Tensor, terms: Terms) -> str | None:
    """Why the kernel is not what computes this; None where it is.

    Args:
        kernel: What was asked for.
        query: `[rows, d]`, or `[pools, rows, d]`.
        terms: Terms of the pool; their mask is a tensor or a `ColumnMask` where it is none that has to be asked for.
    """
    if kernel == "torch":
        return "torch is asked for"
    if kernel == "auto" and (reason := _not_faster(query.device)):
        return reason
    if query.dtype not in (torch.float32, torch.bfloat16):
        return f"the vectors are {query.dtype}, not float32 or bfloat16"
    if not len(query):
        return "there are no rows"
    if query.shape[-1] > WIDEST:
        return f"vectors have {query.shape[-1]} dimensions, above {WIDEST}"
    if terms.valid is not None and not isinstance(terms.valid, (Tensor, ColumnMask)):
        return "the mask is a function"
    if terms.shares is not None:
        return "the source learns from the gradient of its columns, which the kernel does not make"
    return no_kernel(query.device)


def kernel_serves(kernel: Kernel, query: Tensor, terms: Terms, name: str) -> bool:
    """Whether the kernel is what computes this; arguments as of `why_not`, and the name of the loss.

    Raises:
        ValueError: It was asked for by name and cannot; the message says why.
    """
    reason = why_not(kernel, query, terms)
    if reason is not None and kernel == "triton":
        raise ValueError(f"loss {name!r}: kernel='triton' cannot be used: {reason}; set kernel='auto'")
    return reason is None


@cache
def _not_faster(device: torch.device) -> str | None:
    if device.type != "cuda":
        return "the vectors are not on a CUDA device"
    known = torch.cuda.get_device_capability(device) in FASTER_ON
    return None if known else "on devices of this kind it has not been shown to be faster"


@cache
def no_kernel(device: torch.device) -> str | None:
    """Why the kernel cannot run on a device; None where it can."""
    if find_spec("triton") is None:
        return "Triton is not installed"
    if device.type == "cuda":
        if torch.version.hip is not None:
            return "it has been tried on NVIDIA's devices alone"
        if torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
            return "the device is older than compute capability 8.0"
        shared = torch.cuda.get_device_properties(device).shared_memory_per_block_optin
        return None if shared >= LEAST_SHARED_MEMORY else "the device's multiprocessors share too little memory"
    return None if device.type == "cpu" and _interpreted() else "it needs a CUDA device, or TRITON_INTERPRET=1"


def _interpreted() -> bool:
    from recbole_logq.losses.kernels import logsumexp_kernels

    return type(logsumexp_kernels.forward_kernel).__name__ == "InterpretedFunction"


def fused_logsumexp(
    query: Tensor,
    vectors: Tensor,
    offset: Tensor | None,
    valid: Tensor | MaskFunction | None,
    precision: str | None = None,
    cuts: Tilings | None = None,
) -> tuple[Tensor, Tensor]:
    """logsumexp over the valid columns of `query @ vectors.mT - offset`.

    Args:
        query: float32 or bfloat16 `[rows, d]`.
        vectors: The same type, `[pool, d]`; or `[pools, pool, d]`, each pool for the next `ceil(rows / pools)` rows.
        offset: `[pool]`, with several pools `[pools, pool]`; or `[rows, pool]`. None for zero; receives no gradient.
        valid: bool `[rows, pool]`, or a `ColumnMask` and no other function. None: all are valid.
        precision: Multiplication of float32 vectors, one of `product_precision` or "ieee". Default: torch's setting.
        cuts: Tiles of both kernels. Default: those of `tilings`.

    Returns:
        float32 `[rows]`, -1e30 for a row without valid columns; and the number of valid columns, int32 `[rows]`. First
        derivatives only.
    """
    assert valid is None or isinstance(valid, (Tensor, ColumnMask))  # see `why_not`
    precision = precision or product_precision()
    lse, counts = _FusedLogSumExp.apply(query, vectors, offset, valid, precision, cuts)
    return lse, counts


class _FusedLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        vectors: Tensor,
        offset: Tensor | None,
        valid: Tensor | ColumnMask | None,
        precision: str,
        cuts: Tilings | None,
    ) -> tuple[Tensor, Tensor]:
        work = _Work(query, vectors, offset, valid, precision, cuts)
        lse, expected, counts = work.forward(ctx.needs_input_grad[0])
        ctx.work, ctx.types = work, (query.dtype, vectors.dtype)
        ctx.save_for_backward(lse, expected)
        ctx.mark_non_differentiable(counts)
        return lse, counts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        lse, expected = ctx.saved_tensors
        grad_query = grad_vectors = None
        if expected is not None:
            grad_query = (expected * grad.unsqueeze(1)).to(ctx.types[0])
        if ctx.needs_input_grad[1]:
            grad_vectors = ctx.work.backward(lse, grad.contiguous()).to(ctx.types[1])
        return grad_query, grad_vectors, None, None, None, None


class _Work:
    """Arguments of the kernels, and how the work is cut."""

    def __init__(
        self,
        query: Tensor,
        vectors: Tensor,
        offset: Tensor | None,
        valid: Tensor | ColumnMask | None,
        precision: str,
        cuts: Tilings | None,
    ) -> None:
        self.shape = vectors.shape
        self.rows, self.width = query.shape
        self.pools, self.columns = (1, len(vectors)) if vectors.dim() == 2 else vectors.shape[:2]
        self.size = ceil(self.rows / self.pools)
        if precision == "bfloat16":
            query, vectors = query.bfloat16(), vectors.bfloat16()
        self.query, self.vectors = query.detach().contiguous(), vectors.detach().contiguous()
        padded = max(16, 1 << (self.width - 1).bit_length())
        self.cuts = cuts or tilings(padded, "bfloat16" if query.dtype == torch.bfloat16 else precision)
        per_row = offset is not None and offset.shape == (self.rows, self.columns) and self.pools != self.rows
        self.offset = None if offset is None else offset.detach().float().contiguous()
        self.offset_steps = (self.columns, 0) if per_row else (0, self.columns)
        mask = valid if isinstance(valid, ColumnMask) else ColumnMask()
        listed = valid if isinstance(valid, Tensor) else None
        self.mask_arguments = *_mask_tensors(mask, query), _bytes(listed, query)
        self.sets = 0 if mask.held is None else mask.held.shape[-2]
        self.constants = {
            "WIDTH": self.width,
            "PADDED": padded,
            "PRECISION": precision if precision != "bfloat16" else "ieee",  # of float32 alone
            "OFFSET": offset is not None,
            "LISTED": listed is not None,
            **_mask_flags(mask),
        }

    def forward(self, with_expected: bool) -> tuple[Tensor, Tensor | None, Tensor]:
        """logsumexp, the softmax's mean of the vectors (None if not wanted), and the number of valid columns."""
        from recbole_logq.losses.kernels.logsumexp_kernels import forward_kernel

        cut, new = self.cuts.forward, self.query.new_empty
        blocks = ceil(self.size / cut.rows)
        splits, walk = _splits(self.columns, cut.columns, blocks * self.pools, self.query.device)
        lse = new(splits, self.rows, dtype=torch.float32)
        counts = new(splits, self.rows, dtype=torch.int32)
        expected = new(splits, self.rows, self.width, dtype=torch.float32) if with_expected else lse
        forward_kernel[(blocks, splits, self.pools)](
            self.query,
            self.vectors,
            self.query if self.offset is None else self.offset,
            *self.mask_arguments,
            lse,
            expected,
            counts,
            self.rows,
            self.size,
            self.columns,
            self.sets,
            walk,
            *self.offset_steps,
            BLOCK_ROWS=cut.rows,
            BLOCK_COLUMNS=cut.columns,
            EXPECTED=with_expected,
            num_warps=cut.warps,
            num_stages=cut.stages,
            enable_fp_fusion=True,  # Triton 3.9 warns where it is not said
            **self.constants,
        )
        if splits == 1:
            return lse[0], expected[0] if with_expected else None, counts[0]
        whole = torch.logsumexp(lse, dim=0)
        if not with_expected:
            return whole, None, counts.sum(0, dtype=torch.int32)
        share = (lse - whole).exp_().unsqueeze(2)  # [splits, rows, 1]
        return whole, expected.mul_(share).sum(0), counts.sum(0, dtype=torch.int32)

    def backward(self, lse: Tensor, grad: Tensor) -> Tensor:
        """Gradient of the vectors, float32."""
        from recbole_logq.losses.kernels.logsumexp_kernels import backward_kernel

        cut = self.cuts.backward
        blocks = ceil(self.columns / cut.columns)
        splits, walk = _splits(self.size, cut.rows, blocks * self.pools, self.query.device)
        into = self.query.new_empty(splits, *self.shape, dtype=torch.float32)
        backward_kernel[(blocks, splits, self.pools)](
            self.query,
            self.vectors,
            self.query if self.offset is None else self.offset,
            *self.mask_arguments,
            lse,
            grad,
            into,
            self.rows,
            self.size,
            self.columns,
            self.sets,
            self.pools,
            walk,
            *self.offset_steps,
            BLOCK_ROWS=cut.rows,
            BLOCK_COLUMNS=cut.columns,
            num_warps=cut.warps,
            num_stages=cut.stages,
            enable_fp_fusion=True,  # Triton 3.9 warns where it is not said
            **self.constants,
        )
        return into[0] if splits == 1 else into.sum(0)


def valid_counts(mask: ColumnMask, rows: int) -> Tensor:
    """Number of valid columns of every row, int32 `[rows]`, by one launch; `why_not` says where that can be."""
    from recbole_logq.losses.kernels.logsumexp_kernels import count_kernel

    of_columns = next(t for t in (mask.column_key, mask.column_id, mask.held) if t is not None)
    columns, size = of_columns.shape[-1], mask.rows_a_pool or rows
    counts = of_columns.new_empty(rows, dtype=torch.int32)
    count_kernel[(ceil(size / 64), ceil(rows / size))](
        *_mask_tensors(mask, of_columns),
        counts,
        rows,
        size,
        columns,
        0 if mask.held is None else mask.held.shape[-2],
        BLOCK_ROWS=64,
        BLOCK_COLUMNS=64,
        **_mask_flags(mask),
    )
    return counts


def _splits(walk: int, block: int, programs: int, device: torch.device) -> tuple[int, int]:
    """Number of parts that a walk is cut into, so that every multiprocessor has work, and the length of each."""
    steps = ceil(walk / block)
    splits = max(1, min(steps, 2 * _multiprocessors(device) // programs))
    length = ceil(steps / splits)
    return ceil(steps / length), length * block


@cache
def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 2


def _mask_tensors(mask: ColumnMask, filler: Tensor) -> list[Tensor]:
    tensors = (mask.row_id, mask.column_id, mask.row_key, mask.column_key, mask.row_set)
    return [filler if tensor is None else tensor.contiguous() for tensor in tensors] + [_bytes(mask.held, filler)]


def _mask_flags(mask: ColumnMask) -> dict[str, bool]:
    return {
        "BY_ID": mask.row_id is not None and not mask.spares_own,
        "BY_KEY": mask.row_key is not None,
        "HELD": mask.held is not None,
        "SPARED": mask.spares_own,
    }


def _bytes(values: Tensor | None, filler: Tensor) -> Tensor:
    return filler if values is None else values.contiguous().view(torch.uint8)

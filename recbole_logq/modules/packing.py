"""Ragged sequences as one row of tokens, so that no layer ever works on padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_logq.transfer import to_device

DIGIT = 1 << 20
"""Sequences and positions of a batch are fewer."""


class Packing:
    """Where the tokens of each sequence lie.

    Tokens stand sequence after sequence, the sequences sorted by length. Layers that treat positions alone (norms,
    projections, feed-forward, the loss) see ``[tokens, ...]``; attention goes over buckets of sequences of similar
    length (at most twice as long as the shortest), each padded on its own.

    All sizes are worked out on the host, and only index tensors lie on the device: with lengths that are on the host,
    nothing waits for an accelerator.

    Args:
        lengths: Length of each sequence, at least 1; int64 ``[batch]``. An empty batch has no tokens.
        device: Device of the tokens. Default: that of the lengths.

    Attributes:
        lengths: Lengths of the sequences, on the host.
        sizes: The lengths, sorted; on the host.
        n_tokens: Tokens in all.
        order: The sequences in the order in which their tokens stand; int64 ``[batch]``.
        first: Index of each sequence's first token, in the order of ``lengths``; int64 ``[batch]``.
        last: Index of each sequence's last token, in the order of ``lengths``; int64 ``[batch]``.
        sequence: The sequence of each token; int64 ``[tokens]``.
        position: Position of each token in it; int64 ``[tokens]``.
    """

    def __init__(self, lengths: Tensor, device: torch.device | str | None = None) -> None:
        self.device = lengths.device if device is None else torch.device(device)
        self.lengths = lengths.cpu()
        self.sizes, order = self.lengths.sort(stable=True)
        end = self.sizes.cumsum(0)
        self.n_tokens = int(end[-1]) if len(end) else 0
        # One copy for all that the device must know.
        size, start, self.order = to_device(torch.stack((self.sizes, end - self.sizes, order)), self.device).unbind()
        self.first = torch.empty_like(size).scatter_(0, self.order, start)
        self.last = torch.empty_like(size).scatter_(0, self.order, start + size - 1)
        row = torch.arange(len(size), device=self.device).repeat_interleave(size, output_size=self.n_tokens)
        self.sequence = self.order[row]
        self.position = torch.arange(self.n_tokens, device=self.device) - start[row]
        self._buckets = []
        first = 0
        for rows in _similar(self.sizes):
            tokens = slice(first, first + int(self.sizes[rows].sum()))
            self._buckets.append(_Bucket(self.sizes[rows], tokens, start[rows], row[tokens] - rows.start, self))
            first = tokens.stop

    @property
    def place(self) -> Tensor:
        """Length of its sequence, index of it, and position, as the digits of one number; int64 ``[tokens]``.

        Tokens stand in its order, and so would the tokens of several batches together.
        """
        lengths = to_device(self.lengths, self.device)
        return (lengths[self.sequence] * DIGIT + self.sequence) * DIGIT + self.position

    def pack(self, padded: Tensor) -> Tensor:
        """Right-padded ``[batch, length, ...]`` to ``[tokens, ...]``."""
        return padded[self.sequence, self.position]

    def parts(self, n_sequences: int) -> list[tuple[slice, Packing]]:
        """Packings of up to ``n_sequences`` next to each other, each with its slice of the tokens."""
        packings, first = [], 0
        for sizes in self.sizes.split(n_sequences):
            part = Packing(sizes, self.device)
            packings.append((slice(first, first + part.n_tokens), part))
            first += part.n_tokens
        return packings

    def by_bucket(self, function: Callable[..., Tensor], tokens: Tensor, *more: Sequence[Any]) -> Tensor:
        """Apply ``function`` to every bucket as ``[rows, length, ...]``; gives ``[tokens, ...]``.

        What the function computes at a real position must not depend on later positions: padding holds other tokens,
        and no gradient of it is looked at.

        Args:
            function: Function that is applied.
            tokens: ``[tokens, ...]``.
            *more: Further arguments of the function, one for each bucket.
        """
        parts = [
            bucket.unpad(function(padded, *arguments))
            for bucket, padded, *arguments in zip(self._buckets, self.padded(tokens), *more, strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def padded(self, tokens: Tensor) -> list[Tensor]:
        """Every bucket of ``[tokens, ...]`` as ``[rows, length, ...]``; padding holds other tokens."""
        if len(self._buckets) == 1:
            return [self._buckets[0].pad(tokens)]
        parts = tokens.split([bucket.n_tokens for bucket in self._buckets])
        return [bucket.pad(part) for bucket, part in zip(self._buckets, parts, strict=True)]


class _Bucket:
    """Consecutive sequences, their tokens a slice of all tokens.

    ``size`` is the host's; ``start`` and ``row``, the number in the bucket of each token's sequence, are the device's.
    """

    def __init__(self, size: Tensor, tokens: slice, start: Tensor, row: Tensor, packing: Packing) -> None:
        width = int(size[-1])
        self.shape, self.n_tokens = (len(size), width), tokens.stop - tokens.start
        self.index: Tensor | None = None
        if int(size[0]) != width:
            index = start[:, None] - tokens.start + torch.arange(width, device=start.device)
            self.index = index.clamp_max(self.n_tokens - 1).flatten()  # [rows * width]
            self.real = row * width + packing.position[tokens]  # [tokens of the bucket]

    def pad(self, tokens: Tensor) -> Tensor:
        if self.index is None:
            return tokens.unflatten(0, self.shape)
        padded: Tensor = _Pad.apply(tokens, self.index, self.real)
        return padded.unflatten(0, self.shape)

    def unpad(self, padded: Tensor) -> Tensor:
        flat = padded.flatten(0, 1)
        if self.index is None:
            return flat
        tokens: Tensor = _Unpad.apply(flat, self.real)
        return tokens


class _Pad(torch.autograd.Function):
    """``tokens[index]``, of which only the cells at ``real``, one for each token, have a gradient.

    Autograd's backward pass of the same sorts indices to sum what is none of it: this one looks up.
    """

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, index: Tensor, real: Tensor) -> Tensor:
        ctx.save_for_backward(real)
        return tokens.index_select(0, index)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (real,) = ctx.saved_tensors
        return gradient.index_select(0, real), None, None


class _Unpad(torch.autograd.Function):
    """``padded[real]``, cells that differ from each other."""

    @staticmethod
    def forward(ctx: Any, padded: Tensor, real: Tensor) -> Tensor:
        ctx.save_for_backward(real)
        ctx.shape = padded.shape
        return padded.index_select(0, real)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (real,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.shape).index_copy_(0, real, gradient), None


def _similar(size: Tensor) -> list[slice]:
    """Slices of the sorted lengths ``(1), (2), (3, 4), (5 .. 8), ...``."""
    if not len(size):
        return []
    bounds, top = [0], 1
    longest = int(size[-1])
    while top < longest:
        bounds.append(int(torch.searchsorted(size, top, right=True)))
        top *= 2
    bounds.append(len(size))
    return [slice(low, high) for low, high in pairwise(bounds) if high > low]

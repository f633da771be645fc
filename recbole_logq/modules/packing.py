"""Ragged sequences as one row of tokens, so that no layer ever works on padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

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
        found, first = [], 0
        for sizes in self.sizes.split(n_sequences):
            part = Packing(sizes, self.device)
            found.append((slice(first, first + part.n_tokens), part))
            first += part.n_tokens
        return found

    def by_bucket(self, function: Callable[..., Tensor], tokens: Tensor, *more: Sequence[Any]) -> Tensor:
        """Apply ``function`` to every bucket as ``[rows, length, ...]``; gives ``[tokens, ...]``.

        What the function computes at a real position must not depend on later positions: padding holds other tokens.

        Args:
            function: Function that is applied.
            tokens: ``[tokens, ...]``.
            *more: Further arguments of the function, one for each bucket.
        """
        parts = [
            bucket.unpad(function(bucket.pad(tokens), *arguments))
            for bucket, *arguments in zip(self._buckets, *more, strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def padded(self, tokens: Tensor) -> list[Tensor]:
        """Every bucket of ``[tokens, ...]`` as ``[rows, length, ...]``; padding holds other tokens."""
        return [bucket.pad(tokens) for bucket in self._buckets]


class _Bucket:
    """Consecutive sequences, their tokens a slice of all tokens.

    ``size`` is the host's; ``start`` and ``row``, the number in the bucket of each token's sequence, are the device's.
    """

    def __init__(self, size: Tensor, tokens: slice, start: Tensor, row: Tensor, packing: Packing) -> None:
        width = int(size[-1])
        self.shape, self.tokens = (len(size), width), tokens
        self.index: Tensor | None = None
        if int(size[0]) != width:
            self.index = (start[:, None] + torch.arange(width, device=start.device)).clamp_max(tokens.stop - 1)
            self.real = row * width + packing.position[tokens]

    def pad(self, tokens: Tensor) -> Tensor:
        if self.index is None:
            return tokens[self.tokens].unflatten(0, self.shape)
        return tokens[self.index]

    def unpad(self, padded: Tensor) -> Tensor:
        flat = padded.flatten(0, 1)
        return flat if self.index is None else flat[self.real]


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

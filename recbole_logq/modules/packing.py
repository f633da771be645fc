"""Ragged sequences as one row of tokens, so that no layer ever works on padding."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

DIGIT = 1 << 20
"""Sequences and positions of a batch are fewer."""


class Packing:
    """Where the tokens of each sequence lie.

    Tokens stand sequence after sequence, the sequences sorted by length. Layers that treat positions alone (norms,
    projections, feed-forward, the loss) see ``[tokens, ...]``; attention goes over buckets of sequences of similar
    length (at most twice as long as the shortest), each padded on its own.

    Args:
        lengths: Length of each sequence, at least 1; int64 ``[batch]``.

    Attributes:
        lengths: As given.
        order: The sequences in the order in which their tokens stand; int64 ``[batch]``.
        last: Index of each sequence's last token, in the order of ``lengths``; int64 ``[batch]``.
        position: Position of each token in its sequence; int64 ``[tokens]``.
    """

    def __init__(self, lengths: Tensor) -> None:
        self.lengths = lengths
        size, self.order = lengths.sort(stable=True)
        end = size.cumsum(0)
        start = end - size
        self.last = torch.empty_like(end).scatter_(0, self.order, end - 1)
        n_tokens = int(end[-1])
        self._row = torch.arange(len(size), device=size.device).repeat_interleave(size, output_size=n_tokens)
        self.position = torch.arange(n_tokens, device=size.device) - start[self._row]
        self._buckets = [_Bucket(size[rows], start[rows]) for rows in _similar(size)]

    @property
    def place(self) -> Tensor:
        """Length of its sequence, index of it, and position, as the digits of one number; int64 ``[tokens]``.

        Tokens stand in its order, and so would the tokens of several batches together.
        """
        sequence = self.order[self._row]
        return (self.lengths[sequence] * DIGIT + sequence) * DIGIT + self.position

    def pack(self, padded: Tensor) -> Tensor:
        """Right-padded ``[batch, length, ...]`` to ``[tokens, ...]``."""
        return padded[self.order[self._row], self.position]

    def by_bucket(self, function: Callable[[Tensor], Tensor], tokens: Tensor) -> Tensor:
        """Apply ``function`` to every bucket as ``[rows, length, ...]``; gives ``[tokens, ...]``.

        What the function computes at a real position must not depend on later positions: padding holds other tokens.
        """
        parts = [bucket.unpad(function(bucket.pad(tokens))) for bucket in self._buckets]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class _Bucket:
    """Consecutive sequences, their tokens a slice of all tokens."""

    def __init__(self, size: Tensor, start: Tensor) -> None:
        self.shape = (len(size), int(size[-1]))
        self.tokens = slice(int(start[0]), int(start[-1] + size[-1]))
        self.index: Tensor | None = None
        if int(size[0]) != self.shape[1]:
            offsets = torch.arange(self.shape[1], device=size.device)
            self.index = (start[:, None] + offsets).clamp_max(self.tokens.stop - 1)
            self.real = (offsets < size[:, None]).flatten().nonzero().flatten()

    def pad(self, tokens: Tensor) -> Tensor:
        if self.index is None:
            return tokens[self.tokens].unflatten(0, self.shape)
        return tokens[self.index]

    def unpad(self, padded: Tensor) -> Tensor:
        flat = padded.flatten(0, 1)
        return flat if self.index is None else flat[self.real]


def _similar(size: Tensor) -> list[slice]:
    """Slices of the sorted lengths ``(1), (2), (3, 4), (5 .. 8), ...``."""
    bounds, top = [0], 1
    longest = int(size[-1])
    while top < longest:
        bounds.append(int(torch.searchsorted(size, top, right=True)))
        top *= 2
    bounds.append(len(size))
    return [slice(low, high) for low, high in pairwise(bounds) if high > low]

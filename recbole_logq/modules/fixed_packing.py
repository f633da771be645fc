"""Ragged sequences as a row of tokens whose length never changes: shapes that one captured step can serve."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor


class FixedPacking:
    """Where the tokens of each sequence lie; as `Packing`, with sizes that do not depend on the batch.

    Sequences stand one after the other in the order of the batch. What is left of the row is padding, which is cut into
    sequences of its own, so that no layer needs to know of it. Everything is worked out on the device from the lengths.

    Attention goes over chunks of `longest` tokens: a sequence is never longer, so the keys of a token lie in its chunk
    or in the one before.

    Args:
        lengths: Length of each sequence, from 0 to `longest`, with a sum of `n_tokens` at most; int64 ``[sequences]``.
        n_tokens: Tokens in all; a multiple of `longest`.
        longest: Longest sequence.

    Attributes:
        sequence: The sequence of each token, numbers from ``len(lengths)`` on for padding; int64 ``[tokens]``.
        position: Position of each token in its sequence; int64 ``[tokens]``.
        bounds: First token of every sequence, those of padding among them, and the number of tokens; int64
            ``[sequences + 1]``.
    """

    def __init__(self, lengths: Tensor, n_tokens: int, longest: int) -> None:
        if n_tokens % longest:
            raise ValueError(f"{n_tokens} tokens are no multiple of the longest sequence, {longest}")
        self.lengths, self.n_tokens, self.longest, self.device = lengths, n_tokens, longest, lengths.device
        steps = torch.arange(1, n_tokens // longest + 1, device=self.device) * longest
        ends = lengths.cumsum(0)
        padding = (ends[-1:] + steps).clamp_max(n_tokens)
        self.bounds = torch.cat([torch.zeros_like(ends[:1]), ends, padding])
        place = torch.arange(n_tokens, device=self.device)
        self.sequence = torch.searchsorted(self.bounds[1:], place, right=True)
        self.position = place - self.bounds[self.sequence]

    @property
    def n_sequences(self) -> int:
        """Sequences that are no padding, empty ones included."""
        return len(self.lengths)

    def by_chunk(self, tokens: Tensor) -> Tensor:
        """``[tokens, ...]`` to ``[chunks, longest, ...]``."""
        return tokens.unflatten(0, (-1, self.longest))

    def with_chunk_before(self, tokens: Tensor) -> Tensor:
        """``[tokens, ...]`` to ``[chunks, 2 * longest, ...]``: the tokens of a chunk after those of the one before."""
        chunks = self.by_chunk(tokens)
        return torch.cat([chunks.roll(1, 0), chunks], 1)

    @cached_property
    def visible(self) -> Tensor:
        """Which keys a token sees, its own among them: bool ``[chunks, longest, 2 * longest]``."""
        length = self.longest
        key = torch.arange(2 * length, device=self.device)
        query = torch.arange(length, device=self.device) + length
        keys = self.with_chunk_before(self.sequence)
        # Before the first chunk stands the last one, of which nothing is seen.
        first = torch.arange(len(keys), device=self.device).view(-1, 1, 1) == 0
        earlier = (key <= query.unsqueeze(1)) & ~(first & (key < length))
        return (self.by_chunk(self.sequence).unsqueeze(2) == keys.unsqueeze(1)) & earlier

    @cached_property
    def bounds_32(self) -> Tensor:
        """As `bounds`, int32: what kernels of attention read."""
        return self.bounds.int()

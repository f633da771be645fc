"""How a transformer learns where an item stands: a learned vector, a rotation, or nothing but the causal mask.

Positions count from the first item of a window.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NoPositions(nn.Module):
    """Nothing is added and nothing turned: order is known through the causal mask alone.

    Args:
        max_length: Longest sequence.
        size: Width of the states.
        n_heads: Attention heads.
    """

    def __init__(self, max_length: int, size: int, n_heads: int) -> None:
        super().__init__()

    def at_input(self, embedded: Tensor, position: Tensor) -> Tensor:
        """What enters the first block, from ``[tokens, size]`` and int64 ``[tokens]``."""
        return embedded

    def rotation(self, position: Tensor, dtype: torch.dtype) -> Tensor | None:
        """What :func:`rotate` takes, for int64 ``[tokens]`` and states of a type; None where nothing turns."""
        return None


class LearnedPositions(nn.Embedding):
    """A learned vector for each position, added at the input (Kang & McAuley 2018); arguments as above."""

    def __init__(self, max_length: int, size: int, n_heads: int) -> None:
        super().__init__(max_length, size)

    def at_input(self, embedded: Tensor, position: Tensor) -> Tensor:
        """See :meth:`NoPositions.at_input`."""
        return embedded + self(position)

    def rotation(self, position: Tensor, dtype: torch.dtype) -> Tensor | None:
        """See :meth:`NoPositions.rotation`."""
        return None


class RotaryPositions(NoPositions):
    """Queries and keys turn by an angle proportional to their position (Su et al., "RoFormer", 2021).

    Dimension ``i`` of the first half of a head and of its second half are one complex number, which position ``m``
    multiplies by ``exp(1j * m * 10000 ** (-2i / d))``: a score depends on the two positions by their distance only.
    Which dimensions make a pair is a matter of naming, since the projections before are learned.

    Args:
        max_length, size, n_heads: As in :class:`NoPositions`.

    Raises:
        ValueError: The width of a head is odd.

    Attributes:
        angles: Angles of every position and pair, float64 ``[max_length, d / 2]``; not stored, since they follow from
            sizes.
    """

    angles: Tensor

    def __init__(self, max_length: int, size: int, n_heads: int) -> None:
        super().__init__(max_length, size, n_heads)
        width = size // n_heads
        if width % 2:
            raise ValueError(f"a head of {width} dimensions has no pairs to turn")
        angles = torch.empty(max_length, width // 2, dtype=torch.float64)
        self.register_buffer("angles", angles, persistent=False)
        if not angles.is_meta:  # there are no values on that device, only sizes
            self.work_out()

    def work_out(self) -> None:
        """Compute the angles; to be called by whoever has made the module on torch's meta device."""
        max_length, pairs = self.angles.shape
        speed = 10000.0 ** (-torch.arange(0, 2 * pairs, 2, dtype=torch.float64) / (2 * pairs))
        self.angles = torch.outer(torch.arange(max_length), speed)

    def rotation(self, position: Tensor, dtype: torch.dtype) -> Tensor:
        """See :meth:`NoPositions.rotation`; cosines and sines ``[2, tokens, 1, 1, d / 2]``."""
        turns = torch.stack((self.angles.cos(), self.angles.sin())).to(dtype)
        return turns[:, position][:, :, None, None]


def rotate(heads: Tensor, rotation: Tensor) -> Tensor:
    """Turn query and key of ``[tokens, 3, heads, d]``; the value stays.

    Args:
        heads: Query, key and value.
        rotation: Cosines and sines ``[2, tokens, 1, 1, d / 2]``.
    """
    cosine, sine = rotation
    real, imaginary = heads[:, :2].chunk(2, -1)
    turned = torch.cat((real * cosine - imaginary * sine, imaginary * cosine + real * sine), -1)
    return torch.cat((turned.to(heads.dtype), heads[:, 2:]), 1)


POSITIONS: dict[str, type[NoPositions] | type[LearnedPositions]] = {
    "learned": LearnedPositions,
    "rotary": RotaryPositions,
    "relative": NoPositions,
    "none": NoPositions,
}
"""Relative positions are weights of attention (:class:`~recbole_logq.modules.pair_bias.PairBias`)."""

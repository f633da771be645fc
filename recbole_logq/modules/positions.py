"""How a transformer learns where an item stands: a learned vector, a rotation, or nothing but the causal mask.

Positions count from the first item of a window.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


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
        turns: Cosines and sines of the angles of every position and pair, float64 ``[2, max_length, d / 2]``; not
            stored, since they follow from sizes.
    """

    turns: Tensor

    def __init__(self, max_length: int, size: int, n_heads: int) -> None:
        super().__init__(max_length, size, n_heads)
        width = size // n_heads
        if width % 2:
            raise ValueError(f"a head of {width} dimensions has no pairs to turn")
        turns = torch.empty(2, max_length, width // 2, dtype=torch.float64)
        self.register_buffer("turns", turns, persistent=False)
        if not turns.is_meta:  # there are no values on that device, only sizes
            self.work_out()

    def work_out(self) -> None:
        """Compute the turns; to be called by whoever has made the module on torch's meta device."""
        _, max_length, pairs = self.turns.shape
        speed = 10000.0 ** (-torch.arange(0, 2 * pairs, 2, dtype=torch.float64) / (2 * pairs))
        angles = torch.outer(torch.arange(max_length), speed)
        self.turns = torch.stack((angles.cos(), angles.sin()))

    def rotation(self, position: Tensor, dtype: torch.dtype) -> Tensor:
        """See :meth:`NoPositions.rotation`; cosines and sines ``[2, tokens, 1, 1, d / 2]``."""
        return self.turns.to(dtype)[:, position][:, :, None, None]


def rotate(heads: Tensor, rotation: Tensor) -> Tensor:
    """Turn query and key of ``[tokens, 3, heads, d]``; the value stays.

    Args:
        heads: Query, key and value.
        rotation: Cosines and sines ``[2, tokens, 1, 1, d / 2]``.
    """
    turned: Tensor = _Rotate.apply(heads, *rotation)
    return turned


class _Rotate(torch.autograd.Function):
    """Autograd would take a dozen passes over memory; the way back is the turn by the opposite angle."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(cosine, sine)
        return _turned(heads, cosine, sine, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cosine, sine = ctx.saved_tensors
        return _turned(grad, cosine, sine, -1), None, None


def _turned(heads: Tensor, cosine: Tensor, sine: Tensor, sign: int) -> Tensor:
    turned = heads.to(cosine.dtype, copy=True)
    halves = turned[:, :2].unflatten(-1, (2, -1))  # [tokens, 2, heads, 2, d / 2]
    halves.mul_(cosine.unsqueeze(-2))
    real, imaginary = heads[:, :2].chunk(2, -1)
    halves[..., 0, :].addcmul_(imaginary, sine, value=-sign)
    halves[..., 1, :].addcmul_(real, sine, value=sign)
    return turned.to(heads.dtype)


POSITIONS: dict[str, type[NoPositions] | type[LearnedPositions]] = {
    "learned": LearnedPositions,
    "rotary": RotaryPositions,
    "relative": NoPositions,
    "none": NoPositions,
}
"""Relative positions are weights of attention (:class:`~recbole_logq.modules.pair_bias.PairBias`)."""

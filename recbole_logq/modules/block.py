"""Transformer blocks: the classic one, the gated one of LiGR, and that of HSTU."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from recbole_logq.modules.attention import attend
from recbole_logq.modules.dropout import Dropout
from recbole_logq.modules.feed_forward import FEED_FORWARDS
from recbole_logq.modules.fixed_packing import FixedPacking
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.pair_bias import Bias
from recbole_logq.modules.positions import rotate

Biases = Sequence[Bias] | None
"""What is added to the scores of attention in each bucket of sequences."""


class CausalBlock(nn.Module):
    """Self-attention and feed-forward, each with a residual connection.

    Args:
        size: Width of the states.
        n_heads: Attention heads; ``size`` must divide by it.
        inner_size: Width of the feed-forward layer.
        dropout: Rate of dropout after attention and after the feed-forward layer. The fused kernel on CPU has no
            dropout inside the softmax, so there is none on any device: the two would train differently.
        norm: ``pre`` (LayerNorm before each part) or ``post`` (after the residual sum, as in the original).
        feed_forward: Kind of layer, one of :data:`FEED_FORWARDS`.
        max_length: Longest sequence.

    Attributes:
        later: Bias of a key that comes later than its query.
    """

    later = -math.inf

    def __init__(
        self, size: int, n_heads: int, inner_size: int, dropout: float, norm: str, feed_forward: str, max_length: int
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.pre = norm == "pre"
        self.activation, n_inputs = FEED_FORWARDS[feed_forward]
        self.attention_norm = nn.LayerNorm(size)
        self.feed_forward_norm = nn.LayerNorm(size)
        self.query_key_value = nn.Linear(size, 3 * size)
        self.output = nn.Linear(size, size)
        self.inner = nn.Linear(size, n_inputs * inner_size)
        self.outer = nn.Linear(inner_size, size)
        self.dropout = Dropout(dropout)

    def _attend(self, states: Tensor, packing: Packing | FixedPacking, rotation: Tensor | None, bias: Biases) -> Tensor:
        heads = self.query_key_value(states).unflatten(-1, (3, self.n_heads, -1))
        if rotation is not None:
            heads = rotate(heads, rotation)
        return self.output(attend(packing, heads, bias).flatten(1))

    def _feed_forward(self, states: Tensor) -> Tensor:
        return self.outer(self.activation(self.inner(states)))

    def forward(
        self, states: Tensor, packing: Packing | FixedPacking, rotation: Tensor | None = None, bias: Biases = None
    ) -> Tensor:
        """States ``[tokens, size]`` to the same shape.

        Args:
            states: States of the tokens.
            packing: Packing of the tokens.
            rotation: Rotation for :func:`rotate`.
            bias: Bias that :class:`PairBias` gives.
        """
        if self.pre:
            states = states + self.dropout(self._attend(self.attention_norm(states), packing, rotation, bias))
            return states + self.dropout(self._feed_forward(self.feed_forward_norm(states)))
        states = self.attention_norm(states + self.dropout(self._attend(states, packing, rotation, bias)))
        return self.feed_forward_norm(states + self.dropout(self._feed_forward(states)))


class LiGRBlock(CausalBlock):
    """A pre-norm block in which each part passes a gate before the residual sum::

        h <- h + sigmoid(h W + b) * part(LayerNorm(h))

    with a gate of its own for attention and for the feed-forward layer (Borisyuk et al., "From Features to
    Transformers: Redefining Ranking for Scalable Impact", 2025; Tikhonovich et al., "eSASRec", RecSys 2025). The gate
    reads the states, not their norm, as in the code released with eSASRec, whose feed-forward layer is ``swiglu``.

    Args:
        size, n_heads, inner_size, dropout, feed_forward, max_length: As in :class:`CausalBlock`.
        norm: ``pre``.

    Raises:
        ValueError: Another ``norm``.
    """

    def __init__(
        self, size: int, n_heads: int, inner_size: int, dropout: float, norm: str, feed_forward: str, max_length: int
    ) -> None:
        super().__init__(size, n_heads, inner_size, dropout, norm, feed_forward, max_length)
        if not self.pre:
            raise ValueError(f"a LiGR block is pre-norm, not {norm}")
        self.attention_gate = nn.Linear(size, size)
        self.feed_forward_gate = nn.Linear(size, size)

    def forward(
        self, states: Tensor, packing: Packing | FixedPacking, rotation: Tensor | None = None, bias: Biases = None
    ) -> Tensor:
        """See :meth:`CausalBlock.forward`."""
        part = self.dropout(self._attend(self.attention_norm(states), packing, rotation, bias))
        states = states + self.attention_gate(states).sigmoid() * part
        part = self.dropout(self._feed_forward(self.feed_forward_norm(states)))
        return states + self.feed_forward_gate(states).sigmoid() * part


class HSTUBlock(nn.Module):
    """One attention without a softmax, gated, and no feed-forward layer::

        u, q, k, v = split(silu(W1 norm(h)))
        h <- h + W2 dropout(norm(silu(q k' + bias) / n v) * u)

    with ``n`` the longest sequence (Zhai et al., "Actions Speak Louder than Words: Trillion-Parameter Sequential
    Transducers for Generative Recommendations", ICML 2024, equations 1 to 3; the division is in the released code).
    The bias is that of times and distances; without it a block sees what rotary positions and the causal mask tell.

    Args:
        size, n_heads, max_length: As in :class:`CausalBlock`.
        inner_size, feed_forward: Ignored, since there is no such layer.
        dropout: Rate of dropout before the last projection.
        norm: ``pre``.

    Raises:
        ValueError: Another ``norm``.

    Attributes:
        later: As in :class:`CausalBlock`; what it adds to is taken out after silu.
    """

    later = 0.0

    def __init__(
        self, size: int, n_heads: int, inner_size: int, dropout: float, norm: str, feed_forward: str, max_length: int
    ) -> None:
        super().__init__()
        if norm != "pre":
            raise ValueError(f"a HSTU block is pre-norm, not {norm}")
        self.n_heads, self.max_length = n_heads, max_length
        self.attention_norm = nn.LayerNorm(size)
        self.gate_query_key_value = nn.Linear(size, 4 * size)
        self.attended_norm = nn.LayerNorm(size)
        self.output = nn.Linear(size, size)
        self.dropout = Dropout(dropout)

    def forward(
        self, states: Tensor, packing: Packing | FixedPacking, rotation: Tensor | None = None, bias: Biases = None
    ) -> Tensor:
        """See :meth:`CausalBlock.forward`."""
        mixed = F.silu(self.gate_query_key_value(self.attention_norm(states)))
        gate, mixed = mixed.split((states.shape[1], 3 * states.shape[1]), -1)
        heads = mixed.unflatten(-1, (3, self.n_heads, -1))  # [tokens, 3, heads, d]
        if rotation is not None:
            heads = rotate(heads, rotation)
        attended = attend(packing, heads, bias, longest=self.max_length)
        return states + self.output(self.dropout(self.attended_norm(attended.flatten(1)) * gate))


BLOCKS: dict[str, type[CausalBlock] | type[HSTUBlock]] = {
    "classic": CausalBlock,
    "ligr": LiGRBlock,
    "hstu": HSTUBlock,
}

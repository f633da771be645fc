"""Transformer blocks: the classic one and the gated one of LiGR."""

from __future__ import annotations

from torch import Tensor, nn

from recbole_logq.modules.attention import causal_attention
from recbole_logq.modules.dropout import Dropout
from recbole_logq.modules.feed_forward import FEED_FORWARDS
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.positions import rotate


class CausalBlock(nn.Module):
    """Self-attention and feed-forward, each with a residual connection.

    Args:
        size: Width of the states.
        n_heads: Attention heads; ``size`` must divide by it.
        inner_size: Width of the feed-forward layer.
        dropout: After attention and after the feed-forward layer. The fused kernel on CPU has no dropout inside the
            softmax, so there is none on any device: the two would train differently.
        norm: ``pre`` (LayerNorm before each part) or ``post`` (after the residual sum, as in the original).
        feed_forward: Of :data:`FEED_FORWARDS`.
    """

    def __init__(self, size: int, n_heads: int, inner_size: int, dropout: float, norm: str, feed_forward: str) -> None:
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

    def _attend(self, states: Tensor, packing: Packing, rotation: Tensor | None) -> Tensor:
        heads = self.query_key_value(states).unflatten(-1, (3, self.n_heads, -1))
        if rotation is not None:
            heads = rotate(heads, rotation)
        return self.output(packing.by_bucket(causal_attention, heads).flatten(1))

    def _feed_forward(self, states: Tensor) -> Tensor:
        return self.outer(self.activation(self.inner(states)))

    def forward(self, states: Tensor, packing: Packing, rotation: Tensor | None = None) -> Tensor:
        """States ``[tokens, size]`` to the same shape; ``rotation`` as :func:`rotate` takes it."""
        if self.pre:
            states = states + self.dropout(self._attend(self.attention_norm(states), packing, rotation))
            return states + self.dropout(self._feed_forward(self.feed_forward_norm(states)))
        states = self.attention_norm(states + self.dropout(self._attend(states, packing, rotation)))
        return self.feed_forward_norm(states + self.dropout(self._feed_forward(states)))


class LiGRBlock(CausalBlock):
    """A pre-norm block in which each part passes a gate before the residual sum::

        h <- h + sigmoid(h W + b) * part(LayerNorm(h))

    with a gate of its own for attention and for the feed-forward layer (Borisyuk et al., "From Features to
    Transformers: Redefining Ranking for Scalable Impact", 2025; Tikhonovich et al., "eSASRec", RecSys 2025). The gate
    reads the states, not their norm, as in the code released with eSASRec, whose feed-forward layer is ``swiglu``.

    Args:
        size, n_heads, inner_size, dropout, feed_forward: As in :class:`CausalBlock`.
        norm: ``pre``.

    Raises:
        ValueError: Another ``norm``.
    """

    def __init__(self, size: int, n_heads: int, inner_size: int, dropout: float, norm: str, feed_forward: str) -> None:
        super().__init__(size, n_heads, inner_size, dropout, norm, feed_forward)
        if not self.pre:
            raise ValueError(f"a LiGR block is pre-norm, not {norm}")
        self.attention_gate = nn.Linear(size, size)
        self.feed_forward_gate = nn.Linear(size, size)

    def forward(self, states: Tensor, packing: Packing, rotation: Tensor | None = None) -> Tensor:
        """See :meth:`CausalBlock.forward`."""
        part = self.dropout(self._attend(self.attention_norm(states), packing, rotation))
        states = states + self.attention_gate(states).sigmoid() * part
        part = self.dropout(self._feed_forward(self.feed_forward_norm(states)))
        return states + self.feed_forward_gate(states).sigmoid() * part


BLOCKS = {"classic": CausalBlock, "ligr": LiGRBlock}

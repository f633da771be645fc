"""A causal transformer encoder over item sequences (Kang & McAuley, SASRec, ICDM 2018)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from recbole_logq.modules.packing import Packing


class CausalBlock(nn.Module):
    """Self-attention and feed-forward, each with a residual connection.

    Args:
        size: Width of the states.
        n_heads: Attention heads; ``size`` must divide by it.
        inner_size: Width of the feed-forward layer.
        dropout: After attention and after the feed-forward layer. The fused kernel on CPU has no dropout inside the
            softmax, so there is none on any device: the two would train differently.
        norm: ``pre`` (LayerNorm before each part) or ``post`` (after the residual sum, as in the original).
    """

    def __init__(self, size: int, n_heads: int, inner_size: int, dropout: float, norm: str) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.pre = norm == "pre"
        self.attention_norm = nn.LayerNorm(size)
        self.feed_forward_norm = nn.LayerNorm(size)
        self.query_key_value = nn.Linear(size, 3 * size)
        self.output = nn.Linear(size, size)
        self.inner = nn.Linear(size, inner_size)
        self.outer = nn.Linear(inner_size, size)
        self.dropout = nn.Dropout(dropout)

    def _attend(self, states: Tensor, packing: Packing) -> Tensor:
        heads = self.query_key_value(states).unflatten(-1, (3, self.n_heads, -1))
        return self.output(packing.by_bucket(_causal_attention, heads).flatten(1))

    def _feed_forward(self, states: Tensor) -> Tensor:
        return self.outer(F.gelu(self.inner(states)))

    def forward(self, states: Tensor, packing: Packing) -> Tensor:
        """States ``[tokens, size]`` to the same shape."""
        if self.pre:
            states = states + self.dropout(self._attend(self.attention_norm(states), packing))
            return states + self.dropout(self._feed_forward(self.feed_forward_norm(states)))
        states = self.attention_norm(states + self.dropout(self._attend(states, packing)))
        return self.feed_forward_norm(states + self.dropout(self._feed_forward(states)))


def _causal_attention(heads: Tensor) -> Tensor:
    """Query, key and value ``[rows, length, 3, heads, d]`` to ``[rows, length, heads, d]``."""
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    # Right padding under a causal mask: no real position ever sees a padded one, so no padding mask is needed.
    return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)


class SequenceEncoder(nn.Module):
    """Item embeddings of sequences to one state per position, each seeing only what came before.

    Args:
        size, n_heads, inner_size, dropout, norm: As in :class:`CausalBlock`.
        n_layers: Blocks.
        max_length: Longest sequence; positions are learned and counted from the first item.
        initializer_range: Standard deviation of all weights.
    """

    def __init__(
        self,
        *,
        size: int,
        n_layers: int,
        n_heads: int,
        inner_size: int,
        dropout: float,
        norm: str,
        max_length: int,
        initializer_range: float,
    ) -> None:
        super().__init__()
        if size % n_heads:
            raise ValueError(f"size {size} does not divide into {n_heads} heads")
        self.positions = nn.Embedding(max_length, size)
        self.input_norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(CausalBlock(size, n_heads, inner_size, dropout, norm) for _ in range(n_layers))
        self.final_norm = nn.LayerNorm(size) if norm == "pre" else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=initializer_range)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, embedded: Tensor, packing: Packing) -> Tensor:
        """Embedded items ``[tokens, size]`` to states ``[tokens, size]``."""
        states = self.dropout(self.input_norm(embedded + self.positions(packing.position)))
        for block in self.blocks:
            states = block(states, packing)
        return self.final_norm(states)

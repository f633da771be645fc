"""The default encoder has, bit for bit, the weights, states and gradients that it had before it had options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_logq.modules.dropout import Dropout
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.transformer import SequenceEncoder


class OldBlock(nn.Module):
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
        self.dropout = Dropout(dropout)

    def _attend(self, states: Tensor, packing: Packing) -> Tensor:
        heads = self.query_key_value(states).unflatten(-1, (3, self.n_heads, -1))
        return self.output(packing.by_bucket(_causal_attention, heads).flatten(1))

    def _feed_forward(self, states: Tensor) -> Tensor:
        return self.outer(F.gelu(self.inner(states)))

    def forward(self, states: Tensor, packing: Packing) -> Tensor:
        if self.pre:
            states = states + self.dropout(self._attend(self.attention_norm(states), packing))
            return states + self.dropout(self._feed_forward(self.feed_forward_norm(states)))
        states = self.attention_norm(states + self.dropout(self._attend(states, packing)))
        return self.feed_forward_norm(states + self.dropout(self._feed_forward(states)))


def _causal_attention(heads: Tensor) -> Tensor:
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)


class OldEncoder(nn.Module):
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
        self.dropout = Dropout(dropout)
        self.blocks = nn.ModuleList(OldBlock(size, n_heads, inner_size, dropout, norm) for _ in range(n_layers))
        self.final_norm = nn.LayerNorm(size) if norm == "pre" else nn.Identity()
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=initializer_range)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, embedded: Tensor, packing: Packing) -> Tensor:
        states = self.dropout(self.input_norm(embedded + self.positions(packing.position)))
        for block in self.blocks:
            states = block(states, packing)
        return self.final_norm(states)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_weights_states_gradients_and_random_numbers_are_those_of_before(norm: str) -> None:
    shape: dict[str, Any] = {"size": 16, "n_layers": 2, "n_heads": 2, "inner_size": 24, "dropout": 0.3, "norm": norm}
    packing = Packing(torch.tensor([3, 1, 7, 2, 7, 4]))
    tokens, weight = torch.randn(2, 24, 16, generator=torch.Generator().manual_seed(1))
    found = []
    for kind in (OldEncoder, SequenceEncoder):
        torch.manual_seed(5)
        made = kind(max_length=9, initializer_range=0.02, **shape).train()
        start = made.state_dict()
        states = made(tokens, packing)
        (states * weight).sum().backward()
        gradients = {name: parameter.grad for name, parameter in made.named_parameters()}
        found.append((start, gradients, {"states": states, "generator": torch.get_rng_state()}))
    for before, now in zip(*found, strict=True):
        assert list(before) == list(now)  # names for stored weights, order for stored moments
        for name, value in before.items():
            assert torch.equal(value, now[name]), name

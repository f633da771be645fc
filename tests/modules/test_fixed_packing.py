"""A row of tokens of fixed length against the packing of the same sequences."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recbole_logq.modules.fixed_packing import FixedPacking
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.times import TokenTimes
from recbole_logq.modules.transformer import SequenceEncoder

SIZES, TOKENS, LONGEST = torch.tensor([3, 6, 1, 5, 2, 4, 0, 0]), 30, 6


def test_where_tokens_lie() -> None:
    packing = FixedPacking(SIZES, TOKENS, LONGEST)
    assert packing.position[:12].tolist() == [0, 1, 2, *range(6), 0, 0, 1]
    assert packing.sequence[:10].tolist() == [0] * 3 + [1] * 6 + [2]
    assert int((packing.sequence >= len(SIZES)).sum()) == TOKENS - int(SIZES.sum())
    assert int(packing.position.max()) < LONGEST
    assert packing.bounds[-1] == TOKENS
    assert torch.equal(packing.visible.sum(2).flatten(), packing.position + 1)  # itself and all before it
    with pytest.raises(ValueError, match="no multiple"):
        FixedPacking(SIZES, TOKENS + 1, LONGEST)


def test_one_chunk_sees_itself_once() -> None:
    packing = FixedPacking(torch.tensor([4, 2]), 6, 6)
    assert torch.equal(packing.visible.sum(2).flatten(), packing.position + 1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "post"},
        {"positions": "relative"},
        {"block": "ligr", "positions": "rotary"},
        {"block": "hstu", "time": "bias", "positions": "relative"},
        {"time": "both", "positions": "relative", "knows_request": True},
    ],
    ids=str,
)
def test_an_encoder_gives_the_same_states_and_gradients(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    shape = {"size": 8, "n_layers": 2, "n_heads": 2, "inner_size": 16, "dropout": 0.0, "initializer_range": 0.5}
    encoder = SequenceEncoder(**{**shape, "max_length": LONGEST, "norm": "pre", **options}).double()
    for parameter in encoder.biases.parameters():
        torch.nn.init.normal_(parameter)
    fixed, packing = FixedPacking(SIZES, TOKENS, LONGEST), Packing(SIZES[SIZES > 0])
    place = fixed.bounds[packing.sequence] + packing.position
    embedded = torch.randn(TOKENS, 8, dtype=torch.float64)
    event = torch.rand(TOKENS, dtype=torch.float64).cumsum(0) * 1000
    times = TokenTimes(event - 1, event, event + 3) if "time" in options else None
    states = encoder(embedded, fixed, times)
    assert bool(torch.isfinite(states).all())  # padding too
    expected = encoder(embedded[place], packing, times and TokenTimes(*(column[place] for column in times)))
    torch.testing.assert_close(states[place], expected)
    weight = torch.randn_like(expected)
    parameters = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    found = torch.autograd.grad((states[place] * weight).sum(), parameters, allow_unused=True)
    for gradient, other in zip(
        found, torch.autograd.grad((expected * weight).sum(), parameters, allow_unused=True), strict=True
    ):
        torch.testing.assert_close(gradient, other)

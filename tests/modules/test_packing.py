"""Packed tokens against sequences one by one."""

from __future__ import annotations

import pytest
import torch

from recbole_logq.modules.packing import Packing
from recbole_logq.modules.transformer import SequenceEncoder

LENGTHS = [[3, 1, 7, 2, 7, 4, 1, 12], [5, 5, 5], [1], [1, 1, 1], [50, 1]]


def padded(lengths: list[int], generator: torch.Generator) -> torch.Tensor:
    # Garbage, not zeros, in the padding: nothing may read it.
    return torch.randn(len(lengths), max(lengths) + 2, 6, generator=generator)


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_tokens_positions_and_last(lengths: list[int]) -> None:
    rows = padded(lengths, torch.Generator().manual_seed(0))
    packing = Packing(torch.tensor(lengths))
    tokens = packing.pack(rows)
    assert len(tokens) == sum(lengths)
    for row, length in enumerate(lengths):
        last = int(packing.last[row])
        assert torch.equal(tokens[last - length + 1 : last + 1], rows[row, :length])
        assert packing.position[last - length + 1 : last + 1].tolist() == list(range(length))


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_buckets_cover_every_token_once_and_pad_little(lengths: list[int]) -> None:
    tokens = Packing(torch.tensor(lengths)).pack(padded(lengths, torch.Generator().manual_seed(0)))
    packing = Packing(torch.tensor(lengths))
    cells = 0

    def causal(rows: torch.Tensor) -> torch.Tensor:
        nonlocal cells
        cells += rows.shape[0] * rows.shape[1]
        return rows.cumsum(1)

    result = packing.by_bucket(causal, tokens)
    for row, length in enumerate(lengths):
        own = slice(int(packing.last[row]) - length + 1, int(packing.last[row]) + 1)
        torch.testing.assert_close(result[own], tokens[own].cumsum(0))
    assert cells < 2 * sum(lengths) or cells == sum(lengths)


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_an_encoder_sees_each_sequence_alone(norm: str) -> None:
    generator = torch.Generator().manual_seed(1)
    lengths = [3, 1, 7, 2, 7, 4]
    encoder = SequenceEncoder(
        size=6, n_layers=2, n_heads=2, inner_size=8, dropout=0.0, norm=norm, max_length=9, initializer_range=0.5
    )
    rows = padded(lengths, generator).requires_grad_()
    packing = Packing(torch.tensor(lengths))
    together = encoder(packing.pack(rows), packing)
    weight = torch.randn(together.shape, generator=generator)
    (gradient,) = torch.autograd.grad((together * weight).sum(), rows)
    for row, length in enumerate(lengths):
        own = slice(int(packing.last[row]) - length + 1, int(packing.last[row]) + 1)
        single = Packing(torch.tensor([length]))
        alone = encoder(single.pack(rows[row : row + 1]), single)
        torch.testing.assert_close(together[own], alone, rtol=1e-5, atol=1e-5)
        (expected,) = torch.autograd.grad((alone * weight[own]).sum(), rows)
        torch.testing.assert_close(gradient[row], expected[row], rtol=1e-4, atol=1e-5)
    assert not gradient[0, lengths[0] :].any()

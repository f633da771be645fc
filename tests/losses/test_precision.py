"""The type that a loss is worked out in."""

import pytest
import torch

from recbole_logq.losses import get_loss


@pytest.mark.parametrize("wide", [0, 1, 2])
def test_the_widest_of_all_inputs_decides(wide):
    generator = torch.Generator().manual_seed(3)
    vectors = [torch.randn(5, 4, generator=generator) for _ in range(3)]
    vectors[wide] = vectors[wide].double()
    loss = get_loss("infonce")
    values = loss.from_vectors(*vectors)
    assert values.dtype == torch.float64
    exact = loss.from_vectors(*(tensor.double() for tensor in vectors))
    torch.testing.assert_close(values, exact, rtol=1e-14, atol=0)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_worked_out_in_float32(half):
    loss = get_loss("infonce")
    assert loss(torch.zeros(2, dtype=half), torch.zeros(2, 3, dtype=half)).dtype == torch.float32

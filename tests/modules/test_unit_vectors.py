"""Normalised vectors against torch's own, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from recbole_logq.modules.unit_vectors import SHORTEST, unit_vectors


@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (0, 4)])
@pytest.mark.parametrize("length", [1.0, 5.0])
def test_vectors_and_gradient_are_those_of_normalize(shape: tuple[int, ...], length: float) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors, grad = (torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    ours, theirs = (vectors.clone().requires_grad_() for _ in range(2))
    unit, expected = unit_vectors(ours, length), F.normalize(theirs, dim=-1) * length
    torch.testing.assert_close(unit, expected)
    unit.backward(grad)
    expected.backward(grad)
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_padding_stays_zero_and_short_vectors_are_as_torch_has_them() -> None:
    vectors = torch.tensor([[0.0, 0.0], [SHORTEST / 10, 0.0], [3e-12, 4e-12]], dtype=torch.float64)
    ours, theirs = (vectors.clone().requires_grad_() for _ in range(2))
    weights = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    (unit_vectors(ours) * weights).sum().backward()
    (F.normalize(theirs, dim=-1) * weights).sum().backward()
    assert unit_vectors(ours)[0].tolist() == [0.0, 0.0]
    torch.testing.assert_close(ours.grad, theirs.grad)

"""The exact cross entropy: equal to the plain one, at the memory of a tile."""

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from recbole_logq.losses import catalogue_logsumexp, get_loss


class LargestTensor(TorchDispatchMode):
    """Remembers the largest tensor that any operation returned."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


@pytest.fixture(params=[(3, 4), (256, 1024)], ids=str)
def tile(request, monkeypatch):
    monkeypatch.setattr(catalogue_logsumexp, "CPU_TILE", request.param)
    return request.param


def make(rows=11, catalogue=17, d=5):
    generator = torch.Generator().manual_seed(3)
    query = torch.randn(rows, d, generator=generator, dtype=torch.float64)
    vectors = torch.randn(catalogue, d, generator=generator, dtype=torch.float64)
    return query, vectors, torch.randint(catalogue, (rows,), generator=generator)


def test_equals_torchs_cross_entropy(tile):
    """The positive's vector is a row of the catalogue, so its gradient arrives by two ways."""
    query, vectors, targets = make()
    left = [query.clone().requires_grad_(), vectors.clone().requires_grad_()]
    right = [query.clone().requires_grad_(), vectors.clone().requires_grad_()]
    expected = functional.cross_entropy(left[0] @ left[1].T, targets, reduction="none")
    value = get_loss("full_softmax").from_vectors(right[0], right[1][targets], right[1])
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    weights = torch.linspace(0.1, 3, len(query), dtype=torch.float64)
    grads = torch.autograd.grad((weights * value).sum(), right)
    for gradient, expected_gradient in zip(grads, torch.autograd.grad((weights * expected).sum(), left), strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12)


def test_masked_tiles(tile):
    """Rows whose first tiles hold no valid column at all."""
    query, vectors, targets = make()
    valid = torch.rand(11, 17, generator=torch.Generator().manual_seed(4)) > 0.5
    valid[:4, :9] = False
    valid[:, 16] = True
    left, right = (query.clone().requires_grad_() for _ in range(2))
    logits = (left @ vectors.T).masked_fill(~valid, -torch.inf)
    expected = torch.logsumexp(logits, 1) - (left * vectors[targets]).sum(1)
    value = get_loss("full_softmax").from_vectors(right, vectors[targets], vectors, valid=valid)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    expected.sum().backward()
    value.sum().backward()
    torch.testing.assert_close(right.grad, left.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("block", [0, 2**24], ids=["tiles", "blocks"])
@pytest.mark.parametrize("scale", ["one", "rows"])
def test_both_ways_give_the_same_gradients(monkeypatch, block, scale):
    """A block keeps its part of the gradient from the forward pass; rows of unlike weight have it computed again."""
    monkeypatch.setattr(catalogue_logsumexp, "CPU_TILE", (4, 3))
    monkeypatch.setattr(catalogue_logsumexp, "BLOCK_ELEMENTS", block)
    query, vectors, targets = make()
    factor = torch.full((11,), 0.25).double() if scale == "one" else torch.linspace(-1, 2, 11).double()
    plain = [query.clone().requires_grad_(), vectors.clone().requires_grad_()]
    expected = functional.cross_entropy(50 * plain[0] @ plain[1].T, targets, reduction="none")
    ours = [query.clone().requires_grad_(), vectors.clone().requires_grad_()]
    value = get_loss("full_softmax").from_vectors(50 * ours[0], ours[1][targets], ours[1])
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    for got, want in zip(
        torch.autograd.grad((factor * value).sum(), ours),
        torch.autograd.grad((factor * expected).sum(), plain),
        strict=True,
    ):
        torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-12)


def test_gradcheck_over_several_tiles(monkeypatch):
    monkeypatch.setattr(catalogue_logsumexp, "CPU_TILE", (2, 3))
    query, vectors, targets = make(rows=3, catalogue=7, d=2)
    leaves = [tensor.clone().requires_grad_() for tensor in (query, vectors[targets], vectors)]
    assert torch.autograd.gradcheck(get_loss("full_softmax").from_vectors, leaves)


def test_nothing_of_the_size_of_rows_times_catalogue_exists():
    rows, catalogue, d = 700, 3000, 8
    query, positive = torch.randn(rows, d, requires_grad=True), torch.randn(rows, d)
    vectors = torch.randn(catalogue, d, requires_grad=True)
    with LargestTensor() as largest:
        get_loss("full_softmax").from_vectors(query, positive, vectors).sum().backward()
    assert query.grad is not None
    assert largest.elements == 256 * 1024


@pytest.mark.parametrize("name", ["corrected_logq", "sampled_softmax"])
def test_a_shared_pool_is_never_gathered_per_row(name):
    rows, pool, d = 600, 32, 16
    leaves = [torch.randn(shape, requires_grad=True) for shape in ((rows, d), (rows, d), (pool, d))]
    terms = {"positive_log_q": torch.full((rows,), -3.0), "negative_log_q": torch.full((pool,), -3.0)}
    with LargestTensor() as largest:
        get_loss(name).from_vectors(*leaves, **terms).sum().backward()
    assert largest.elements == rows * pool


def test_large_scores_stay_finite_in_float32():
    query = torch.tensor([[800.0], [-800.0]], requires_grad=True)
    vectors = torch.tensor([[1.0], [-1.0], [0.5]], requires_grad=True)
    value = get_loss("full_softmax").from_vectors(query, vectors[:2], vectors)
    value.sum().backward()
    assert value.tolist() == [0.0, 0.0]
    assert query.grad.isfinite().all()
    assert vectors.grad.isfinite().all()

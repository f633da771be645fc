"""The Triton kernel of a pool's logsumexp, in Triton's interpreter: against the definition in float64, and plain torch.

Tiles of 16 by 16 make several of tiny problems. bfloat16 is unknown to the interpreter; `benchmarks/pool_kernel.py`
checks it, TF32 and the compiled kernels on a device.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from recbole_logq.losses import fused_logsumexp as fused
from recbole_logq.losses import get_loss
from recbole_logq.losses.column_mask import ColumnMask
from recbole_logq.losses.fused_logsumexp import Tiling, Tilings, fused_logsumexp, valid_counts, why_not
from recbole_logq.losses.terms import Terms

# The interpreter is NumPy, which warns of what a device computes in silence.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
SMALL = Tilings(Tiling(16, 16, 4, 1), Tiling(16, 16, 4, 1))

if find_spec("triton") is None:
    pytest.skip("Triton is not installed: on Linux it comes with torch", allow_module_level=True)


class Shapes(TorchDispatchMode):
    """Remembers the largest tensor of a step; the interpreter's own copies, in bytes, are none."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and leaf.dtype != torch.uint8]
        self.elements = max([self.elements, *sizes])
        return result


def make(rows: int, pool: int, width: int, pools: int = 1, kind: str = "id") -> tuple[Tensor, Tensor, Any, Any]:
    """Queries, vectors, log Q and a mask of a kind."""
    generator = torch.Generator().manual_seed(rows + pools)
    many = (pools,) if pools > 1 else ()

    def whole(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=generator)

    query, vectors = (torch.randn(*shape, width, generator=generator) for shape in ((rows,), (*many, pool)))
    offset: Tensor | None = torch.randn(*many, pool, generator=generator)
    key = {"row_key": whole(7, rows), "column_key": whole(7, *many, pool)}
    by_id = {"row_id": whole(7, rows) + 2**40, "column_id": whole(7, *many, pool) + 2**40}
    held = torch.rand(*many, 3, pool, generator=generator) > 0.6
    sets = {"row_set": whole(3, rows), "held": held}
    size = -(-rows // pools) if many else None
    masks: dict[str, Callable[[], Any]] = {
        "none": lambda: None,
        "id": lambda: ColumnMask(**by_id, rows_a_pool=size),
        "key and id": lambda: ColumnMask(**by_id, **key, rows_a_pool=size),
        "sets": lambda: ColumnMask(**sets, rows_a_pool=size),
        "sets but own": lambda: ColumnMask(**sets, **by_id, **key, spares_own=True, rows_a_pool=size),
        "listed": lambda: torch.rand(rows, pool, generator=generator) > 0.9,
    }
    if kind == "listed":  # some rows have nothing, and log Q is the row's own
        offset = torch.randn(rows, pool, generator=generator)
    return query, vectors, offset if kind != "none" else None, masks[kind]()


def definition(query: Tensor, vectors: Tensor, offset: Tensor | None, valid: Tensor | None) -> Tensor:
    """Scores in memory, in float64."""
    query, vectors = query.double(), vectors.double()
    if vectors.dim() == 2:
        scores = query @ vectors.T
    else:
        pool = torch.arange(len(query)) // -(-len(query) // len(vectors))
        scores = torch.einsum("rd,rnd->rn", query, vectors[pool])
        offset = None if offset is None else offset[pool]
    scores = scores if offset is None else scores - offset
    return torch.logsumexp(scores if valid is None else scores.masked_fill(~valid, -1e30), 1)


@pytest.mark.parametrize(
    ("rows", "pool", "width", "pools", "kind"),
    [
        (37, 45, 12, 1, "sets but own"),  # nothing is a multiple of a tile
        (33, 17, 16, 1, "listed"),
        (7, 100, 20, 1, "none"),  # split over columns
        (100, 7, 16, 1, "id"),  # and over rows in the backward pass
        (50, 20, 8, 3, "key and id"),
        (5, 3, 5, 4, "sets"),  # the last pool has no rows
    ],
)
def test_value_gradients_and_counts_are_those_of_the_definition(
    rows: int, pool: int, width: int, pools: int, kind: str
) -> None:
    query, vectors, offset, mask = make(rows, pool, width, pools, kind)
    leaves = (query.requires_grad_(), vectors.requires_grad_())
    valid = mask(0, rows) if isinstance(mask, ColumnMask) else mask
    lse, counts = fused_logsumexp(*leaves, offset, mask, cuts=SMALL)
    expected = definition(*leaves, offset, valid)
    number = torch.full((rows,), pool, dtype=torch.int32) if valid is None else valid.sum(1, dtype=torch.int32)
    assert torch.equal(counts, number)
    some = number > 0
    assert (lse[~some] == -1e30).all()
    torch.testing.assert_close(lse[some].double(), expected[some], rtol=1e-5, atol=1e-5)
    weights = torch.linspace(-1, 2, rows) * some
    got = torch.autograd.grad((lse * weights).sum(), leaves)
    want = torch.autograd.grad((expected * weights)[some].sum(), leaves)
    for gradient, expected_gradient in zip(got, want, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-5)
    if isinstance(mask, ColumnMask):
        assert torch.equal(valid_counts(mask, rows), counts)


@pytest.mark.parametrize("name", ["corrected_logq", "logq", "full_softmax"])
def test_a_loss_is_the_same_by_either_way(name: str) -> None:
    query, vectors, offset, mask = make(20, 24, 16)
    by_catalogue = name == "full_softmax"
    terms = Terms(valid=None if by_catalogue else mask)
    if not by_catalogue:
        terms = Terms(torch.linspace(-4, -2, 20), offset - 5, mask)
    results = []
    for kernel in ("triton", "torch"):
        loss = get_loss(name)
        loss.kernel = kernel
        leaves = [tensor.clone().requires_grad_() for tensor in (query, vectors[:20], vectors)]
        value = loss.from_vectors(*leaves, terms)
        results.append([value, *torch.autograd.grad(value.mean(), leaves)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["id", "key and id"])
def test_several_pools_have_the_losses_of_each_by_itself(kind: str) -> None:
    """By the kernel, by one batched product, and pool by pool."""
    query, vectors, offset, mask = make(12, 9, 8, pools=3, kind=kind)
    laws = torch.linspace(-4, -2, 12), offset - 5
    results = []
    for kernel in ("triton", "torch"):
        loss = get_loss("corrected_logq")
        loss.kernel = kernel
        leaves = [tensor.clone().requires_grad_() for tensor in (query, query.flip(0), vectors)]
        shaped = [tensor.view(3, 4, 8) for tensor in leaves[:2]]
        value, counts = loss.from_pools(*shaped, leaves[2], Terms(*laws, mask))
        results.append([value, counts, *torch.autograd.grad(value.mean(), leaves)])
    leaves = [tensor.clone().requires_grad_() for tensor in (query, query.flip(0), vectors)]
    rows = [slice(start, start + 4) for start in (0, 4, 8)]
    valid = [mask(part.start, part.stop) for part in rows]
    each = [
        loss.from_vectors(leaves[0][part], leaves[1][part], leaves[2][pool], Terms(laws[0][part], laws[1][pool], known))
        for pool, (part, known) in enumerate(zip(rows, valid, strict=True))
    ]
    value = torch.cat(each)
    expected = [value, torch.cat(valid).sum(1).to(value.dtype), *torch.autograd.grad(value.mean(), leaves)]
    for result in results:
        for got, want in zip(result, expected, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


def test_large_scores_stay_finite_and_what_is_no_number_stays_none() -> None:
    query = torch.tensor([[800.0], [-800.0]]).repeat(1, 16)
    vectors = torch.tensor([[1.0], [-1.0], [0.5]]).repeat(1, 16).requires_grad_()
    lse, _ = fused_logsumexp(query, vectors, None, None, cuts=SMALL)
    assert lse.tolist() == [12_800.0, 12_800.0]
    (gradient,) = torch.autograd.grad(lse.sum(), vectors)
    assert torch.equal(gradient, torch.stack([query[0], query[1], torch.zeros(16)]))
    assert fused_logsumexp(query * torch.nan, vectors, None, None, cuts=SMALL)[0].isnan().all()


def test_nothing_of_the_size_of_rows_times_pool_exists() -> None:
    query, vectors, offset, mask = make(30, 40, 16, kind="key and id")
    with Shapes() as largest:
        lse, _ = fused_logsumexp(query.requires_grad_(), vectors.requires_grad_(), offset, mask, cuts=SMALL)
        lse.sum().backward()
    assert largest.elements < 30 * 40


def test_what_the_kernel_does_not_serve() -> None:
    query, vectors, offset, mask = make(4, 5, 16)
    terms = Terms(valid=mask)
    assert why_not("triton", query, terms) is None
    reasons = {
        "are not on a CUDA device": ("auto", query, terms),
        "torch is asked for": ("torch", query, terms),
        "float64": ("triton", query.double(), terms),
        "300 dimensions": ("triton", torch.zeros(4, 300), terms),
        "the mask is a function": ("triton", query, Terms(valid=lambda start, stop: mask(start, stop))),
    }
    for reason, arguments in reasons.items():
        assert reason in (why_not(*arguments) or "")
    loss = get_loss("logq")
    loss.kernel = "triton"
    with pytest.raises(ValueError, match="cannot be used: the vectors are torch"):
        loss.from_vectors(*(tensor.double() for tensor in (query, vectors[:4], vectors)), Terms(offset[:4], offset))


def test_auto_is_for_devices_on_which_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    query = torch.empty(3, 16, device="meta")
    monkeypatch.setattr(fused, "FASTER_ON", {(9, 0)})
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert why_not("auto", query, Terms()) == "the vectors are not on a CUDA device"
    on_cuda = torch.device("cuda", 7)
    assert fused._not_faster(on_cuda) == "on devices of this kind it has not been shown to be faster"
    fused._not_faster.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert fused._not_faster(on_cuda) is None
    fused._not_faster.cache_clear()


def test_precision_is_torchs_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"highest": "tf32x3", "high": "tf32", "medium": "bfloat16"}
    found = {}
    for setting in wanted:
        monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda setting=setting: setting)
        found[setting] = fused.product_precision()
    assert found == wanted

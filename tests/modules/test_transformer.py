"""The packed encoder with every option against one written position by position in float64."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from recbole_logq.modules import pair_bias
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.positions import RotaryPositions, rotate
from recbole_logq.modules.times import TokenTimes
from recbole_logq.modules.transformer import SequenceEncoder

SIZE, HEADS, INNER, LONGEST = 8, 2, 6, 9
LENGTHS = [3, 1, 6, 4, 6]
POSITIONS = ["learned", "rotary", "none"]
EVERYTHING: list[dict[str, Any]] = [
    {
        "block": block,
        "norm": norm,
        "feed_forward": feed_forward,
        "positions": positions,
        "input_norm": input_norm,
        "scale_embedding": scale_embedding,
    }
    for (block, norm), feed_forward, positions, input_norm, scale_embedding in itertools.product(
        [("classic", "pre"), ("classic", "post"), ("ligr", "pre")],
        ["gelu", "relu", "swiglu"],
        POSITIONS,
        [True, False],
        [True, False],
    )
]

WITH_TIME: list[dict[str, Any]] = [
    {"block": block, "norm": norm, "positions": positions, "time": time, **more}
    for block, norm, positions, time, more in [
        ("classic", "pre", "rotary", "bias", {}),
        ("classic", "post", "relative", "bias", {"bias_weights": "shared"}),
        ("classic", "pre", "relative", "none", {}),
        ("classic", "pre", "none", "gaps", {}),
        ("ligr", "pre", "learned", "both", {"knows_request": True}),
        ("hstu", "pre", "relative", "both", {"knows_request": True}),
        ("hstu", "pre", "rotary", "none", {}),
    ]
]
BUCKETS = 5  # whose edges are 1, 2, 4, 8


def encoder(**options: Any) -> SequenceEncoder:
    """In float64 and with every weight and bias random, so that none can be left out unnoticed."""
    shape: dict[str, Any] = {"size": SIZE, "n_layers": 2, "n_heads": HEADS, "inner_size": INNER, "dropout": 0.0}
    options = {"norm": "pre", "time_buckets": BUCKETS, **shape, **options}
    made = SequenceEncoder(max_length=LONGEST, initializer_range=0.1, **options).double()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return made


def normal(states: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    if f"{name}.weight" not in weights:
        return states
    centred = states - states.mean(-1, keepdim=True)
    deviation = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(states: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    return states @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def turn(head: Tensor, position: int) -> Tensor:
    """Rotary positions as complex numbers, ``[batch, d]``."""
    half = head.shape[-1] // 2
    speed = torch.tensor([10000 ** (-2 * i / head.shape[-1]) for i in range(half)], dtype=torch.float64)
    turned = torch.complex(head[:, :half], head[:, half:]) * torch.exp(1j * position * speed)
    return torch.cat((turned.real, turned.imag), -1)


def bucket(between: float) -> int:
    return sum(between >= edge for edge in (1, 2, 4, 8))


def biases(weights: dict[str, Tensor], layer: int, times: Tensor, i: int, j: int, head: int) -> Tensor:
    """What is added to the score of query ``i`` and key ``j``, ``[batch]``."""
    layer = layer if f"biases.{layer}.time" in weights or f"biases.{layer}.distance" in weights else 0
    added = torch.zeros(len(times), dtype=torch.float64)
    if (of_time := weights.get(f"biases.{layer}.time")) is not None:
        added = added + torch.stack([of_time[head, bucket(float(row[i, 2] - row[j, 1]))] for row in times])
    if (of_distance := weights.get(f"biases.{layer}.distance")) is not None:
        added = added + of_distance[head, i - j]
    return added


def attention(
    states: Tensor, weights: dict[str, Tensor], layer: int, rotary: bool, times: Tensor, hstu: bool
) -> Tensor:
    block = f"blocks.{layer}"
    batch, length, size = states.shape
    width = size // HEADS
    mixed = linear(states, weights, f"{block}.gate_query_key_value" if hstu else f"{block}.query_key_value")
    if hstu:
        mixed = mixed / (1 + torch.exp(-mixed))
        gate, mixed = mixed[..., :size], mixed[..., size:]
    result = torch.zeros(batch, length, 0, dtype=torch.float64)
    for head in range(HEADS):
        at = [slice(part * size + head * width, part * size + (head + 1) * width) for part in range(3)]
        query, key = ([mixed[:, position, at[part]] for position in range(length)] for part in (0, 1))
        if rotary:
            query, key = ([turn(one, position) for position, one in enumerate(side)] for side in (query, key))
        rows = []
        for i in range(length):
            scale = 1 if hstu else math.sqrt(width)
            scores = torch.stack([(query[i] * key[j]).sum(-1) / scale for j in range(i + 1)], -1)
            scores = scores + torch.stack([biases(weights, layer, times, i, j, head) for j in range(i + 1)], -1)
            if hstu:
                share = scores / (1 + torch.exp(-scores)) / LONGEST
            else:
                share = scores.exp() / scores.exp().sum(-1, keepdim=True)
            rows.append(sum(share[:, j, None] * mixed[:, j, at[2]] for j in range(i + 1)))
        result = torch.cat((result, torch.stack(rows, 1)), -1)
    if hstu:
        result = normal(result, weights, f"{block}.attended_norm") * gate
    return linear(result, weights, f"{block}.output")


def feed_forward(states: Tensor, weights: dict[str, Tensor], block: str, kind: str) -> Tensor:
    inner = linear(states, weights, f"{block}.inner")
    if kind == "relu":
        inner = inner * (inner > 0)
    elif kind == "gelu":
        inner = inner * (1 + torch.erf(inner / math.sqrt(2))) / 2
    else:
        assert inner.shape[-1] == 2 * INNER
        inner = inner[..., :INNER] / (1 + torch.exp(-inner[..., :INNER])) * inner[..., INNER:]
    return linear(inner, weights, f"{block}.outer")


def naive(weights: dict[str, Tensor], padded: Tensor, options: dict[str, Any], times: Tensor) -> Tensor:
    """States ``[batch, length, size]`` of right-padded items; nothing but the causal mask hides the padding."""
    states = padded * math.sqrt(SIZE) if options.get("scale_embedding") else padded
    if "gaps.before.weight" in weights:
        before = [[BUCKETS if t.isnan() else bucket(float(t)) for t in row] for row in times[:, :, 1] - times[:, :, 0]]
        states = states + weights["gaps.before.weight"][torch.tensor(before)]
    if "gaps.request.weight" in weights:
        after = [[bucket(float(t)) for t in row] for row in times[:, :, 2] - times[:, :, 1]]
        states = states + weights["gaps.request.weight"][torch.tensor(after)]
    if options["positions"] == "learned":
        states = states + weights["positions.weight"][: padded.shape[1]]
    states = normal(states, weights, "input_norm")
    rotary = options["positions"] == "rotary"
    for layer in range(2):
        block = f"blocks.{layer}"
        hstu = options["block"] == "hstu"
        for part in ("attention",) if hstu else ("attention", "feed_forward"):
            norm = f"{block}.{part}_norm"
            seen = states if options["norm"] == "post" else normal(states, weights, norm)
            if part == "attention":
                change = attention(seen, weights, layer, rotary, times, hstu)
            else:
                change = feed_forward(seen, weights, block, options.get("feed_forward", "gelu"))
            if options["block"] == "ligr":
                change = change / (1 + torch.exp(-linear(states, weights, f"{block}.{part}_gate")))
            states = states + change
            if options["norm"] == "post":
                states = normal(states, weights, norm)
    return normal(states, weights, "final_norm")


def items(generator: torch.Generator) -> Tensor:
    # Garbage, not zeros, in the padding: nothing may read it.
    shape = (len(LENGTHS), max(LENGTHS), SIZE)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


def some_times(generator: torch.Generator) -> Tensor:
    """Before, event and query of every position, some at once, some first ones alone; ``[batch, length, 3]``."""
    gaps = torch.randint(0, 4, (len(LENGTHS), max(LENGTHS) + 2), generator=generator) ** 2 * 0.7
    clock = gaps.double().cumsum(1)
    times = torch.stack((clock[:, :-2], clock[:, 1:-1], clock[:, 2:]), -1)
    times[::2, 0, 0] = torch.nan
    return times


@pytest.mark.parametrize("options", [*EVERYTHING, *WITH_TIME], ids=lambda options: "-".join(map(str, options.values())))
def test_states_and_gradients_are_those_of_the_naive_encoder(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_bias, "QUERIES", 4)  # several tiles
    monkeypatch.setattr(pair_bias, "PAIRS", 30)
    generator = torch.Generator().manual_seed(3)
    packed, rows, packing = encoder(**options), items(generator), Packing(torch.tensor(LENGTHS))
    weights = dict(packed.named_parameters())
    times = some_times(generator)
    found = packed(packing.pack(rows), packing, TokenTimes(*packing.pack(times).unbind(1)))
    expected = packing.pack(naive(weights, rows, options, times))
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    weight = torch.randn(found.shape, generator=generator, dtype=torch.float64)
    wanted = (rows, *weights.values())
    pairs = zip(
        ("items", *weights),
        torch.autograd.grad((found * weight).sum(), wanted),
        torch.autograd.grad((expected * weight).sum(), wanted),
        strict=True,
    )
    for name, gradient, reference in pairs:
        torch.testing.assert_close(gradient, reference, rtol=1e-9, atol=1e-11, msg=lambda text, name=name: name + text)


MODERN = {"block": "ligr", "feed_forward": "swiglu", "positions": "rotary"}
CHANGES: list[dict[str, Any]] = [
    {},
    MODERN,
    {"norm": "post", "positions": "rotary"},
    {"block": "ligr", "positions": "none", "input_norm": False, "scale_embedding": True},
]


@pytest.mark.parametrize("options", CHANGES, ids=str)
def test_nothing_leaks_from_later_positions(options: dict[str, Any]) -> None:
    packed, rows, packing = encoder(**options), items(torch.Generator().manual_seed(4)), Packing(torch.tensor(LENGTHS))
    states = packed(packing.pack(rows), packing)
    last = packing.last.tolist()
    for row, length in enumerate(LENGTHS):
        for position in range(length):
            state = states[last[row] - length + 1 + position].sum()
            (gradient,) = torch.autograd.grad(state, rows, retain_graph=True)
            seen = gradient.abs().sum(-1) > 0
            expected = torch.zeros_like(seen)
            expected[row, : position + 1] = True
            assert torch.equal(seen, expected)


@pytest.mark.parametrize("options", CHANGES, ids=str)
def test_a_sequence_does_not_feel_its_neighbours(options: dict[str, Any]) -> None:
    packed, rows = encoder(**options), items(torch.Generator().manual_seed(5)).detach()
    packing = Packing(torch.tensor(LENGTHS))
    together = packed(packing.pack(rows), packing)
    for row, length in enumerate(LENGTHS):
        single = Packing(torch.tensor([length]))
        alone = packed(single.pack(rows[row : row + 1, :length]), single)
        end = int(packing.last[row]) + 1
        torch.testing.assert_close(together[end - length : end], alone, rtol=1e-11, atol=1e-11)


def test_a_rotary_score_depends_on_the_distance_only() -> None:
    query, key = torch.randn(2, 1, 1, HEADS, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    heads = torch.cat((query, key, torch.ones_like(query)), 1).expand(LONGEST, -1, -1, -1)
    turned = rotate(heads, RotaryPositions(LONGEST, 4 * HEADS, HEADS).rotation(torch.arange(LONGEST), torch.float64))
    scores = torch.einsum("mhd,nhd->hmn", turned[:, 0], turned[:, 1])
    of_distance = [scores.diagonal(offset, 1, 2) for offset in range(1 - LONGEST, LONGEST)]
    for diagonal in of_distance:
        torch.testing.assert_close(diagonal, diagonal[:, :1].expand_as(diagonal), rtol=1e-11, atol=1e-11)
    assert len({round(float(diagonal[0, 0]), 9) for diagonal in of_distance}) == len(of_distance)
    assert torch.equal(turned[:, 2], heads[:, 2])
    torch.testing.assert_close(turned.norm(dim=-1), heads.norm(dim=-1))


def test_a_rotation_is_a_product_of_complex_numbers_with_its_gradient() -> None:
    generator = torch.Generator().manual_seed(8)
    heads, grad = torch.randn(2, LONGEST, 3, HEADS, 4, dtype=torch.float64, generator=generator).unbind()
    heads = heads.clone().requires_grad_()
    rotation = RotaryPositions(LONGEST, 4 * HEADS, HEADS).rotation(torch.arange(LONGEST), torch.float64)
    angle = torch.outer(torch.arange(LONGEST).double(), torch.tensor([1.0, 0.01], dtype=torch.float64))
    pairs = torch.complex(heads[:, :2, :, :2], heads[:, :2, :, 2:]) * torch.exp(1j * angle)[:, None, None]
    expected = torch.cat((torch.cat((pairs.real, pairs.imag), -1), heads[:, 2:]), 1)
    turned = rotate(heads, rotation)
    torch.testing.assert_close(turned, expected)
    ours, theirs = (torch.autograd.grad(way, heads, grad)[0] for way in (turned, expected))
    torch.testing.assert_close(ours, theirs)
    half = rotate(heads.detach().bfloat16(), rotation.float())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), expected.detach(), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(("positions", "same"), [("learned", False), ("rotary", True), ("none", True)])
def test_where_a_window_starts_matters_to_learned_positions_only(positions: str, same: bool) -> None:
    packed, rows = encoder(positions=positions), items(torch.Generator().manual_seed(7)).detach()
    packing = Packing(torch.tensor(LENGTHS))
    tokens = packing.pack(rows)
    before = packed(tokens, packing)
    packing.position = packing.position + 2
    assert torch.allclose(before, packed(tokens, packing)) == same


@pytest.mark.parametrize("positions", POSITIONS)
def test_the_order_of_the_past_matters_unless_there_are_no_positions(positions: str) -> None:
    """One block sees a set of earlier items, each with its own position."""
    packed, packing = encoder(positions=positions, n_layers=1), Packing(torch.tensor([5]))
    tokens = torch.randn(5, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    swapped = tokens[[1, 0, 2, 3, 4]]
    same = torch.allclose(packed(tokens, packing)[-1], packed(swapped, packing)[-1])
    assert same == (positions == "none")


def test_half_precision_projections_keep_their_type() -> None:
    packed, packing = encoder(**MODERN).float(), Packing(torch.tensor(LENGTHS))
    rows = items(torch.Generator().manual_seed(9)).detach().float()
    whole = packed(packing.pack(rows), packing)
    with torch.autocast("cpu", torch.bfloat16):
        rough = packed(packing.pack(rows), packing)
    torch.testing.assert_close(rough.float(), whole, rtol=0.1, atol=0.2)


def test_two_thirds_of_the_width_are_as_many_parameters() -> None:
    def count(kind: str, inner_size: int) -> int:
        made = SequenceEncoder(
            size=64, n_layers=2, n_heads=2, inner_size=inner_size, dropout=0.0, norm="pre", max_length=50,
            initializer_range=0.02, feed_forward=kind,
        )  # fmt: skip
        return sum(parameter.numel() for parameter in made.parameters())

    assert count("swiglu", 171) == pytest.approx(count("gelu", 256), rel=0.005)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": "ligr", "norm": "post"}, "pre-norm, not post"),
        ({"block": "hstu", "norm": "post"}, "pre-norm, not post"),
        ({"positions": "rotary", "n_heads": 8}, "a head of 1 dimensions"),
        ({"n_heads": 3}, "does not divide into 3 heads"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder(**options)

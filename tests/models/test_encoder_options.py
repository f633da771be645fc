"""SASRec with every option of its encoder: it learns, and padding and parts change nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from recbole.data.interaction import Interaction
from recbole.utils import init_seed

from recbole_logq.models.resolve import own_models

RECIPES = [model for model in own_models() if model.startswith("SASRec")]
MODERN: dict[str, Any] = {"block": "ligr", "feed_forward": "swiglu", "positions": "rotary"}
OPTIONS: list[dict[str, Any]] = [
    {"block": "ligr"},
    {"feed_forward": "relu"},
    {"feed_forward": "swiglu", "inner_size": 171},
    {"positions": "learned"},
    {"positions": "none"},
    {"input_norm": False},
    {"positions": "learned", "scale_embedding": True},
    {"norm": "post", "feed_forward": "swiglu", "positions": "rotary", "input_norm": False, "scale_embedding": True},
]


@pytest.fixture
def falls(build: Callable[..., Any], losses_on_one_batch: Callable[..., list[float]]) -> Callable[..., None]:
    """The loss falls, and every parameter has a part in it."""

    def check(model: str, **options: Any) -> None:
        network, _, loaders = build(model, dropout=0.0, **options)

        def all_have_gradients(step: int) -> None:
            if step == 1:  # the second, since nothing passes weights of zero in the first
                for name, parameter in network.named_parameters():
                    assert parameter.grad is not None, name
                    assert parameter.grad.to_dense().any(), name

        values = losses_on_one_batch(network, loaders[0], after_backward=all_have_gradients)
        assert values[-1] < 0.9 * values[0]

    return check


@pytest.mark.parametrize("model", RECIPES)
def test_every_recipe_learns_with_the_modern_block(falls: Callable[..., None], model: str) -> None:
    falls(model, **MODERN)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_option_learns(falls: Callable[..., None], options: dict[str, Any]) -> None:
    falls("SASRecCorrectedLogQ", **options)


@pytest.mark.parametrize("options", [MODERN, *OPTIONS], ids=str)
def test_padding_and_neighbours_do_not_change_a_score(build: Callable[..., Any], options: dict[str, Any]) -> None:
    network, _, loaders = build("SASRecCorrectedLogQ", **options)
    network.eval()
    rows = loaders[2]._dataset[torch.arange(8)]
    together = network.full_sort_predict(rows).view(8, -1)
    for row in range(8):
        length = int(rows["item_length"][row])
        alone = {"item_id_list": rows["item_id_list"][row : row + 1, :length]}
        alone["item_length"] = rows["item_length"][row : row + 1]
        torch.testing.assert_close(network.full_sort_predict(Interaction(alone)), together[row], rtol=1e-4, atol=1e-6)


def test_a_batch_in_parts_has_the_gradient_of_one_piece(build: Callable[..., Any]) -> None:
    found = []
    for cached in (None, 7):
        network, _, loaders = build("SASRecCorrectedLogQ", dropout=0.0, gradient_cache=cached, **MODERN)
        network = network.double().train()
        init_seed(7, True)
        network.calculate_loss(next(iter(loaders[0]))).backward()
        found.append({name: parameter.grad for name, parameter in network.named_parameters()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(found[1][name], gradient, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({"positions": "rotary"}, "positions"),
        ({"positions": "none"}, "positions"),
        ({"input_norm": False}, "input_norm"),
    ],
    ids=str,
)
def test_what_is_switched_off_has_no_weights(build: Callable[..., Any], options: dict[str, Any], left_out: str) -> None:
    everything = {"positions": "learned"}
    kept, less = (
        dict(build("SASRecLogQ", **given)[0].encoder.named_parameters()) for given in (everything, everything | options)
    )
    assert {name.split(".")[0] for name in kept} - {name.split(".")[0] for name in less} == {left_out}

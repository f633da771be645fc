"""A batch encoded in parts has the gradient of the batch in one piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from recbole.utils import init_seed

from recbole_logq.losses import limits

MODELS = {
    "SASRecCorrectedLogQ": {"negatives.count": None},
    "SASRecLogQ": {"sparse_embeddings": True},
    "SASRecBCE": {},
    "TwoTowerCorrectedLogQ": {"mlp_sizes": [16, 8], "negatives.count": None},
    "TwoTowerMNSLogQ": {"mlp_sizes": [8], "mask": "target"},
    "TwoTowerInBatch": {"user_tower": "history", "mlp_sizes": [8], "eval_args.order": "TO"},
    "TwoTowerBPR": {},
}


def _gradients(build: Callable[..., Any], model: str, **settings: Any) -> tuple[float, dict[str, torch.Tensor]]:
    network, _, loaders = build(model, **{**MODELS[model], **settings})
    network = network.double().train()
    batch = next(iter(loaders[0]))
    init_seed(7, True)
    loss = network.calculate_loss(batch)
    loss.backward()
    grads = {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}
    return loss.item(), {name: grad.to_dense() if grad.is_sparse else grad for name, grad in grads.items()}


@pytest.mark.parametrize("model", MODELS)
def test_the_gradient_is_that_of_one_piece(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    loss, whole = _gradients(build, model, dropout=0.0)
    monkeypatch.setattr(limits, "WHOLE_MATRIX", 1000)  # and the scores block by block
    in_parts, cached = _gradients(build, model, dropout=0.0, gradient_cache=7)
    assert in_parts == pytest.approx(loss, rel=1e-12)
    assert whole.keys() == cached.keys()
    assert max(float(grad.abs().max()) for grad in whole.values()) > 1e-5
    for name, grad in whole.items():
        torch.testing.assert_close(cached[name], grad, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("model", ["SASRecCorrectedLogQ", "TwoTowerCorrectedLogQ"])
def test_dropout_is_the_same_when_a_part_is_encoded_again(build: Callable[..., Any], model: str) -> None:
    """Along its own gradient the loss, with the same random numbers, changes as fast as the gradient says."""
    network, _, loaders = build(model, **MODELS[model], dropout=0.5, gradient_cache=7)
    network = network.double().train()
    batch = next(iter(loaders[0]))

    def loss() -> torch.Tensor:
        init_seed(7, True)
        network.sampler.generator.manual_seed(3)
        return network.calculate_loss(batch)

    loss().backward()
    grads = [parameter.grad.clone() for parameter in network.parameters()]
    square = sum(float(grad.square().sum()) for grad in grads)
    step = 1e-5 / square**0.5
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            for parameter, grad in zip(network.parameters(), grads, strict=True):
                parameter += sign * step * grad
            values.append(loss().item())
            for parameter, grad in zip(network.parameters(), grads, strict=True):
                parameter -= sign * step * grad
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(square, rel=1e-5)

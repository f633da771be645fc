"""Torch's optimizers take the same steps with and without torch's compiler."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from recbole_logq import eager_optimizers

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "Adam": {"weight_decay": 0.1},
    "AdamW": {"amsgrad": True},
    "SGD": {"momentum": 0.9, "nesterov": True},
    "Adagrad": {},
    "RMSprop": {"centered": True},
}


def trained(name: str) -> torch.Tensor:
    """Weights after two steps of an optimizer whose state was stored and loaded in between."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    make = getattr(torch.optim, name)
    optimizer = make([{"params": [layer.weight]}], lr=0.1, **OPTIMIZERS[name])
    optimizer.add_param_group({"params": [layer.bias], "lr": 0.2})
    for _ in range(2):
        optimizer.zero_grad()
        layer(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
        state, groups = optimizer.state_dict(), [{"params": [layer.weight]}, {"params": [layer.bias]}]
        optimizer = make(groups, lr=0.1, **OPTIMIZERS[name])
        optimizer.load_state_dict(state)
    return torch.cat([layer.weight.detach().flatten(), layer.bias.detach()])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    eager_optimizers.apply()
    calls: list[str] = []
    graph_break = __import__("torch._dynamo")._dynamo.graph_break
    monkeypatch.setattr("torch._dynamo.graph_break", lambda: (calls.append("torch's"), graph_break()))
    with monkeypatch.context() as without:
        without.setattr(eager_optimizers, "_COMPILER", "torch._absent")
        eager = trained(name)
    assert calls == []
    assert torch.equal(trained(name), eager)
    assert calls  # the compiler is there: torch's own way


def test_gradients_are_off_in_a_step_and_on_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    eager_optimizers.apply()
    monkeypatch.setattr(eager_optimizers, "_COMPILER", "torch._absent")
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.grad = torch.ones(2)
    seen: list[bool] = []
    optimizer.register_step_pre_hook(lambda *given: seen.append(torch.is_grad_enabled()))
    inside = type(optimizer)._init_group

    def watched(self: Any, *given: Any) -> Any:
        seen.append(torch.is_grad_enabled())
        return inside(self, *given)

    monkeypatch.setattr(type(optimizer), "_init_group", watched)
    optimizer.step()
    assert seen == [True, False]
    assert torch.is_grad_enabled()
    assert weight.requires_grad
    assert "torch._absent" not in sys.modules

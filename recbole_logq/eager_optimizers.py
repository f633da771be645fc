"""Torch's optimizers without torch's compiler, for as long as nothing is compiled. Torch only.

Torch 2.6 and later import ``torch._dynamo`` when an optimizer is made or takes a step, to keep both out of compiled
graphs. That costs four CPU seconds of every process that trains, most of them for sympy, and changes nothing where no
graph is compiled. Obsolete once torch looks before it imports.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch

_COMPILER = "torch._dynamo"
_DISABLED = "__dynamo_disable"
"""Where torch keeps what it calls in a function's place."""
_changed: set[type] = set()


def apply() -> None:
    """Let torch's optimizers import the compiler only where somebody else has (idempotent).

    An optimizer of a torch that does this in another way stays as it is.
    """
    optimizers: list[type] = [torch.optim.Optimizer, *torch.optim.Optimizer.__subclasses__()]
    for optimizer in optimizers:
        if optimizer.__module__.startswith("torch.optim.") and optimizer not in _changed:
            _changed.add(optimizer)
            for name, function in list(vars(optimizer).items()):
                _change(optimizer, name, function)


def _change(optimizer: type, name: str, function: Any) -> None:
    inner = getattr(function, "__wrapped__", None)
    if not isinstance(function, FunctionType) or not isinstance(inner, FunctionType):
        return
    if function.__code__.co_name == "_use_grad":
        setattr(optimizer, name, _step(function, inner))
    elif function.__module__ == inner.__module__ and _DISABLED in function.__code__.co_consts:
        setattr(inner, _DISABLED, _until_compiled(function, inner))


def _step(function: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(inner)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _COMPILER in sys.modules:
            return function(self, *args, **kwargs)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return inner(self, *args, **kwargs)

    return step


def _until_compiled(function: Callable[..., Any], inner: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if _COMPILER in sys.modules:
            delattr(inner, _DISABLED)  # torch puts its own there
            return function(*args, **kwargs)
        return inner(*args, **kwargs)

    return call

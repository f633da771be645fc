"""The non-linear part of a feed-forward layer ``outer(activation(inner(x)))``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class FeedForward(NamedTuple):
    """What stands between the two linear maps.

    Attributes:
        activation: Map from the output of the first layer to the input of the second one, ``inner_size`` wide.
        n_inputs: The first map is ``n_inputs * inner_size`` wide.
    """

    activation: Callable[[Tensor], Tensor]
    n_inputs: int = 1


def swiglu(gate_and_value: Tensor) -> Tensor:
    """``silu(x W1) * (x W2)`` from ``x [W1 W2]``, ``[..., 2 * inner_size]`` to ``[..., inner_size]``.

    With the outer map it is ``(silu(x W1) * x W2) W3``: three matrices where the others have two (Shazeer, "GLU
    Variants Improve Transformer", 2020). Two thirds of their ``inner_size`` have as many parameters. W1 and W2 are one
    matrix here, for one product.
    """
    gate, value = gate_and_value.chunk(2, -1)
    return F.silu(gate) * value


FEED_FORWARDS = {"gelu": FeedForward(F.gelu), "relu": FeedForward(F.relu), "swiglu": FeedForward(swiglu, n_inputs=2)}

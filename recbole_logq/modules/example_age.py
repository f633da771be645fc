"""How old a training example is, as a vector that is zero for the newest; torch only."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ExampleAge(nn.Module):
    """Ages to vectors: of an age x the numbers x, x^2 and sqrt(x), through a linear map without a constant.

    The age is an input of training alone (Covington et al., "Deep Neural Networks for YouTube Recommendations", RecSys
    2016, section 3.3); a request is of now, and 0 has the zero vector. The powers are those that section 4.1 adds to
    numbers.

    Args:
        size: Size of the vectors.
        std: Standard deviation of the vectors of age 1 at the start, roughly.
    """

    def __init__(self, size: int, std: float) -> None:
        super().__init__()
        self.linear = nn.Linear(3, size, bias=False)
        nn.init.normal_(self.linear.weight, std=std * 3**-0.5)

    def forward(self, ages: Tensor) -> Tensor:
        """Vectors ``[rows, size]`` of ages from 0 to 1, ``[rows]``."""
        return self.linear(torch.stack((ages, ages.square(), ages.sqrt()), 1).to(self.linear.weight.dtype))

"""Problems that every loss is put to."""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor


@dataclass
class Problem:
    """Vectors, the scores that belong to them, and log-probabilities; float64."""

    query: Tensor
    positive: Tensor
    pool_vectors: Tensor
    terms: dict[str, Any] = field(default_factory=dict)

    def leaves(self):
        return [tensor.clone().requires_grad_() for tensor in (self.query, self.positive, self.pool_vectors)]

    def scores(self):
        """Score leaves: positive `[rows]` and negatives `[rows, pool]`."""
        positive = (self.query * self.positive).sum(1).detach().requires_grad_()
        return positive, (self.query @ self.pool_vectors.T).detach().requires_grad_()


@pytest.fixture
def make_problem():
    """Factory of problems; `log_q` and `excluded` choose the shapes "column"/"pair" and "default"/"row"/"pair"."""

    def make(seed=0, rows=7, pool=9, d=4, log_q="column", excluded="default", log_n="default", valid=True):
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        def log_probability(*shape):
            return torch.rand(*shape, generator=generator, dtype=torch.float64).mul(0.9).add(1e-4).log()

        terms = {"positive_log_q": log_probability(rows)}
        terms["negative_log_q"] = log_probability(pool) if log_q == "column" else log_probability(rows, pool)
        if excluded != "default":
            terms["excluded_log_q"] = log_probability(rows) if excluded == "row" else log_probability(rows, pool)
        if log_n != "default":
            kinds = {"scalar": 1.7, "tensor": torch.tensor(1.7), "row": normal(rows).abs()}
            terms["log_n"] = kinds[log_n]
        if valid:
            terms["valid"] = torch.rand(rows, pool, generator=generator) > 0.4
            terms["valid"][:, 0] = True
        return Problem(normal(rows, d), normal(rows, d), normal(pool, d), terms)

    return make

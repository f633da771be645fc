"""BPR against its definition, pair by pair."""

import torch
from torch.nn import functional

from recbole_logq.losses import get_loss


def test_mean_over_pairs():
    generator = torch.Generator().manual_seed(4)
    positive = torch.randn(5, generator=generator, dtype=torch.float64)
    negatives = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    valid = torch.rand(5, 8, generator=generator) > 0.3
    expected = [
        torch.stack([-functional.logsigmoid(positive[row] - s) for s in negatives[row][valid[row]]]).mean()
        for row in range(5)
    ]
    torch.testing.assert_close(
        get_loss("bpr")(positive, negatives, valid=valid), torch.stack(expected), rtol=1e-12, atol=0
    )


def test_only_differences_count():
    positive, negatives = torch.tensor([1.0, 2.0]), torch.tensor([[0.0, 3.0], [1.0, 2.0]])
    loss = get_loss("bpr")
    torch.testing.assert_close(loss(positive + 7, negatives + 7), loss(positive, negatives))

"""InfoNCE against torch's cross entropy with the positive as class 0."""

import torch
from torch.nn import functional

from recbole_logq.losses import get_loss


def test_cross_entropy_of_the_positive_among_the_pool():
    generator = torch.Generator().manual_seed(5)
    query, positive, pool = (functional.normalize(torch.randn(n, 4, generator=generator)) for n in (6, 6, 9))
    temperature = 0.1
    value = get_loss("infonce").from_vectors(query / temperature, positive, pool)
    logits = torch.cat([(query * positive).sum(1, keepdim=True), query @ pool.T], dim=1) / temperature
    torch.testing.assert_close(value, functional.cross_entropy(logits, torch.zeros(6).long(), reduction="none"))

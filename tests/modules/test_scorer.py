"""Scores and temperatures: fixed, learned, scheduled."""

import math

import pytest
import torch
import torch.nn.functional as F

from recbole_logq.losses import get_loss
from recbole_logq.modules.scorer import Scorer


def vectors(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(5, 4, generator=generator).double(), torch.randn(7, 4, generator=generator).double()


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_cosine_and_dot(temperature):
    query, items = vectors()
    dot, cosine = (Scorer(kind, temperature) for kind in ("dot", "cosine"))
    torch.testing.assert_close(dot.query(query) @ dot.item(items).T, query @ items.T / temperature)
    expected = F.cosine_similarity(query.unsqueeze(1), items.unsqueeze(0), dim=2) / temperature
    torch.testing.assert_close(cosine.query(query) @ cosine.item(items).T, expected)


def test_the_gradient_of_a_learned_temperature():
    """dL / d(1/T) = -s+ + E_p[s] on the scores before the temperature."""
    query, items = vectors()
    scorer, targets = Scorer("cosine", 0.2, "learned").double(), torch.tensor([0, 1, 2, 3, 4])
    prepared = scorer.item(items)
    get_loss("full_softmax").from_vectors(scorer.query(query), prepared[targets], prepared).mean().backward()
    raw = F.normalize(query, dim=1) @ prepared.T
    expected = (-raw[torch.arange(5), targets] + (torch.softmax(raw / 0.2, 1) * raw).sum(1)).mean()
    # The parameter is log(1/T), and d(1/T) / d log(1/T) = 1/T = 5.
    assert scorer.log_scale.grad.item() == pytest.approx(5 * expected.item(), rel=1e-6)
    assert scorer.temperature == pytest.approx(0.2)


def test_a_learned_scale_stays_below_100_and_can_come_back():
    scorer = Scorer("cosine", 0.011, "learned")
    with torch.no_grad():
        scorer.log_scale += 3
    scorer.after_step()
    assert scorer.temperature == pytest.approx(0.01)
    with torch.no_grad():
        scorer.log_scale -= 1000
    scorer.after_step()
    assert scorer.temperature == pytest.approx(1e4)
    scorer.query(torch.ones(1, 2)).sum().backward()
    assert scorer.log_scale.grad is not None
    assert scorer.log_scale.grad.item() != 0


def test_a_schedule_is_geometric_and_counts_applied_steps():
    scorer = Scorer("cosine", 0.8, "scheduled", 0.05, 4)
    seen = []
    for _ in range(6):
        scorer.query(torch.ones(1, 2))
        seen.append(scorer.temperature)
        scorer.after_step()
    assert seen == pytest.approx([0.8, 0.4, 0.2, 0.1, 0.05, 0.05])


def test_a_schedule_goes_on_after_a_checkpoint():
    first, second = (Scorer("cosine", 0.8, "scheduled", 0.05, 4) for _ in range(2))
    for _ in range(3):
        first.after_step()
    second.load_state_dict(first.state_dict())
    assert second.temperature == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("euclidean",), "similarity"),
        (("dot", 0.0), "temperature=0.0"),
        (("dot", math.nan), "temperature=nan"),
        (("dot", 1.0, "annealed"), "temperature_mode='annealed'"),
        (("dot", 0.001, "learned"), "starts at 0.01"),
        (("dot", 1.0, "scheduled"), "scheduled needs temperature_end"),
        (("dot", 1.0, "fixed", 0.1, 5), "temperature_mode=fixed"),
        (("dot", 1.0, "scheduled", -0.1, 5), "above 0"),
    ],
)
def test_impossible_temperatures(arguments, message):
    with pytest.raises(ValueError, match=message):
        Scorer(*arguments)

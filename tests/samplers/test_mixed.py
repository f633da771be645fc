"""Mixed negatives: how the pool is made, and the law that goes with it."""

import pytest
import torch
from scipy.stats import chisquare

from recbole_logq.samplers import get_sampler


def test_the_mixture_is_what_a_column_really_follows(counts, draw):
    sampler = get_sampler("mixed")(counts, count=40, seed=2, uniform_share=0.25)
    seen = torch.zeros(counts.n_items)
    pools = 4000
    for _ in range(pools):
        pool = sampler.sample(draw(30))
        assert int((pool.origin < 0).sum()) == 10
        seen += torch.bincount(pool.ids, minlength=counts.n_items)
    law = pool.log_q_of(torch.arange(counts.n_items))[1:].double().exp()
    p = counts.counts[1:].double() / counts.counts.sum()
    torch.testing.assert_close(law, (30 * p + 10 / 30) / 40, rtol=1e-5, atol=0)
    assert law.sum().item() == pytest.approx(1.0, abs=1e-5)
    assert chisquare(seen[1:].numpy(), (law / law.sum() * seen.sum()).numpy()).pvalue > 1e-4


def test_a_small_batch_gives_all_it_has_and_the_law_says_so(counts, draw):
    sampler = get_sampler("mixed")(counts, count=40, seed=2)
    pool = sampler.sample(draw(5))
    assert len(pool.ids) == 25
    p = counts.counts[1:].double() / counts.counts.sum()
    law = pool.log_q_of(torch.arange(1, counts.n_items)).double().exp()
    torch.testing.assert_close(law, (5 * p + 20 / 30) / 25, rtol=1e-5, atol=0)


def test_of_an_empty_batch_the_law_is_uniform(counts):
    pool = get_sampler("mixed")(counts, count=40, seed=2).sample(torch.tensor([], dtype=torch.int64))
    assert len(pool.ids) == 20
    assert (pool.origin == -1).all()
    law = pool.log_q_of(torch.arange(1, counts.n_items)).double().exp()
    torch.testing.assert_close(law, torch.full_like(law, 1 / 30), rtol=1e-5, atol=0)


def test_per_part(counts, draw):
    positives = draw(30)
    pool = get_sampler("mixed")(counts, count=20, seed=2, law="per_part").sample(positives)
    p = counts.counts.double() / counts.counts.sum()
    from_batch = pool.origin >= 0
    torch.testing.assert_close(pool.log_q[from_batch].double().exp(), p[pool.ids[from_batch]], rtol=1e-5, atol=0)
    assert torch.allclose(pool.log_q[~from_batch].exp(), torch.tensor(1 / 30))
    excluded = pool.terms(positives)["excluded_log_q"]
    assert excluded.shape == (30, 20)
    torch.testing.assert_close(
        excluded[:, from_batch].double().exp(), p[positives][:, None].expand(-1, 10), rtol=1e-5, atol=0
    )
    assert torch.allclose(excluded[:, ~from_batch].exp(), torch.tensor(1 / 30))


@pytest.mark.parametrize(("share", "uniform"), [(0.001, 1), (0.5, 5), (0.999, 9)])
def test_both_parts_are_always_there(counts, draw, share, uniform):
    pool = get_sampler("mixed")(counts, count=10, seed=0, uniform_share=share).sample(draw(30))
    assert int((pool.origin < 0).sum()) == uniform


@pytest.mark.parametrize(
    "options", [{"count": None}, {"count": 1}, {"uniform_share": 0.0}, {"uniform_share": 1.0}, {"law": "frequency"}]
)
def test_impossible_options(counts, options):
    with pytest.raises(ValueError, match="sampler 'mixed'"):
        get_sampler("mixed")(counts, **{"count": 10, "seed": 0, **options})

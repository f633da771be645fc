"""What every sampler must do; a new registry entry is tested by being there."""

import copy
import io

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.registry import samplers
from recbole_logq.samplers import Pool, get_sampler, valid_columns

pytestmark = pytest.mark.parametrize("name", samplers.names())


def stream(sampler, batches):
    return [sampler.sample(batch).ids.tolist() for batch in batches]


def test_says_what_it_is(name, build):
    sampler = build(name)
    assert sampler.name == name
    assert sampler.kind in ("draws", "inclusion", "catalogue")
    assert samplers.summary(name)
    sampler.after_step()


def test_pools_are_well_formed(name, build, draw, counts):
    sampler, positives = build(name), draw()
    pool = sampler.sample(positives)
    assert isinstance(pool, Pool)
    assert pool.kind == sampler.kind
    assert pool.ids.dtype == pool.origin.dtype == torch.int64
    assert len(pool.ids) == (counts.n_items - 1 if pool.kind == "catalogue" else 12)
    assert ((pool.ids >= 1) & (pool.ids < counts.n_items)).all()
    own = pool.origin >= 0
    assert torch.equal(pool.ids[own], positives[pool.origin[own]])
    if pool.kind != "draws":
        assert len(pool.ids.unique()) == len(pool.ids)
    assert torch.equal(sampler(positives).ids, sampler.sample(positives).ids) or pool.kind != "catalogue"


def test_log_q_describes_columns_and_positives_alike(name, build, draw):
    pool = build(name).sample(draw())
    if pool.kind == "catalogue":
        assert pool.log_q is None
        with pytest.raises(ValueError, match="nothing was drawn"):
            pool.log_q_of(pool.ids)
        return
    assert pool.log_q.dtype == torch.float32
    assert pool.log_q.isfinite().all()
    assert (pool.log_q <= 0).all()
    assert torch.equal(pool.log_q_of(pool.ids), pool.log_q)
    assert pool.log_q_of(pool.ids.view(3, 4)).shape == (3, 4)


def test_a_pool_fits_its_loss(name, build, draw):
    positives = draw()
    pool = build(name).sample(positives)
    for loss_name in ("full_softmax",) if pool.kind == "catalogue" else ("corrected_logq", "logq"):
        loss = get_loss(loss_name)
        vectors = torch.randn(31, 4)
        value = loss.from_vectors(
            torch.randn(40, 4),
            vectors[positives],
            vectors[pool.ids],
            valid=None
            if pool.kind == "catalogue"
            else lambda start, stop, hits=loss.hits: valid_columns(pool, positives, hits, start, stop),
            **pool.terms(positives),
        )
        assert value.isfinite().all()
        assert (value > 0).all()


def test_a_seed_gives_the_same_pools(name, build, draw):
    batches = [draw() for _ in range(4)]
    torch.manual_seed(1)
    first = stream(build(name, seed=5), batches)
    torch.manual_seed(2)  # the global generator is nobody's business
    assert stream(build(name, seed=5), batches) == first
    if name != "catalogue":
        assert stream(build(name, seed=6), batches) != first
        assert first[0] != first[1]


def test_sampling_leaves_the_global_generator_alone(name, build, draw):
    sampler, batch = build(name), draw()
    before = torch.get_rng_state()
    sampler.sample(batch)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_continues_the_stream(name, build, draw):
    batches = [draw() for _ in range(6)]
    sampler = build(name, seed=5)
    stream(sampler, batches[:3])
    file = io.BytesIO()
    torch.save(sampler.state_dict(), file)
    file.seek(0)
    resumed = build(name, seed=99)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    clone = copy.deepcopy(sampler)
    expected = stream(sampler, batches[3:])
    assert stream(resumed, batches[3:]) == expected
    assert stream(clone, batches[3:]) == expected


@pytest.mark.parametrize("count", [0, -1, 2.5, True, "12"])
def test_impossible_counts_are_refused(name, counts, count):
    with pytest.raises(ValueError, match=f"sampler '{name}'"):
        get_sampler(name)(counts, count=count, seed=0)

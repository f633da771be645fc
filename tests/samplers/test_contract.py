"""What every sampler must do; a new registry entry is tested by being there."""

import copy
import io

import pytest
import torch

from recbole_logq.models.combination import build_loss, why_not
from recbole_logq.models.step import losses_from_scores, losses_from_vectors
from recbole_logq.registry import losses, samplers
from recbole_logq.samplers import Pool, get_sampler, valid_columns

pytestmark = pytest.mark.parametrize("name", samplers.names())


def stream(take, sampler, batches):
    pools = []
    for batch in batches:
        pools.append(take(sampler, batch).ids.tolist())
        sampler.after_step()
    return pools


def test_says_what_it_is(name, build):
    sampler = build(name)
    assert sampler.name == name
    assert sampler.kind in ("draws", "inclusion", "catalogue", "observed")
    assert samplers.summary(name)
    sampler.after_step()


def test_pools_are_well_formed(name, take, build, draw, counts):
    sampler, positives = build(name), draw()
    pool = take(sampler, positives)
    assert isinstance(pool, Pool)
    assert pool.kind == sampler.kind
    assert pool.ids.dtype == pool.origin.dtype == torch.int64
    columns = {"catalogue": counts.n_items - 1, "xir": 2 * 12}  # the batch's and the cache's
    assert pool.ids.shape[-1] == columns.get(name, 12)
    assert pool.ids.shape[:-1] == ((len(positives),) if sampler.per_row else ())
    assert ((pool.ids >= 1) & (pool.ids < counts.n_items)).all()
    own = pool.origin >= 0
    assert torch.equal(pool.ids[own], positives[pool.origin[own]])
    if pool.kind in ("inclusion", "catalogue"):
        assert all(len(row.unique()) == len(row) for row in pool.ids.view(-1, pool.ids.shape[-1]))


def test_log_q_describes_columns_and_positives_alike(name, take, build, draw):
    pool = take(build(name), draw())
    if pool.kind in ("catalogue", "observed"):
        assert pool.log_q is None
        with pytest.raises(ValueError, match="nothing was drawn"):
            pool.log_q_of(pool.ids)
        return
    assert pool.log_q.dtype == torch.float32
    assert pool.log_q.isfinite().all()
    assert (pool.log_q <= 0).all()
    assert torch.equal(pool.log_q_of(pool.ids), pool.log_q)
    # Of a pool that each row has for itself, ids belong to rows.
    ids = pool.ids.unsqueeze(2) if pool.ids.dim() == 2 else pool.ids.view(3, -1)
    assert pool.log_q_of(ids).shape == ids.shape


def fitting(sampler):
    """All registered losses that go with a sampler."""
    built = [build_loss(name, 30, {}, 0) for name in losses.names()]
    return [loss for loss in built if why_not(loss, type(sampler)) is None]


def test_every_loss_that_fits_gives_a_finite_gradient(name, take, build, draw):
    sampler = build(name)
    fit = fitting(sampler)
    assert fit
    for loss in fit:
        positives = draw()
        pool = take(sampler, positives)
        vectors = torch.randn(31, 4, generator=torch.Generator().manual_seed(1))
        query = torch.randn(40, 4, generator=torch.Generator().manual_seed(2)).requires_grad_()
        hits = "catalogue" if pool.kind == "catalogue" else loss.hits
        further = {"positive_column": positives - 1} if loss.skips_rows else {}
        if pool.kind == "catalogue":
            value = loss.from_vectors(query, vectors[positives], vectors[pool.ids], **further)
        else:
            terms = pool.terms(positives, hits=hits)
            value = losses_from_vectors(loss, sampler, pool, query, vectors[positives], vectors[pool.ids], terms)
        assert value.isfinite().all()
        assert (value >= 0).all()
        assert (value > 0).any()
        value.sum().backward()
        assert query.grad.isfinite().all()
        assert query.grad.any()


def test_rows_with_nothing_but_their_positive_are_zero(name, take, build):
    """A batch of one item only: whatever comes from the batch is an accidental hit."""
    sampler = build(name)
    positives = torch.full((20,), 3)
    pool = take(sampler, positives)
    if pool.kind == "catalogue":
        return
    only = pool.ids == 3
    for loss in fitting(sampler):
        if loss.hits != "masked":
            continue
        scores = torch.randn(20, pool.ids.shape[-1], generator=torch.Generator().manual_seed(1)).requires_grad_()
        valid = valid_columns(pool, positives, "masked")
        assert torch.equal(~valid, only.expand_as(valid))
        terms = pool.terms(positives, hits="masked")
        value = losses_from_scores(loss, sampler, pool, torch.zeros(20), scores, terms)
        empty = ~valid.any(1)
        value.sum().backward()
        assert not value[empty].any()
        assert scores.grad.isfinite().all()
        assert not scores.grad[~valid].any()
        if name in ("in_batch", "in_batch_unique", "bir", "hard", "cross_batch", "cross_device", "streaming"):
            assert empty.all()


def test_a_seed_gives_the_same_pools(name, take, build, draw):
    batches = [draw() for _ in range(4)]
    torch.manual_seed(1)
    first = stream(take, build(name, seed=5), batches)
    torch.manual_seed(2)  # the global generator is nobody's business
    assert stream(take, build(name, seed=5), batches) == first
    if name != "catalogue":
        assert stream(take, build(name, seed=6), batches) != first
        assert first[0] != first[1]


def test_sampling_leaves_the_global_generator_alone(name, take, build, draw):
    sampler, batch = build(name), draw()
    before = torch.get_rng_state()
    take(sampler, batch)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_continues_the_stream(name, take, build, draw):
    batches = [draw() for _ in range(6)]
    sampler = build(name, seed=5)
    stream(take, sampler, batches[:3])
    file = io.BytesIO()
    torch.save(sampler.state_dict(), file)
    file.seek(0)
    resumed = build(name, seed=99)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    clone = copy.deepcopy(sampler)
    expected = stream(take, sampler, batches[3:])
    assert stream(take, resumed, batches[3:]) == expected
    assert stream(take, clone, batches[3:]) == expected


@pytest.mark.parametrize("count", [0, -1, 2.5, True, "12"])
def test_impossible_counts_are_refused(name, counts, count):
    with pytest.raises(ValueError, match=f"sampler '{name}'"):
        get_sampler(name)(counts, count=count, seed=0)

"""Which columns are negatives of which row."""

import pytest
import torch

from recbole_logq.samplers import Pool, any_column, get_sampler, mask_function, valid_columns

POSITIVES = torch.tensor([5, 7, 5, 9])


def make(ids, origin, kind="draws"):
    ids = torch.tensor(ids)
    log_q = None if kind == "catalogue" else torch.zeros(len(ids))
    return Pool(ids, kind, torch.tensor(origin), log_q=log_q, law=torch.zeros_like)


def test_masked_leaves_out_every_copy_of_the_positive():
    pool = make([5, 5, 9, 2], [0, 2, 3, -1])
    expected = [[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1], [1, 1, 0, 1]]
    assert valid_columns(pool, POSITIVES, "masked").int().tolist() == expected


def test_kept_leaves_out_the_own_column_only():
    """Rows 0 and 2 share item 5: each keeps the other's column."""
    pool = make([5, 5, 9, 2], [0, 2, 3, -1])
    expected = [[0, 1, 1, 1], [1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1]]
    assert valid_columns(pool, POSITIVES, "kept").int().tolist() == expected


@pytest.mark.parametrize("hits", ["masked", "kept"])
def test_among_distinct_ids_the_own_column_is_the_one_with_the_id(hits):
    pool = make([5, 7, 2], [-1, -1, -1], "inclusion")
    expected = [[0, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1]]
    assert valid_columns(pool, POSITIVES, hits).int().tolist() == expected


@pytest.mark.parametrize("name", ["in_batch", "in_batch_unique"])
@pytest.mark.parametrize("count", [None, 12])
def test_no_row_keeps_its_own_column_under_any_sampler(build, draw, name, count):
    positives = draw()
    pool = build(name, count=count).sample(positives)
    kept, masked = (valid_columns(pool, positives, hits) for hits in ("kept", "masked"))
    hits = pool.ids == positives.unsqueeze(1)
    assert torch.equal(masked, ~hits)
    in_pool = torch.isin(torch.arange(len(positives)), pool.origin) if name == "in_batch" else hits.any(dim=1)
    assert torch.equal((~kept).sum(1), in_pool.long())  # one column per row that has one in the pool, no more
    assert (hits | kept).all()


@pytest.mark.parametrize("hits", ["masked", "kept"])
def test_blocks_of_rows_are_rows_of_the_whole(hits):
    pool = make([5, 5, 9, 2], [0, 2, 3, -1])
    whole = valid_columns(pool, POSITIVES, hits)
    parts = [valid_columns(pool, POSITIVES, hits, start, stop) for start, stop in ((0, 1), (1, 3), (3, None))]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("hits", ["masked", "kept"])
def test_ids_above_2_to_24_are_told_apart(hits):
    """As float32, 2^24 + 1 is 2^24."""
    big = 2**24
    pool = make([big, big + 1, big + 2], [0, 1, -1])
    expected = [[0, 1, 1], [1, 0, 1]]
    assert valid_columns(pool, torch.tensor([big, big + 1]), hits).int().tolist() == expected


def test_a_catalogue_has_no_mask(counts):
    pool = get_sampler("catalogue")(counts, count=None, seed=0).sample(POSITIVES)
    assert valid_columns(pool, POSITIVES, "catalogue") is None


@pytest.mark.parametrize(("kind", "hits"), [("draws", "catalogue"), ("catalogue", "masked"), ("draws", "keep")])
def test_a_treatment_that_does_not_fit_is_refused(kind, hits):
    with pytest.raises(ValueError, match="does not fit a pool of kind"):
        valid_columns(make([1], [-1], kind), POSITIVES, hits)


@pytest.mark.parametrize("positives", [POSITIVES.float(), POSITIVES.int(), POSITIVES.view(2, 2)])
def test_ids_must_be_int64(positives):
    with pytest.raises(ValueError, match="int64"):
        valid_columns(make([1], [-1]), positives, "masked")


@pytest.mark.parametrize("block", [1, 3, 4, 100])
def test_rows_with_a_valid_column_whatever_the_block(block):
    mask = mask_function(make([5, 5], [0, 2]), POSITIVES, "masked")
    assert any_column(mask, len(POSITIVES), block).tolist() == [False, True, False, True]

"""A pool and what it tells a loss."""

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.samplers import Pool, valid_columns

IDS = torch.tensor([3, 1, 3])
ORIGIN = torch.tensor([0, 1, -1])
LAW = torch.tensor([-torch.inf, -1.0, -2.0, -3.0])


def make(kind="draws", **changes):
    arguments = {"ids": IDS, "kind": kind, "origin": ORIGIN, "log_q": LAW[IDS], "law": lambda ids: LAW[ids]}
    return Pool(**(arguments | changes))


def test_draws_leave_excluded_mass_and_n_to_the_loss():
    terms = make().terms(torch.tensor([2, 3]))
    assert terms["positive_log_q"].tolist() == [-2.0, -3.0]
    assert terms["negative_log_q"].tolist() == [-3.0, -1.0, -3.0]
    assert terms["excluded_log_q"] is None
    assert terms["log_n"] is None


def test_inclusion_probabilities_are_not_renormalised_nor_divided_by_n():
    terms = make("inclusion").terms(torch.tensor([2, 3]))
    assert terms["positive_log_q"].tolist() == [-2.0, -3.0]
    assert terms["negative_log_q"].tolist() == [-3.0, -1.0, -3.0]
    assert terms["excluded_log_q"].tolist() == [-torch.inf, -torch.inf]
    assert terms["log_n"] == 0.0


def test_a_catalogue_has_no_terms():
    assert not make("catalogue", log_q=None, law=None).terms(torch.tensor([2])).keys()


def test_terms_are_passed_on_by_name_and_hold_the_mask_when_asked_for_it():
    pool, positives = make(), torch.tensor([2, 3])
    told = dict(pool.terms(positives))
    assert set(told) == {"positive_log_q", "negative_log_q"}
    terms = pool.terms(positives, hits="masked")
    assert torch.equal(terms.mask("any", 0, 2, 3), valid_columns(pool, positives, "masked"))
    assert torch.equal(terms["valid"](1, 2), valid_columns(pool, positives, "masked")[1:])
    with pytest.raises(KeyError):
        terms["weights"]


def test_a_loss_takes_terms_as_a_whole_by_name_or_both():
    loss, pool, positives = get_loss("corrected_logq"), make(), torch.tensor([2, 3])
    scores = torch.zeros(2), torch.tensor([[0.5, -1.0, 0.5], [1.0, 2.0, 1.0]])
    terms = pool.terms(positives, hits="masked")
    whole = loss(*scores, terms)
    assert torch.equal(loss(*scores, **terms), whole)
    assert torch.equal(loss(*scores, pool.terms(positives), valid=valid_columns(pool, positives, "masked")), whole)
    assert not torch.equal(loss(*scores, terms, log_n=0.0), whole)
    with pytest.raises(TypeError, match="valid is given twice"):
        loss(*scores, terms, valid=torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(TypeError, match="weights"):
        loss(*scores, terms, weights=1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": IDS.float()}, "int64"),
        ({"ids": IDS.int()}, "int64"),
        ({"ids": IDS.view(1, 3)}, "int64"),
        ({"origin": ORIGIN[:2]}, "origin"),
        ({"log_q": None}, "log_q"),
        ({"log_q": torch.zeros(2)}, "log_q"),
        ({"law": None}, "log_q"),
        ({"kind": "draw"}, "unknown kind"),
    ],
    ids=str,
)
def test_parts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)

"""Which losses go with which treatment of accidental hits."""

import pytest

from recbole_logq.losses import check_pairing, get_loss
from recbole_logq.registry import losses


@pytest.mark.parametrize("name", losses.names())
def test_every_loss_goes_with_its_own_treatment(name):
    loss = losses.get(name)
    check_pairing(loss, loss.hits)


@pytest.mark.parametrize(
    ("name", "hits"),
    [
        ("full_softmax", "catalogue"),
        ("sampled_softmax", "masked"),
        ("logq", "kept"),
        ("logq_uncorrected_positive", "masked"),
        ("corrected_logq", "masked"),
    ],
)
def test_the_treatment_is_that_of_the_papers(name, hits):
    assert get_loss(name).hits == hits


@pytest.mark.parametrize(
    ("name", "hits", "reason"),
    [
        ("logq", "masked", "counts the positive as one of the pool's draws"),
        ("corrected_logq", "kept", "count it twice"),
        ("logq_uncorrected_positive", "kept", "count it twice"),
        ("sampled_softmax", "kept", "count it twice"),
    ],
)
def test_crossed_pairs_are_refused_with_the_reason_unless_asked_for(name, hits, reason):
    loss = losses.get(name)
    with pytest.raises(ValueError, match=reason) as error:
        check_pairing(loss, hits)
    assert name in str(error.value)
    check_pairing(loss, hits, allow_crossed=True)


@pytest.mark.parametrize("allow_crossed", [False, True])
def test_the_catalogue_and_samples_of_it_are_never_mixed(allow_crossed):
    for hits in ("masked", "kept"):
        with pytest.raises(ValueError, match="cannot take a sampled pool"):
            check_pairing(get_loss("full_softmax"), hits, allow_crossed)
    with pytest.raises(ValueError, match="use 'full_softmax'"):
        check_pairing(get_loss("corrected_logq"), "catalogue", allow_crossed)


def test_an_unknown_treatment_is_refused():
    with pytest.raises(ValueError, match="unknown treatment of accidental hits 'mask'"):
        check_pairing(get_loss("logq"), "mask")

"""The laboratory against answers that are known: its own oracle, theory, and crossed pairs."""

import itertools
import math

import pytest
import torch

from recbole_logq.errors import RequestError
from recbole_logq.lab.estimator import DEFAULT, Estimator
from recbole_logq.lab.measure import full_gradient, measure
from recbole_logq.lab.problem import World
from recbole_logq.lab.subject import Batch, Subject
from recbole_logq.models.combination import build_loss, why_not
from recbole_logq.probability import TargetCounts
from recbole_logq.registry import losses, samplers
from recbole_logq.samplers import UserItems


@pytest.fixture(scope="module")
def mid():
    return World(items=1000, zipf=1.0, stage="mid").subject(64)


def examine(name, subject, n, pools=64):
    return measure(Estimator.parse(name), subject, n, pools)


@pytest.mark.slow
def test_the_oracle_of_six_items():
    """Figures that were enumerated over all n-tuples of draws, by another program."""
    scores = torch.tensor([[1.0, 0.5, 0.0, -0.5, 2.0, 1.5]], dtype=torch.float64)
    counts = TargetCounts(torch.tensor([0, 40, 25, 15, 10, 6, 4]))

    def batches(_):
        generator = torch.Generator().manual_seed(7)
        while True:
            # Draws that survive the mask of the positive, item 5, so that n is what it says.
            law = counts.counts.double().index_fill(0, torch.tensor([5]), 0.0)
            yield Batch(torch.multinomial(law, 4, replacement=True, generator=generator), 4)

    subject = Subject("oracle", scores, torch.tensor([5]), counts, batches)
    assert subject.p_positive == pytest.approx(0.414085, abs=1e-6)
    for name, figure in (("CorrectedLogQ", 0.243577), ("InBatch", 0.393176)):
        found = examine(name, subject, 4, pools=4000)
        assert abs(found.squared_bias - figure**2) < 4 * found.bias_error
        assert found.bias_error < 0.01


def test_the_problem_is_the_one_that_figures_are_quoted_for(mid):
    assert mid.p_positive >= 0.05
    again = World(items=1000, zipf=1.0, stage="mid").subject(64)
    assert torch.equal(mid.scores, again.scores)
    assert torch.equal(mid.positives, again.positives)
    stages = [World(stage=stage).subject(64).p_positive for stage in ("early", "mid", "converged")]
    assert stages == sorted(stages)


def test_full_gradients_sum_to_zero_and_follow_the_mask(mid):
    gradient = full_gradient(mid)
    assert gradient.sum(dim=1).abs().max() < 1e-12
    users, history = torch.arange(64), UserItems(torch.arange(64), torch.full((64,), 3), 64)
    masked = Subject(mid.name, mid.scores, mid.positives, mid.counts, mid.batches, users, history)
    gradient = full_gradient(masked, "history")
    others = mid.positives != 3
    assert not gradient[others, 2].any()
    assert gradient.sum(dim=1).abs().max() < 1e-12


def test_head_mass(mid):
    assert examine("InBatch", mid, 1024).head_mass > 10
    assert examine("CorrectedLogQ", mid, 1024).head_mass == pytest.approx(1.0, abs=0.15)
    assert examine("corrected_logq+in_batch_unique:q=frequency", mid, 1024).head_mass < 0.2
    assert examine("corrected_logq+in_batch_unique", mid, 1024).head_mass == pytest.approx(1.0, abs=0.1)


@pytest.mark.slow
def test_corrected_logq_is_below_two_percent_with_many_negatives(mid):
    found = examine("CorrectedLogQ", mid, 16_384)
    assert math.sqrt(max(found.squared_bias + 2 * found.bias_error, 0.0)) < 0.02


# Every registered loss on every registered source: what claims consistency has to show it, whatever is added later.
PAIRS = [
    f"{loss}+{source}"
    for loss, source in itertools.product(losses.names(), samplers.names())
    if not losses.get(loss).over_catalogue
    and samplers.get(source).kind in ("draws", "inclusion")
    and not samplers.get(source).per_row
    and why_not(build_loss(loss, 1000, {}, 0), samplers.get(source)) is None
]
LEARNERS = {"streaming"}
"""Sources whose probabilities are moving averages: 1 / mean gap is above the mean of its inverse, some per cent."""


@pytest.mark.slow
@pytest.mark.parametrize("name", [pair for pair in PAIRS if Estimator.parse(pair).consistent])
def test_the_bias_of_what_claims_consistency_falls_with_n(name, mid):
    source = name.split("+")[1]
    few, many = examine(name, mid, 32), examine(name, mid, 2048)
    allowed = 0.1 if source in LEARNERS else 0.05
    assert few.squared_bias > 2 * few.bias_error  # something there that can fall
    assert math.sqrt(max(many.squared_bias - 2 * many.bias_error, 0.0)) < allowed
    assert many.squared_bias + 2 * many.bias_error < few.squared_bias / 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "MNSCorrectedLogQ:law=per_part",
        "CorrectedLogQ:mask=history",
        "CorrectedLogQ:mask=query",
        "StrataCorrectedLogQ:own=history",
        "LogQ:own=history",
    ],
)
def test_further_forms_fall_too(name, mid):
    # Two popular and two rare items that every user knows.
    known = torch.tensor([1, 2, 500, 900]).repeat(64)
    history = UserItems(torch.arange(64).repeat_interleave(4), known, 64)
    subject = Subject(mid.name, mid.scores, mid.positives, mid.counts, mid.batches, torch.arange(64), history)
    few, many = examine(name, subject, 32), examine(name, subject, 2048)
    assert many.squared_bias + 2 * many.bias_error < few.squared_bias / 20
    assert many.bias < 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "CorrectedLogQ:hits=kept",
        "LogQ:hits=masked",
        "InBatch",
        "BIR",
        "XIR",
        "logq_uncorrected_positive+in_batch",
        "corrected_logq+in_batch_unique:q=frequency",
    ],
)
def test_of_crossed_and_uncorrected_ones_it_does_not(name, mid):
    some, many = examine(name, mid, 256, pools=48), examine(name, mid, 4096, pools=48)
    assert many.squared_bias - 2 * many.bias_error > some.squared_bias / 3
    assert many.bias > 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        name
        for name in samplers.names()
        if samplers.get(name).kind in ("draws", "inclusion") and not samplers.get(name).per_row
    ],
)
def test_pools_hold_what_they_say(source, mid):
    """Stated against empirical Q by popularity, pools as independent units; four groups, four errors."""
    loss = "sampled_softmax" if samplers.get(source).resamples and source != "hard" else "corrected_logq"
    found = examine(f"{loss}+{source}", mid, 512, pools=400)
    allowed = 0.08 if source in LEARNERS else 0.0
    for ratio, error in found.q_fit:
        assert abs(ratio - 1) < 4 * error + 0.002 + allowed, found.q_fit
    assert max(error for _, error in found.q_fit) < 0.05


def test_a_wrong_q_is_seen(mid):
    """Guards the test above: the same pools, said to be drawn from something else."""
    estimator = Estimator.parse("CorrectedLogQ")
    counts = TargetCounts(
        mid.counts.counts.clamp_min(int(mid.counts.counts.max()) // 50).index_fill(0, torch.tensor([0]), 0)
    )
    wrong = Subject(mid.name, mid.scores, mid.positives, counts, mid.batches)
    found = measure(estimator, wrong, 512, 128)
    assert abs(found.q_fit[0][0] - 1) > 10 * found.q_fit[0][1]


def test_the_same_seed_gives_the_same_numbers(mid):
    one, two = (measure(Estimator.parse("XIR"), mid, 64, 16, seed=3) for _ in range(2))
    assert one == two
    assert one != measure(Estimator.parse("XIR"), mid, 64, 16, seed=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CorectedLogQ", "did you mean CorrectedLogQ"),
        ("corrected+in_batch", "no loss named 'corrected'"),
        ("corrected_logq+batch", "no sampler named 'batch'"),
        ("FullSoftmax", "estimators of the full softmax from drawn"),
        ("SCE", "estimators of the full softmax from drawn"),
        ("bpr+observed", "estimators of the full softmax from drawn"),
        ("LogQ:hits=some", "masked or kept"),
        ("LogQ:mask=history", "leave nothing to mask"),
        ("LogQ:mask=all", "target, query, history"),
        ("LogQ:q=guess", "frequency"),
        ("LogQ:alpha=2", "no option alpha"),
        ("LogQ:hits", "write hits=VALUE"),
        ("LogQ:window=left", "window=left: kept"),
        ("Uniform:window=kept", "no columns of a window"),
        ("LogQ:own=all", "window, history or none"),
        ("corrected_logq+bir", "second correction"),
        ("LearnedSystematic:rate=2", "rate must be between 0 and 1"),
    ],
)
def test_what_makes_no_estimator_is_refused(text, message):
    with pytest.raises(RequestError, match=message):
        Estimator.parse(text)


def test_the_default_list_can_be_read():
    assert len({Estimator.parse(name).name for name in DEFAULT}) == len(DEFAULT) >= 8


@pytest.mark.parametrize("arguments", [{"items": 5}, {"zipf": -1.0}, {"stage": "late"}], ids=str)
def test_impossible_worlds(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        World(**arguments)

"""The corrected loss against the form in which its paper writes it."""

import math

import pytest
import torch

from recbole_logq.losses import get_loss

SHAPES = [
    {},
    {"valid": False},
    {"log_q": "pair"},
    {"excluded": "row"},
    {"log_q": "pair", "excluded": "pair"},
    {"log_n": "scalar"},
    {"excluded": "row", "log_n": "row"},
]


def literal(positive, negatives, *, positive_log_q, negative_log_q, valid=None, excluded_log_q=None, log_n=None):
    """`w (LSE(s - log Q') - s+)` with a detached weight, written row by row with plain exponentials."""
    values, weights = [], []
    for row in range(len(positive)):
        columns = torch.arange(negatives.shape[1])
        if valid is not None:
            columns = columns[valid[row]]
        log_q = (negative_log_q if negative_log_q.dim() == 1 else negative_log_q[row])[columns]
        excluded = positive_log_q[row] if excluded_log_q is None else excluded_log_q[row]
        if excluded.dim() == 1:
            excluded = excluded[columns]
        q = log_q.exp() / (1 - excluded.exp())
        n = len(columns) if log_n is None else math.exp(log_n if isinstance(log_n, float) else log_n[row])
        terms = negatives[row, columns].exp() / q
        p_positive = positive[row].exp() / (positive[row].exp() + terms.sum() / n)
        weight = (1 - p_positive).detach()
        values.append(weight * (terms.sum().log() - positive[row]))
        weights.append(weight)
    return torch.stack(values), torch.stack(weights)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_gradient_and_weight_are_those_of_the_literal_form(make_problem, shapes, seed):
    loss, problem = get_loss("corrected_logq"), make_problem(seed=seed, **shapes)
    leaves = problem.scores()
    row_weights = torch.linspace(0.5, 2, 7, dtype=torch.float64)
    value = loss(*leaves, **problem.terms)
    reference, weight = literal(*leaves, **problem.terms)
    gradients = torch.autograd.grad((row_weights * value).sum(), leaves)
    expected = torch.autograd.grad((row_weights * reference).sum(), leaves)
    for gradient, expected_gradient in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(loss.weight_of(value), weight, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("margin", [25.0, 30.0, 36.0])
def test_the_gradient_does_not_saturate_early(margin):
    """softplus with torch's default threshold would return exactly 1 here."""
    positive = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    terms = {"positive_log_q": torch.tensor([-torch.inf]), "negative_log_q": torch.zeros(1)}
    get_loss("corrected_logq")(positive, torch.full((1, 1), margin, dtype=torch.float64), **terms).sum().backward()
    assert 1 + positive.grad.item() == pytest.approx(math.exp(-margin), rel=0.2)


def test_the_weight_is_detached_and_zero_without_negatives(make_problem):
    loss, problem = get_loss("corrected_logq"), make_problem()
    problem.terms["valid"][3] = False
    positive, negatives = problem.scores()
    weight = loss.weight_of(loss(positive, negatives, **problem.terms))
    assert not weight.requires_grad
    assert weight[3] == 0
    assert ((weight > 0) & (weight < 1)).sum() == 6


@pytest.mark.parametrize("form", ["row", "pair"])
@pytest.mark.parametrize("log_mass", [0.0, 1e-9])
def test_a_row_whose_whole_mass_is_excluded_is_zero(make_problem, form, log_mass):
    """Q+ -> 1, and a mass that rounding carried past 1."""
    loss, problem = get_loss("corrected_logq"), make_problem(excluded=form)
    problem.terms["excluded_log_q"][2] = log_mass
    for leaves, call in ((problem.scores(), loss), (problem.leaves(), loss.from_vectors)):
        value = call(*leaves, **problem.terms)
        gradients = torch.autograd.grad(value.sum(), leaves)
        assert value[2] == 0
        assert (value[[0, 1, 3, 4, 5, 6]] > 0).all()
        assert not gradients[0][2].any()
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_the_default_excluded_mass_is_the_positives(make_problem):
    loss, problem = get_loss("corrected_logq"), make_problem()
    leaves = problem.scores()
    value = loss(*leaves, **problem.terms)
    same = loss(*leaves, **problem.terms, excluded_log_q=problem.terms["positive_log_q"])
    none = loss(*leaves, **problem.terms, excluded_log_q=torch.full((7,), -torch.inf))
    torch.testing.assert_close(value, same, rtol=0, atol=0)
    assert (none > value).all()


def test_what_the_positive_leaves_may_be_at_hand(make_problem):
    loss, problem = get_loss("corrected_logq"), make_problem()
    leaves, log_rest = problem.scores(), torch.log1p(-problem.terms["positive_log_q"].double().exp())
    torch.testing.assert_close(loss(*leaves, **problem.terms, log_rest=log_rest), loss(*leaves, **problem.terms))
    # Of another mass than the positive's it says nothing.
    other = {**problem.terms, "excluded_log_q": torch.full((7,), -0.7)}
    assert torch.equal(loss(*leaves, **other, log_rest=log_rest), loss(*leaves, **other))


def test_with_an_excluded_mass_the_positives_log_q_is_not_needed(make_problem):
    loss, problem = get_loss("corrected_logq"), make_problem(excluded="row")
    leaves = problem.scores()
    value = loss(*leaves, **problem.terms)
    del problem.terms["positive_log_q"]
    torch.testing.assert_close(loss(*leaves, **problem.terms), value, rtol=0, atol=0)
    del problem.terms["excluded_log_q"]
    with pytest.raises(ValueError, match="'corrected_logq' needs positive_log_q"):
        loss(*leaves, **problem.terms)


def test_a_rare_and_a_dominant_positive_keep_their_precision():
    """log(1 - Q+) in float32, at Q+ = 1e-9 and at 1 - 1e-6."""
    mass = torch.tensor([1e-9, 1 - 1e-6], dtype=torch.float64)
    loss, negatives = get_loss("corrected_logq"), torch.zeros(2, 1)
    terms = {"negative_log_q": torch.zeros(1), "log_n": 0.0, "positive_log_q": mass.log()}
    value = loss(torch.zeros(2), negatives, **{k: v.float() if k != "log_n" else v for k, v in terms.items()})
    torch.testing.assert_close(value.double(), torch.log1p(1 - mass), rtol=1e-6, atol=1e-7)
    assert value[1] > 0


def test_log_n_of_an_empty_row_may_be_minus_infinity(make_problem):
    loss, problem = get_loss("corrected_logq"), make_problem()
    problem.terms["valid"][3] = False
    problem.terms["log_n"] = problem.terms["valid"].sum(1).double().log()
    leaves = problem.scores()
    value = loss(*leaves, **problem.terms)
    assert value[3] == 0
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(value.sum(), leaves))

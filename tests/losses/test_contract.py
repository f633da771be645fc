"""What every loss must do; a new registry entry is tested by being there."""

import itertools
from functools import partial

import pytest
import torch

from recbole_logq.losses import Loss, get_loss
from recbole_logq.losses.terms import Terms
from recbole_logq.registry import losses

OPTIONS = {
    "gbce": {"catalogue_size": 100},
    # One bucket that holds everything: what is chosen in larger problems is tested in test_sce.py.
    "sce": {"buckets": 1, "bucket_rows": 100, "bucket_items": 100},
}
"""Constructor options of losses that need some."""


def build(name):
    return get_loss(name, **OPTIONS.get(name, {}))


pytestmark = pytest.mark.parametrize("name", losses.names())


def gradients(value, leaves):
    return torch.autograd.grad(value.sum(), leaves)


def test_says_what_it_is(name):
    loss = build(name)
    assert isinstance(loss, Loss)
    assert loss.name == name
    assert loss.hits in ("masked", "kept", "catalogue")
    assert isinstance(loss.needs_log_q, bool)
    assert losses.summary(name)


@pytest.mark.parametrize("shift", [0.0, -5000.0])
@pytest.mark.parametrize("log_q", ["column", "pair"])
def test_masked_columns_change_nothing(name, make_problem, log_q, shift):
    """Also where all real scores are far below zero: whatever stands for a masked score must be lower still."""
    loss, problem = build(name), make_problem(log_q=log_q)
    positive, negatives = ((scores.detach() + shift).requires_grad_() for scores in problem.scores())
    value = loss(positive, negatives, **problem.terms)
    before = gradients(value, [positive, negatives])

    junk = torch.full((7, 3), 1e4, dtype=torch.float64)
    wide = torch.cat([negatives.detach(), junk], dim=1).requires_grad_()
    junk_log_q = torch.full((3,) if log_q == "column" else (7, 3), -500.0, dtype=torch.float64)
    terms = problem.terms | {
        "valid": torch.cat([problem.terms["valid"], torch.zeros(7, 3, dtype=torch.bool)], dim=1),
        "negative_log_q": torch.cat([problem.terms["negative_log_q"], junk_log_q], dim=-1),
    }
    padded = loss(positive, wide, **terms)
    after = gradients(padded, [positive, wide])
    torch.testing.assert_close(padded, value, rtol=1e-12, atol=0)
    torch.testing.assert_close(after[0], before[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(after[1][:, :9], before[1], rtol=1e-12, atol=0)
    assert not after[1][:, 9:].any()


def test_masking_a_real_column_changes_something(name, make_problem):
    """Guards the test above: a loss that ignored its mask and its columns would pass it."""
    loss, problem = build(name), make_problem()
    positive, negatives = problem.scores()
    fewer = problem.terms | {"valid": problem.terms["valid"].clone()}
    fewer["valid"][:, 0] = False
    value, changed = loss(positive, negatives, **problem.terms), loss(positive, negatives, **fewer)
    assert (value != changed).all()


@pytest.mark.parametrize("form", ["scores", "vectors", "blocks"])
def test_rows_without_negatives_are_exactly_zero(name, make_problem, form):
    loss, problem = build(name), make_problem()
    problem.terms["valid"][[1, 4]] = False
    if form == "scores":
        leaves = problem.scores()
        value = loss(*leaves, **problem.terms)
    else:
        leaves = problem.leaves()
        if form == "vectors":
            value = loss.from_vectors(*leaves, **problem.terms, block_rows=3)
        else:
            value = Loss.vector_form(loss, *leaves, Terms(**problem.terms), 3)
    grads = gradients(value, leaves)
    assert value[[1, 4]].tolist() == [0.0, 0.0]
    for gradient in grads[:2]:
        assert not gradient[[1, 4]].any()
    assert all(gradient.isfinite().all() for gradient in grads)
    rest = [0, 2, 3, 5, 6]
    assert (value[rest] > 0).all() if loss.hits != "catalogue" else value[rest].all()


def test_an_empty_pool_and_an_empty_batch_are_zero(name):
    loss = build(name)
    for rows, pool in ((3, 0), (0, 4), (0, 0)):
        terms = {"positive_log_q": -torch.ones(rows), "negative_log_q": -torch.ones(pool)}
        leaves = [torch.ones(rows, 2), torch.ones(rows, 2), torch.ones(pool, 2)]
        query = leaves[0].requires_grad_()
        value = loss.from_vectors(*leaves, **terms)
        assert value.tolist() == [0.0] * rows
        value.sum().backward()
        assert not query.grad.any()
        value = loss(torch.ones(rows), torch.ones(rows, pool), **terms)
        assert value.tolist() == [0.0] * rows


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("form", ["scores", "vectors"])
def test_half_precision_is_computed_in_float32(name, dtype, form):
    """Scores of +-800 are within the range of both half types; their exponentials are in no type's range."""
    loss = build(name)
    axis = torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    pool = torch.tensor([[800.0], [-800.0], [1.0], [799.0]])
    positive = torch.tensor([[800.0], [800.0], [-800.0], [0.0]])
    log_q = {
        "positive_log_q": torch.tensor([-2.0, -1.0, -3.0, -2.0]),
        "negative_log_q": torch.tensor([-1.0, -2, -3, -4]),
    }
    log_q = {key: value.to(dtype) for key, value in log_q.items()}

    def evaluate(kind):
        if form == "vectors":
            leaves = [tensor.to(dtype).to(kind).requires_grad_() for tensor in (axis, positive, pool)]
            value = loss.from_vectors(*leaves, **log_q)
        else:
            leaves = [t.to(dtype).to(kind).requires_grad_() for t in ((axis * positive).sum(1), axis @ pool.T)]
            value = loss(*leaves, **log_q)
        return value, gradients(value, leaves)

    value, grads = evaluate(dtype)
    exact, exact_grads = evaluate(torch.float64)
    assert value.dtype == torch.float32
    assert exact.dtype == torch.float64
    torch.testing.assert_close(value.double(), exact, rtol=1e-5, atol=1e-4)  # float32 resolves 800 to 6e-5
    for gradient, exact_gradient in zip(grads, exact_grads, strict=True):
        assert gradient.dtype == dtype
        # 6e-5 in a logit is 6e-5 in its probability, times a vector of 800.
        torch.testing.assert_close(gradient.double(), exact_gradient, rtol=1e-2, atol=5e-2)


SHAPES = [
    {"log_q": "column"},
    {"log_q": "pair"},
    {"excluded": "row"},
    {"excluded": "pair"},
    {"log_q": "pair", "excluded": "pair", "log_n": "row"},
    {"log_n": "scalar"},
    {"log_n": "tensor"},
    {"log_n": "row"},
    {"valid": False},
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_vectors_give_what_their_scores_give(name, make_problem, shapes):
    loss, problem = build(name), make_problem(seed=1, **shapes)
    weights = torch.linspace(0.5, 2, 7, dtype=torch.float64)  # rows may be weighted: a sum would hide mixed-up rows
    left = problem.leaves()
    expected = loss((left[0] * left[1]).sum(1), left[0] @ left[2].T, **problem.terms)
    expected_gradients = gradients(weights * expected, left)
    for form, block_rows in itertools.product(["own", "function", "blocks"], [1, 3, 7, 1024]):
        right, terms = problem.leaves(), dict(problem.terms)
        if form == "function" and "valid" in terms:
            terms["valid"] = lambda start, stop: problem.terms["valid"][start:stop]
        if form == "blocks":
            value = Loss.vector_form(loss, *right, Terms(**terms), block_rows)
        else:
            value = loss.from_vectors(*right, **terms, block_rows=block_rows)
        which = partial("{}, {} rows a block: {}".format, form, block_rows)
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12, msg=which)
        for gradient, expected_gradient in zip(gradients(weights * value, right), expected_gradients, strict=True):
            torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-12, msg=which)


def test_gradient_check(name, make_problem):
    loss, problem = build(name), make_problem(rows=3, pool=5, d=2)
    problem.terms["valid"][2] = False
    assert torch.autograd.gradcheck(lambda *leaves: loss.from_vectors(*leaves, **problem.terms), problem.leaves())


@pytest.mark.parametrize("needed", [(True, False, False), (False, False, True), (False, True, False)])
def test_gradients_are_optional(name, make_problem, needed):
    loss, problem = build(name), make_problem()
    leaves = problem.leaves()
    full = gradients(loss.from_vectors(*leaves, **problem.terms), leaves)
    some = [leaf.detach().requires_grad_(need) for leaf, need in zip(leaves, needed, strict=True)]
    loss.from_vectors(*some, **problem.terms).sum().backward()
    for leaf, need, expected in zip(some, needed, full, strict=True):
        if need:
            torch.testing.assert_close(leaf.grad, expected)
        else:
            assert leaf.grad is None


def test_autocast_does_not_lower_the_precision(name, make_problem):
    loss, problem = build(name), make_problem(d=64)
    left, right = ([leaf.detach().float().mul(5).requires_grad_() for leaf in problem.leaves()] for _ in range(2))
    expected = loss.from_vectors(*left, **problem.terms)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss.from_vectors(*right, **problem.terms)
        grads = gradients(value, right)
        scores = loss(*(score.detach().float() for score in problem.scores()), **problem.terms)
    assert value.dtype == scores.dtype == torch.float32
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-4)
    for gradient, expected_gradient in zip(grads, gradients(expected, left), strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-4, atol=1e-4)


def test_the_order_of_columns_and_rows_does_not_matter(name, make_problem):
    loss, problem = build(name), make_problem(log_q="pair")
    positive, negatives = problem.scores()
    value = loss(positive, negatives, **problem.terms)
    rows, columns = torch.randperm(7), torch.randperm(9)
    shuffled = loss(
        positive[rows],
        negatives[rows][:, columns],
        positive_log_q=problem.terms["positive_log_q"][rows],
        negative_log_q=problem.terms["negative_log_q"][rows][:, columns],
        valid=problem.terms["valid"][rows][:, columns],
    )
    torch.testing.assert_close(shuffled, value[rows], rtol=1e-12, atol=1e-12)


def test_missing_log_q_is_named(name):
    loss = build(name)
    positive, negatives = torch.zeros(2), torch.zeros(2, 3)
    if not loss.needs_log_q:
        assert loss(positive, negatives).shape == (2,)
        return
    with pytest.raises(ValueError, match=f"loss '{name}' needs negative_log_q"):
        loss(positive, negatives, positive_log_q=torch.zeros(2))
    with pytest.raises(ValueError, match=f"loss '{name}' needs"):
        loss.from_vectors(torch.zeros(2, 1), torch.zeros(2, 1), torch.zeros(3, 1))


def test_no_gradient_into_the_pools_law(name, make_problem):
    loss, problem = build(name), make_problem()
    problem.terms["negative_log_q"].requires_grad_()
    positive, negatives = problem.scores()
    loss(positive, negatives, **problem.terms).sum().backward()
    assert problem.terms["negative_log_q"].grad is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positive": torch.zeros(2, 1)}, "expected positive"),
        ({"negatives": torch.zeros(3, 3)}, "expected positive"),
        ({"positive_log_q": torch.zeros(3)}, "positive_log_q"),
        ({"positive_log_q": torch.zeros(())}, "positive_log_q"),
        ({"negative_log_q": torch.zeros(2)}, "negative_log_q"),
        ({"negative_log_q": torch.zeros(3, 2)}, "negative_log_q"),
        ({"valid": torch.ones(3, dtype=torch.bool)}, "valid"),
        ({"valid": torch.ones(2, 3)}, "bool"),
        ({"excluded_log_q": torch.zeros(3)}, "excluded_log_q"),
        ({"log_n": torch.zeros(2, 3)}, "log_n"),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused(name, change, message):
    arguments = {"positive": torch.zeros(2), "negatives": torch.zeros(2, 3), **change}
    positive, negatives = arguments.pop("positive"), arguments.pop("negatives")
    with pytest.raises(ValueError, match=message) as error:
        build(name)(positive, negatives, **arguments)
    assert name in str(error.value)


def test_vector_shapes_that_do_not_fit_are_refused(name):
    loss = build(name)
    for shapes in (((2, 3), (2, 4), (5, 3)), ((2, 3), (2, 3), (5, 4)), ((2,), (2,), (5, 3)), ((2, 3), (4, 3), (5, 3))):
        with pytest.raises(ValueError, match=f"loss '{name}'"):
            loss.from_vectors(*(torch.zeros(shape) for shape in shapes))
    vectors = torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(5, 3)
    terms = {"positive_log_q": torch.zeros(2), "negative_log_q": torch.zeros(5)}
    with pytest.raises(ValueError, match="block_rows"):
        loss.from_vectors(*vectors, **terms, block_rows=0)
    with pytest.raises(ValueError, match="valid"):
        loss.from_vectors(*vectors, **terms, valid=lambda start, stop: torch.ones(1, 5, dtype=torch.bool))

"""Items scored for certain beside a pool: values, gradients and what is estimated, by enumeration.

Six items, every subset of them as the row's own, every pool of draws with its probability.
"""

import itertools
import math

import pytest
import torch

from recbole_logq.losses import get_loss, limits
from recbole_logq.losses.own_logsumexp import own_logsumexp
from recbole_logq.losses.set_layout import set_layout
from recbole_logq.samplers import Pool, shared_items

SCORES = torch.tensor([0.0, 1.0, 0.5, 0.0, -0.5, 2.0, 1.5], dtype=torch.float64)  # item 0 is padding
Q = torch.tensor([0.0, 0.40, 0.25, 0.15, 0.10, 0.06, 0.04], dtype=torch.float64)
POSITIVE, ITEMS = 5, range(1, 7)
OTHERS = [item for item in ITEMS if item != POSITIVE]
SUBSETS = [list(held) for size in range(1, 5) for held in itertools.combinations(OTHERS, size)]


def own_of(items, rows=1):
    """The sets of one user who has `items` beside the positive, in `rows` rows."""
    group = torch.zeros(rows, dtype=torch.int64)
    return shared_items(
        group, torch.full((rows,), POSITIVE), torch.zeros(len(items), dtype=torch.int64), torch.tensor(items)
    )


def draws(law, n):
    """Every sequence of n draws as a multiset, and its probability."""
    held = [item for item in ITEMS if law[item] > 0]
    for pool in itertools.combinations_with_replacement(held, n):
        times = math.factorial(n) / math.prod(math.factorial(pool.count(item)) for item in set(pool))
        yield torch.tensor(pool), times * float(law[list(pool)].prod())


def loss_of(name, pool, own, scores, hits, **changes):
    """The loss of one row through pool, mask and terms."""
    own_scores = scores[[item for item in own.pair_item.tolist() if item != POSITIVE]]
    certain = own_scores.logsumexp(0, keepdim=True)
    terms = pool.terms(torch.tensor([POSITIVE]), hits=hits, own=own, certain=certain)
    return get_loss(name)(scores[[POSITIVE]], scores[pool.ids].unsqueeze(0), terms, **changes)


def by_hand(name, ids, own, scores, log_q, kind):
    """The same from the formulas of the docstrings."""
    left = [item for item in ids.tolist() if item not in own and (item != POSITIVE or name == "logq")]
    z_own, positive = scores[own].exp().sum(), scores[POSITIVE].exp()
    if name == "sampled_softmax":
        return torch.log((positive + z_own + sum(scores[i].exp() for i in left)) / positive)
    if kind == "inclusion":
        return torch.log((positive + z_own + sum((scores[i] - log_q[i]).exp() for i in left)) / positive)
    law = log_q.exp()
    if name == "corrected_logq":
        rest = 1 - law[POSITIVE] - law[own].sum()
        z_rest = sum(scores[i].exp() * rest / law[i] for i in left) / len(left) if left else 0.0
        return torch.log((positive + z_own + z_rest) / positive)
    rest = 1 - law[own].sum()
    drawn = positive * rest / law[POSITIVE]
    z_rest = sum(scores[i].exp() * rest / law[i] for i in left)
    return torch.log((drawn + (len(left) + 1) * z_own + z_rest) / drawn)


@pytest.mark.parametrize(
    ("name", "hits", "kind"),
    [
        ("corrected_logq", "masked", "draws"),
        ("corrected_logq", "masked", "inclusion"),
        ("logq", "kept", "draws"),
        ("sampled_softmax", "masked", "draws"),
    ],
)
def test_value_and_gradient_are_the_formulas(name, hits, kind):
    """Over every set of own items and every pool, those that hold own items and the positive among them."""
    pools = list(draws(Q, 3)) if kind == "draws" else [(torch.tensor(held), 1.0) for held in [*SUBSETS[::3], [5, 6]]]
    for items in SUBSETS[::4]:
        own = own_of(items)
        for ids, _ in pools[::3]:
            log_q = Q.log()
            pool = Pool(ids, kind, torch.full_like(ids, -1), log_q=log_q[ids], law=lambda wanted: Q.log()[wanted])
            left, right = SCORES.clone().requires_grad_(), SCORES.clone().requires_grad_()
            value = loss_of(name, pool, own, left, hits).squeeze(0)
            expected = by_hand(name, ids, items, right, log_q, kind)
            assert value.item() == pytest.approx(expected.item(), abs=1e-10)
            gradients = [torch.autograd.grad(loss, leaf)[0] for loss, leaf in ((value, left), (expected, right))]
            torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n", [1, 3])
def test_corrected_estimates_the_partition_function_without_bias_whatever_is_own(n):
    """e^loss - 1 is the estimate of (Z - e^s+) / e^s+, its expectation over draws from Q' exact."""
    z = SCORES[list(ITEMS)].exp().sum().item()
    for items in SUBSETS[:: 1 if n == 1 else 4]:
        law = Q.clone()
        law[[POSITIVE, *items]] = 0
        law = law / law.sum()
        found = 0.0
        for ids, probability in draws(law, n):
            pool = Pool(ids, "draws", torch.full_like(ids, -1), log_q=Q.log()[ids], law=lambda wanted: Q.log()[wanted])
            found += probability * torch.expm1(loss_of("corrected_logq", pool, own_of(items), SCORES, "masked")).item()
        assert found == pytest.approx(z / SCORES[POSITIVE].exp().item() - 1, rel=1e-10)


@pytest.mark.parametrize("n", [1, 3])
def test_logq_estimates_so_many_times_the_partition_function_with_the_positive_a_draw(n):
    """Given the positive: n (Z - Z_own) + (n + 1) Z_own over e^s+, in units of the positive's own weight."""
    for items in SUBSETS[::5]:
        law = Q.clone()
        law[items] = 0
        law = law / law.sum()
        z_own = SCORES[items].exp().sum().item()
        z_rest = SCORES[list(ITEMS)].exp().sum().item() - z_own
        found = 0.0
        for ids, probability in draws(law, n):
            pool = Pool(ids, "draws", torch.full_like(ids, -1), log_q=Q.log()[ids], law=lambda wanted: Q.log()[wanted])
            found += probability * torch.expm1(loss_of("logq", pool, own_of(items), SCORES, "kept")).item()
        weight = law[POSITIVE].item() / SCORES[POSITIVE].exp().item()
        assert found == pytest.approx(((n + 1) * z_own + n * z_rest) * weight, rel=1e-10)


def test_distinct_pools_estimate_it_without_bias_too():
    """Horvitz-Thompson: every subset of the catalogue, each item in it independently with its own pi."""
    pi = torch.tensor([0.0, 0.9, 0.8, 0.5, 0.3, 0.6, 0.2], dtype=torch.float64)
    z = SCORES[list(ITEMS)].exp().sum().item()
    for items in SUBSETS[::6]:
        found = 0.0
        for held in itertools.product([False, True], repeat=6):
            ids = torch.tensor([item for item, kept in zip(ITEMS, held, strict=True) if kept], dtype=torch.int64)
            probability = math.prod(
                float(pi[item]) if kept else 1 - float(pi[item]) for item, kept in zip(ITEMS, held, strict=True)
            )
            pool = Pool(ids, "inclusion", torch.full_like(ids, -1), log_q=pi.log()[ids], law=lambda ids: pi.log()[ids])
            found += probability * torch.expm1(loss_of("corrected_logq", pool, own_of(items), SCORES, "masked")).item()
        assert found == pytest.approx(z / SCORES[POSITIVE].exp().item() - 1, rel=1e-10)


def test_a_pool_that_holds_nothing_else_leaves_the_own_items():
    """Everything is own: the mass that is excluded is 1, and the loss is the exact one."""
    own, scores = own_of(OTHERS), SCORES.clone().requires_grad_()
    ids = torch.tensor([1, 1, POSITIVE])
    law = Q.float().log()  # sums past 1 in single precision
    pool = Pool(ids, "draws", torch.full_like(ids, -1), log_q=law[ids], law=lambda wanted: law[wanted])
    for name, hits in (("corrected_logq", "masked"), ("sampled_softmax", "masked")):
        value = loss_of(name, pool, own, scores, hits)
        assert value.item() == pytest.approx((SCORES[1:].logsumexp(0) - SCORES[POSITIVE]).item(), rel=1e-6)
        gradient = torch.autograd.grad(value.sum(), scores)[0]
        torch.testing.assert_close(
            gradient[OTHERS], SCORES[1:].softmax(0)[[i - 1 for i in OTHERS]], rtol=1e-6, atol=1e-9
        )


def test_a_loss_without_a_place_for_them_says_so():
    for name in ("bce", "bpr", "full_softmax", "logq_uncorrected_positive"):
        with pytest.raises(ValueError, match="no place for items"):
            get_loss(name)(torch.zeros(2), torch.zeros(2, 3), certain=torch.zeros(2))
    with pytest.raises(ValueError, match="certain has shape"):
        get_loss("corrected_logq")(torch.zeros(2), torch.zeros(2, 3), certain=torch.zeros(3))


@pytest.mark.parametrize("elements", [1, 40, 10**6])
@pytest.mark.parametrize("whole_matrix", [1, 2**26])
def test_the_block_diagonal_is_the_logsumexp_row_by_row(monkeypatch, elements, whole_matrix):
    """Sets of all sizes, one that no row has, one that has nothing but its rows' own item, rows in any order."""
    monkeypatch.setattr(limits, "WHOLE_MATRIX", whole_matrix)
    generator = torch.Generator().manual_seed(elements)
    row_set = torch.cat([torch.randint(0, 6, (20,), generator=generator), torch.tensor([7])])
    own = torch.cat([torch.randint(1, 15, (20,), generator=generator), torch.tensor([3])])
    further = torch.randint(0, 7, (25,), generator=generator)  # set 6 has items and no rows
    pairs = torch.cat([row_set * 15 + own, further * 15 + torch.randint(1, 15, (25,), generator=generator)]).unique()
    query = torch.randn(21, 4, generator=generator, dtype=torch.float64).requires_grad_()
    table = torch.randn(15, 4, generator=generator, dtype=torch.float64).requires_grad_()
    layout = set_layout(row_set, own, pairs // 15, pairs % 15, 8, elements)
    value = own_logsumexp(query, table[layout.items], layout)
    expected = []
    for row in range(21):
        items = [pair % 15 for pair in pairs.tolist() if pair // 15 == row_set[row] and pair % 15 != own[row]]
        expected.append((table[items] @ query[row]).logsumexp(0) if items else query.new_tensor(-1e30))
    expected = torch.stack(expected)
    assert value[20] == expected[20] == -1e30
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    weights = torch.linspace(0.5, 2, 21, dtype=torch.float64) * (expected > -1e29)
    found, wanted = (torch.autograd.grad((weights * lse).sum(), [query, table]) for lse in (value, expected))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)

"""Several targets of a row: windows' borders, what is drawn and what is certain, and losses by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from recbole_logq.losses import get_loss
from recbole_logq.models.rows import Rows
from recbole_logq.models.targets import Targets
from recbole_logq.samplers import Pool, target_items

WINDOWS = torch.tensor([2, 2, 2, 0, 1, 1])
ITEMS = torch.tensor([5, 3, 5, 3, 4, 4])
RATED = {"weight_field": "rating", "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]}}
LAST = {"split": {"LS": "valid_and_test"}, "order": "TO"}
ANYWHERE = {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "TO", "group_by": "none"}


def some_rows(**further: Any) -> Rows:
    query = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double()
    return Rows(query, ITEMS, n_units=3, users=WINDOWS, windows=WINDOWS, **further)


@pytest.mark.parametrize("sizes", [None, torch.tensor([1, 2, 3])])
def test_targets_end_with_their_window(sizes: Tensor | None) -> None:
    rows = some_rows(window_sizes=sizes, weights=torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    targets = Targets.of(rows, 2)
    pairs = targets.rows_of(rows)
    assert targets.row.tolist() == [0, 0, 1, 1, 2, 3, 4, 4, 5]
    assert pairs.positives.tolist() == [5, 3, 3, 5, 5, 3, 4, 4, 4]
    assert pairs.windows is not None
    assert pairs.windows.tolist() == [2, 2, 2, 2, 2, 0, 1, 1, 1]
    assert torch.equal(pairs.query, rows.query[targets.row])
    assert pairs.weights is not None
    assert pairs.weights.tolist() == [0.5, 1, 1, 1.5, 3, 4, 2.5, 3, 6]
    assert (pairs.rows_of_window is None) == (sizes is None)
    if pairs.rows_of_window is not None:
        assert pairs.rows_of_window.tolist() == [1, 3, 5]
    assert Targets.of(rows, 1).rows_of(rows).positives.tolist() == ITEMS.tolist()


def test_other_targets_count_once_and_the_pair_s_own_never() -> None:
    rows = some_rows()
    vectors = torch.randn(6, 3, generator=torch.Generator().manual_seed(1)).double()[ITEMS - 1].requires_grad_()
    targets = Targets.of(rows, 3)
    found = targets.others_logsumexp(rows.query, ITEMS, vectors)
    pairs = targets.rows_of(rows)
    for pair, (row, positive) in enumerate(zip(targets.row.tolist(), pairs.positives.tolist(), strict=True)):
        held = {int(i): at for at, i in enumerate(ITEMS) if row <= at < row + 3 and WINDOWS[at] == WINDOWS[row]}
        scores = [rows.query[row] @ vectors[at] for item, at in held.items() if item != positive]
        if scores:
            assert found[pair].item() == pytest.approx(torch.stack(scores).logsumexp(0).item(), abs=1e-12)
        else:
            assert found[pair] < -1e29
    found[found > -1e29].sum().backward()
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()


Q = torch.tensor([0.0, 0.40, 0.25, 0.15, 0.10, 0.06, 0.04], dtype=torch.float64)
SCORES = torch.tensor([0.0, 1.0, 0.5, 0.0, -0.5, 2.0, 1.5], dtype=torch.float64)


@pytest.mark.parametrize("name", ["corrected_logq", "logq"])
@pytest.mark.parametrize("held", [[5, 3], [5, 1, 3], [5, 5, 2]], ids=str)
def test_every_target_estimates_one_partition_function(name: str, held: list[int]) -> None:
    """Over every pool of three draws from the law without the row's targets: the full softmax's, for each of them."""
    row, positives = torch.zeros(len(held), dtype=torch.int64), torch.tensor(held)
    sets = target_items(row, positives, 1, 7)
    others = [sorted(set(held) - {item}) for item in held]
    certain = torch.stack([SCORES[items].logsumexp(0) for items in others])
    loss, z = get_loss(name), SCORES[1:].exp().sum().item()
    for pair, positive in enumerate(held):
        law = Q.clone()
        law[others[pair] + ([positive] if name == "corrected_logq" else [])] = 0
        law = law / law.sum()
        found = 0.0
        for drawn in itertools.product(torch.nonzero(law).flatten().tolist(), repeat=3):
            ids = torch.tensor(drawn)
            pool = Pool(ids, "draws", torch.full_like(ids, -1), log_q=Q.log()[ids], law=lambda wanted: Q.log()[wanted])
            terms = pool.terms(positives, hits=loss.hits, own=sets, certain=certain)
            value = loss(SCORES[positives], SCORES[ids].expand(len(held), -1), terms)[pair]
            found += math.prod(law[list(drawn)].tolist()) * math.expm1(value.item())
        if name == "corrected_logq":
            assert found == pytest.approx(z / SCORES[positive].exp().item() - 1, rel=1e-10)
        else:  # n (Z - Z others) + (n + 1) Z others, in units of the positive as one of the draws
            z_others = SCORES[others[pair]].exp().sum().item()
            unit = law[positive].item() / SCORES[positive].exp().item()
            assert found == pytest.approx((3 * (z - z_others) + 4 * z_others) * unit, rel=1e-10)


def loss_by_hand(network: Any, batch: Any, pool: Any, k: int, own: str, mask: str) -> Tensor:
    """Every pair of a row and a target, from the formulas."""
    rows = network.rows(batch)
    windows, positives = rows.windows.tolist(), rows.positives.tolist()
    scores = network.scorer.query(rows.query) @ network.item_vectors(None).T
    law = torch.cat([torch.zeros(1), pool.log_q_of(torch.arange(1, network.n_items)).double().exp()])
    brought = [windows[origin] if origin >= 0 else -1 for origin in pool.origin.tolist()]
    tokens = batch.packing.sequence.tolist()
    pairs = list(zip(batch["item_id_list"].tolist(), batch["item_id"].tolist(), strict=True))
    values, weights = [], []
    for row, window in enumerate(windows):
        targets = [at for at in range(row, min(row + k, len(windows))) if windows[at] == window]
        history = network.history.of(rows.users[row : row + 1])[1].tolist() if network.history is not None else []
        seen = [i for pair, of in zip(pairs, tokens, strict=True) if of == window for i in pair]
        if batch.real is not None:  # what lies between targets belongs to another split
            seen = [item for item, of in zip(positives, windows, strict=True) if of == window]
        certain = {"none": {positives[at] for at in targets}, "window": set(seen), "history": set(history)}[own]
        certain = set() if mask == "history" else certain
        gone = set(history) if mask == "history" else certain
        for at in targets:
            positive, total = positives[at], scores[row, positives[at]].exp()
            others, out = sorted(certain - {positive}), sorted(gone - {positive})
            kept = network.hits == "kept"
            left = [
                item
                for item, origin in zip(pool.ids.tolist(), brought, strict=True)
                if item not in out and origin != window and (kept or item != positive)
            ]
            rest = 1 - law[out].sum() - (0 if kept else law[positive])
            z, drawn = scores[row, others].exp().sum(), (scores[row, left].exp() * rest / law[left]).sum()
            if kept:
                unit = total * rest / law[positive]
                values.append(((unit + (len(left) + 1) * z + drawn) / unit).log())
            else:
                values.append(((total + z + drawn / len(left)) / total).log())
            weights.append((1.0 if rows.weights is None else rows.weights[at]) / len(targets))
    stacked = torch.tensor(weights).double()
    return (torch.stack(values) * stacked).sum() / stacked.sum()


@pytest.mark.parametrize(
    ("model", "own", "mask", "settings"),
    [
        ("SASRecCorrectedLogQ", "none", "target", {}),
        ("SASRecLogQ", "none", "target", RATED),
        ("SASRecMNSCorrectedLogQ", "window", "target", {"eval_args": LAST}),
        ("SASRecMNSLogQ", "window", "target", {"eval_args": ANYWHERE}),
        ("SASRecMNSCorrectedLogQ", "history", "target", {}),
        ("SASRecCorrectedLogQ", "none", "history", {"gradient_cache": 2}),
    ],
    ids=str,
)
def test_the_loss_is_that_of_every_target_by_hand(
    build: Callable[..., Any], model: str, own: str, mask: str, settings: dict[str, Any]
) -> None:
    further = {"negatives.own": own, "negatives.count": 24, "mask": mask, "multi_positive": 3, "dropout": 0.0}
    network, _, loaders = build(model, train_batch_size=7, **further, **settings)
    network = network.double().train()
    batch = next(iter(loaders[0]))
    state = network.sampler.generator.get_state()
    loss = network.calculate_loss(batch)
    network.sampler.generator.set_state(state)
    expected = loss_by_hand(network, batch, network.sample_pool(network.rows(batch)), 3, own, mask)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)  # log Q is single
    assert network.statistics.loss == pytest.approx(loss.item())
    leaves = [network.item_embedding.weight, *network.encoder.parameters()]
    for found, wanted in zip(torch.autograd.grad(loss, leaves), torch.autograd.grad(expected, leaves), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-8)


def test_a_pool_of_everything_has_the_full_softmax_s_loss(build: Callable[..., Any]) -> None:
    """The catalogue holds a row's other targets itself; distinct items, all of them with weight 1, are the same."""
    values = []
    everything = {"loss": "corrected_logq", "negatives": {"source": "systematic", "count": 10**6}}
    for model, settings in (("SASRecFullSoftmax", {}), ("SASRecSystematic", everything)):
        network, _, loaders = build(model, multi_positive=4, dropout=0.0, **settings)
        values.append(network.double().calculate_loss(next(iter(loaders[0]))).item())
    assert values[0] == pytest.approx(values[1], rel=1e-6)


@pytest.mark.parametrize("name", ["BCE", "BPR", "BIR", "CBNSCorrectedLogQ", "LearnedSystematic", "SCE"])
def test_other_sources_and_losses_learn(
    build: Callable[..., Any], losses_on_one_batch: Callable[..., list[float]], name: str
) -> None:
    network, _, loaders = build(f"SASRec{name}", multi_positive=3, dropout=0.0, train_batch_size=16)
    values = losses_on_one_batch(network, loaders[0], steps=8, learning_rate=0.02)
    assert values[-1] < 0.95 * values[0]


def test_several_pools_share_the_pairs(build: Callable[..., Any]) -> None:
    everything = {"source": "in_batch", "count": None}
    values = []
    for pools in (1, 3):
        network, _, loaders = build("SASRecLogQ", multi_positive=2, pools=pools, dropout=0.0, negatives=everything)
        values.append(network.double().calculate_loss(next(iter(loaders[0]))).item())
    assert values[0] == pytest.approx(values[1], rel=1e-6)

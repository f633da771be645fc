"""Own items inside whole models: the loss is that of every row by hand, however the step is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from recbole_logq.config import Config
from recbole_logq.data.dataset.histories import HISTORY
from recbole_logq.errors import RequestError
from recbole_logq.losses import limits
from recbole_logq.models.history_encoder import HistoryEncoder
from recbole_logq.registry import encoders

POOL = {"source": "mixed", "count": 24, "uniform_share": 0.5}
LAST = {"split": {"LS": "valid_and_test"}, "order": "TO"}
RATED = {"weight_field": "rating", "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]}}


class MeanOfHistory(HistoryEncoder):
    """The mean of all items before."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.items = torch.nn.Embedding(self.n_items, config["embedding_size"], padding_idx=0)
        self.build_retrieval(config, dataset)

    def item_vectors(self, ids: Any) -> torch.Tensor:
        return self.scorer.item(self.items.weight if ids is None else self.items(ids))

    def history_vectors(self, items: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.items(items).sum(1) / lengths[:, None]


def own_by_hand(network: Any, batch: Any, own: str) -> list[set[int]]:
    """The items of each row's user or window, its positive not among them."""
    rows = network.rows(batch)
    users, positives = rows.users.tolist(), rows.positives.tolist()
    if own == "history":
        items = [set(network.history.of(torch.tensor([user]))[1].tolist()) for user in users]
    elif isinstance(network, HistoryEncoder) or HISTORY in network.query_columns:
        column = HISTORY if HISTORY in network.query_columns else "item_id_list"
        items = [{item for item in row if item} for row in batch[column].tolist()]
    elif rows.windows is None:
        items = [{item for item, of in zip(positives, users, strict=True) if of == user} for user in users]
    else:
        windows, tokens = rows.windows.tolist(), batch.packing.sequence.tolist()
        inputs, targets = batch["item_id_list"].tolist(), batch["item_id"].tolist()
        items = [
            {i for pair, of in zip(zip(inputs, targets, strict=True), tokens, strict=True) if of == w for i in pair}
            for w in windows
        ]
    return [held - {positive} for held, positive in zip(items, positives, strict=True)]


def loss_by_hand(network: Any, batch: Any, pool: Any, own: str) -> torch.Tensor:
    """Corrected logQ with own items at weight 1, row by row."""
    rows = network.rows(batch)
    table = network.item_vectors(None)
    scores = network.scorer.query(rows.query) @ table.T
    law = pool.log_q_of(torch.arange(1, network.n_items)).double().exp()
    law = torch.cat([torch.zeros(1), law])
    values = []
    for row, held in enumerate(own_by_hand(network, batch, own)):
        positive = int(rows.positives[row])
        left = [item for item in pool.ids.tolist() if item not in held and item != positive]
        rest = 1 - law[[positive, *held]].sum()
        drawn = (scores[row, left] - law[left].log()).exp().sum() * rest / len(left)
        total = scores[row, positive].exp() + scores[row, list(held)].exp().sum() + drawn
        values.append(total.log() - scores[row, positive])
    weights = torch.ones(len(values)) if rows.weights is None else rows.weights
    return (torch.stack(values) * weights).sum() / weights.sum()


CASES = [
    ("SASRecMNSCorrectedLogQ", "window", {"dropout": 0.0, "train_batch_size": 9}),
    ("SASRecMNSCorrectedLogQ", "history", {"dropout": 0.0, "train_batch_size": 9, **RATED}),
    ("TwoTowerMNSCorrectedLogQ", "window", {"train_batch_size": 200, "mlp_sizes": [8], **RATED}),
    ("TwoTowerMNSCorrectedLogQ", "history", {"train_batch_size": 100}),
    ("TwoTowerMNSCorrectedLogQ", "window", {"train_batch_size": 64, "user_tower": "history", "max_history": 7}),
    ("MeanOfHistoryMNSCorrectedLogQ", "window", {"train_batch_size": 64}),
]


@pytest.mark.parametrize(("model", "own", "settings"), CASES)
def test_the_loss_is_that_of_every_row_by_hand_in_any_parts(
    own_code: Any, build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, model: str, own: str, settings: Any
) -> None:
    encoders.add("MeanOfHistory", MeanOfHistory, summary="of a test")
    network, _, loaders = build(model, negatives={**POOL, "own": own}, eval_args=LAST, **settings)
    network = network.double().train()
    batch = next(iter(loaders[0]))
    state = network.sampler.generator.get_state()

    def gradient(loss: torch.Tensor) -> torch.Tensor:
        network.zero_grad()
        loss.backward()
        grads = [p.grad for p in network.parameters() if p.grad is not None]
        return torch.cat([(grad.to_dense() if grad.is_sparse else grad).flatten() for grad in grads])

    def step() -> torch.Tensor:
        network.sampler.generator.set_state(state)
        return network.calculate_loss(batch)

    loss = step()
    network.sampler.generator.set_state(state)
    expected = loss_by_hand(network, batch, network.sample_pool(network.rows(batch)), own)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)  # log Q is single
    whole = gradient(loss)
    torch.testing.assert_close(whole, gradient(expected), rtol=1e-4, atol=1e-8)
    assert any(own_by_hand(network, batch, own))
    network.gradient_cache = 7
    monkeypatch.setattr(limits, "WHOLE_MATRIX", 500)  # scores block by block
    torch.testing.assert_close(gradient(step()), whole, rtol=1e-6, atol=1e-9)  # order of sums in single log Q


def test_several_pools_share_the_own_items(build: Callable[..., Any]) -> None:
    everything = {"source": "in_batch", "count": None, "own": "window"}
    for model in ("SASRecCorrectedLogQ", "SASRecLogQ", "TwoTowerLogQ"):
        network, _, loaders = build(model, dropout=0.0, negatives=everything)
        network.double()
        batch = next(iter(loaders[0]))
        values = []
        for network.pools in (1, 3):
            values.append(network.calculate_loss(batch).item())
        assert values[0] == pytest.approx(values[1], rel=1e-6)


@pytest.mark.parametrize(
    "name", ["CorrectedLogQ", "LogQ", "MNSLogQ", "InBatch", "BIR", "XIR", "CBNSCorrectedLogQ", "StreamingLogQ"]
)
@pytest.mark.parametrize("encoder", ["SASRec", "TwoTower"])
def test_every_source_and_form_learns_with_own_items(
    build: Callable[..., Any], losses_on_one_batch: Callable[..., list[float]], encoder: str, name: str
) -> None:
    network, _, loaders = build(encoder + name, **{"negatives.own": "window", "dropout": 0.0})
    values = losses_on_one_batch(network, loaders[0], steps=8, learning_rate=0.02)
    assert values[-1] < 0.95 * values[0]


def test_sparse_tables_have_the_gradient_of_dense_ones(build: Callable[..., Any]) -> None:
    grads = []
    for sparse in (True, False):
        network, _, loaders = build(
            "SASRecCorrectedLogQ", dropout=0.0, sparse_embeddings=sparse, **{"negatives.own": "window"}
        )
        network.calculate_loss(next(iter(loaders[0]))).backward()
        grad = network.item_embedding.weight.grad
        assert grad.is_sparse == sparse
        grads.append(grad.to_dense() if sparse else grad)
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-7)


def test_autocast_does_not_lower_the_precision_of_own_scores(build: Callable[..., Any]) -> None:
    network, _, loaders = build("TwoTowerCorrectedLogQ", temperature=0.01, **{"negatives.own": "history"})
    batch = next(iter(loaders[0]))
    state = network.sampler.generator.get_state()
    expected = network.calculate_loss(batch)
    network.sampler.generator.set_state(state)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert network.calculate_loss(batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_nothing_of_it_is_in_checkpoints_and_scores(build: Callable[..., Any]) -> None:
    networks = {}
    for own in ("none", "history"):
        networks[own], _, loaders = build("SASRecCorrectedLogQ", **{"negatives.own": own})
    plain, own = networks["none"].eval(), networks["history"].eval()
    assert plain.state_dict().keys() == own.state_dict().keys()
    rows = next(iter(loaders[2]))[0]
    assert torch.equal(plain.full_sort_predict(rows), own.full_sort_predict(rows))


def test_columns_of_the_own_window_are_no_negatives_without_a_stratum_either(build: Callable[..., Any]) -> None:
    network, _, loaders = build("SASRecCorrectedLogQ", negatives={"source": "in_batch", "count": None})
    rows = network.rows(next(iter(loaders[0])))
    part = next(network._with_pools(rows))
    mask = part.pool.terms(rows.positives, None, network.hits, rows.windows).mask(
        "", 0, len(rows.positives), len(part.pool.ids)
    )
    same = rows.windows[:, None] == rows.windows[part.pool.origin]
    assert same.sum() > len(rows.positives)
    assert torch.equal(mask, ~same & (rows.positives[:, None] != part.pool.ids))


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("SASRecFullSoftmax", {}, "in its catalogue"),
        ("SASRecSCE", {}, "in its catalogue"),
        ("SASRecGBCE", {}, "no estimate of a partition function"),
        ("TwoTowerBPR", {}, "no estimate of a partition function"),
        ("SASRecLogQ", {"loss": "logq_uncorrected_positive"}, "no estimate"),
        ("SASRecCorrectedLogQ", {"mask": "query"}, "or mask=history"),
        ("TwoTowerCorrectedLogQ", {"mask": "history", "negatives.own": "history"}, "set mask=target"),
        ("SASRecMNSLogQ", {"negatives.law": "per_part"}, "set law=mixture"),
        ("SASRecCorrectedLogQ", {"negatives.own": "windows"}, "negatives.own"),
    ],
)
def test_refused(model: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Config(model, "ml-100k", None, {"negatives.own": "window", **settings})


@pytest.mark.parametrize("nothing", ["none", None])
def test_nothing_can_be_asked_for(nothing: str | None) -> None:
    config = Config("SASRecLogQ", "ml-100k", None, {"negatives": {"source": "in_batch", "own": nothing}})
    assert config["negatives"] == {"source": "in_batch", "count": 256}

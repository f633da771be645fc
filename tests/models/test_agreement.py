"""calculate_loss, predict and full_sort_predict describe one and the same model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from recbole.data.interaction import Interaction

from recbole_logq.data.dataset.histories import HISTORY
from recbole_logq.models.resolve import own_models

SCORES = [{"similarity": "dot", "temperature": 1.0}, {"similarity": "cosine", "temperature": 0.1}]


@pytest.mark.parametrize("score", SCORES, ids=str)
@pytest.mark.parametrize("model", ["TwoTowerFullSoftmax", "SASRecFullSoftmax"])
def test_full_softmax_is_the_cross_entropy_of_full_sort_predict(
    build: Callable[..., Any], model: str, score: dict[str, Any]
) -> None:
    network, _, loaders = build(model, dropout=0.0, **score)
    rows = loaders[2]._dataset[torch.arange(len(loaders[2]._dataset))]
    network.eval()
    loss = network.calculate_loss(rows)
    scores = network.full_sort_predict(rows).view(len(rows), -1)[:, 1:]  # column 0 is padding
    expected = F.cross_entropy(scores, rows["item_id"] - 1)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("model", own_models())
def test_predict_is_full_sort_predict_at_the_item(build: Callable[..., Any], model: str) -> None:
    network, _, loaders = build(model)
    network.eval()
    rows = loaders[2]._dataset[torch.arange(len(loaders[2]._dataset))]
    if HISTORY in network.query_columns:  # which the loaders alone put there
        rows = next(iter(loaders[0]))
    everything = network.full_sort_predict(rows).view(len(rows), -1)
    assert everything.shape[1] == network.n_items
    picked = everything.gather(1, rows["item_id"][:, None]).flatten()
    torch.testing.assert_close(network.predict(rows), picked, rtol=1e-5, atol=1e-6)


def test_a_window_trains_like_the_rows_it_stands_for(build: Callable[..., Any]) -> None:
    network, _, loaders = build("SASRecFullSoftmax", dropout=0.0)
    data = loaders[0].dataset
    windows = next(iter(loaders[0]))
    # The same positions as separate rows: prefix of the window, then its target.
    sequences, lengths, targets, users = [], [], [], []
    longest = int(windows.packing.lengths.max())
    for place, position in enumerate(windows.packing.position.tolist()):
        history = windows["item_id_list"][place - position : place + 1]
        sequences.append(F.pad(history, (0, longest - position - 1)))
        lengths.append(position + 1)
        targets.append(int(windows["item_id"][place]))
        users.append(int(windows["user_id"][place]))
    rows = Interaction(
        {
            "item_id_list": torch.stack(sequences),
            data.item_list_length_field: torch.tensor(lengths),
            "item_id": torch.tensor(targets),
            "user_id": torch.tensor(users),
        }
    )
    network.eval()
    assert network.calculate_loss(windows).item() == pytest.approx(network.calculate_loss(rows).item(), rel=1e-5)


def test_padding_and_neighbours_do_not_change_a_score(build: Callable[..., Any]) -> None:
    network, _, loaders = build("SASRecCorrectedLogQ")
    network.eval()
    rows = loaders[2]._dataset[torch.arange(8)]
    together = network.full_sort_predict(rows).view(8, -1)
    for row in range(8):
        length = int(rows["item_length"][row])
        alone = {"item_id_list": rows["item_id_list"][row : row + 1, :length]}
        alone["item_length"] = rows["item_length"][row : row + 1]
        torch.testing.assert_close(network.full_sort_predict(Interaction(alone)), together[row], rtol=1e-4, atol=1e-6)


def test_evaluation_does_not_keep_stale_item_vectors(build: Callable[..., Any]) -> None:
    network, _, loaders = build("TwoTowerCorrectedLogQ")
    rows = loaders[2]._dataset[torch.arange(4)]
    network.eval()
    before = network.full_sort_predict(rows)
    network.train()
    with torch.no_grad():
        network.item_tower.embedding.weight.mul_(torch.rand_like(network.item_tower.embedding.weight))
    network.eval()
    assert not torch.allclose(before, network.full_sort_predict(rows))


def test_towers_that_are_plain_tables_are_matrix_factorisation(build: Callable[..., Any]) -> None:
    network, _, loaders = build("TwoTowerBPR", similarity="dot", temperature=1.0)
    network.eval()
    rows = loaders[2]._dataset[torch.arange(5)]
    users, items = network.user_tower.embedding.weight, network.item_tower.embedding.weight
    scores = network.full_sort_predict(rows).view(5, -1)
    torch.testing.assert_close(scores, (users @ items.T)[rows["user_id"]])

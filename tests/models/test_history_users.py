"""Two-tower models without a table of users, from training to a resumed and evaluated checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.data.interaction import Interaction

from recbole_logq import evaluate, run
from recbole_logq.data.dataset.histories import HISTORY
from recbole_logq.models.resolve import own_models
from recbole_logq.training import checkpoint

LAST = {"split": {"LS": "valid_and_test"}, "order": "TO"}
TEMPORAL = {"split": {"GTS": [0.8, 0.1, 0.1]}}
HISTORY_USERS = {"user_tower": "history", "eval_args": LAST}
TWO_TOWERS = [model for model in own_models() if model.startswith("TwoTower")]


@pytest.mark.parametrize("model", TWO_TOWERS)
def test_every_recipe_learns(
    build: Callable[..., Any], losses_on_one_batch: Callable[..., list[float]], model: str
) -> None:
    network, _, loaders = build(model, **HISTORY_USERS)
    values = losses_on_one_batch(network, loaders[0], learning_rate=0.02)
    assert values[-1] < 0.9 * values[0]
    assert not network.item_tower.embedding.weight[0].any()  # padding


def test_no_parameter_is_a_users(build: Callable[..., Any]) -> None:
    network, _, loaders = build("TwoTowerCorrectedLogQ", mlp_sizes=[32, 16], **HISTORY_USERS)
    assert not any(network.n_users in parameter.shape for parameter in network.parameters())
    tables = [name for name in network.state_dict() if name.endswith("embedding.weight")]
    assert tables == ["item_tower.embedding.weight"]
    # The first item of a user is trained on too: the vector of an empty history learns.
    network.calculate_loss(next(iter(loaders[0]))).backward()
    assert network.user_tower.empty.grad.any()


def test_scores_are_those_of_the_mean_of_the_history(build: Callable[..., Any]) -> None:
    network, _, loaders = build("TwoTowerCorrectedLogQ", **HISTORY_USERS)
    network.eval()
    rows = next(iter(loaders[2]))[0]
    scores = network.full_sort_predict(rows).view(len(rows), -1)
    table = network.item_tower.embedding.weight
    for row, history in enumerate(rows[HISTORY].tolist()):
        mean = torch.stack([table[item] for item in history if item]).mean(0)
        expected = torch.cosine_similarity(mean[None], table[1:], dim=1) / network.scorer.temperature
        torch.testing.assert_close(scores[row, 1:], expected, rtol=1e-4, atol=1e-5)
    targets = torch.arange(len(rows)) % (network.n_items - 1) + 1
    rows.update(Interaction({"item_id": targets}))
    torch.testing.assert_close(network.predict(rows), scores[torch.arange(len(rows)), targets])


def test_users_that_training_never_saw_have_vectors_of_their_own(
    write_dataset: Callable[..., Path], build: Callable[..., Any]
) -> None:
    """Users c and d come after the cut, with other histories; e comes with none and gets the learned vector."""
    trained = {"a": ["i1", "i2", "i3", "i4"], "b": ["i3", "i4", "i5", "i6"]}
    rows = [(user, item, float(time)) for user, items in trained.items() for time, item in enumerate(items)]
    rows += [("c", "i1", 20.0), ("c", "i2", 30.0), ("d", "i4", 20.0), ("d", "i3", 30.0), ("e", "i2", 30.0)]
    split = {"split": {"GTS": [10, 25]}, "unseen": "keep"}
    settings = {"data_path": str(write_dataset("cut", rows)), "topk": [2], "valid_metric": "MRR@2", "eval_args": split}
    network, _, loaders = build("TwoTowerCorrectedLogQ", **{**settings, "user_tower": "history"})
    network.eval()
    block, *_ = next(iter(loaders[2]))
    users = [str(loaders[2]._dataset.field2id_token["user_id"][user]) for user in block["user_id"].tolist()]
    assert users == ["c", "d", "e"]
    assert not set(block["user_id"].tolist()) & set(loaders[0].dataset.inter_feat["user_id"].tolist())
    scores = network.full_sort_predict(block).view(3, -1)[:, 1:]
    assert torch.isfinite(scores).all()
    assert all(not torch.allclose(scores[one], scores[other]) for one, other in ((0, 1), (0, 2), (1, 2)))
    query = network.scorer.query(network.user_tower.empty)
    torch.testing.assert_close(scores[2], network.item_vectors(None)[1:] @ query)


SETTINGS: dict[str, Any] = {"epochs": 3, "show_progress": False, "state": "WARNING", "train_batch_size": 256}
SETTINGS |= {"user_tower": "history", "max_history": 10, "learning_rate": 0.01}


class Killed(Exception):
    pass


@pytest.mark.parametrize("split", [LAST, {**TEMPORAL, "unseen": "keep"}], ids=str)
def test_a_resumed_run_ends_the_same_and_evaluate_reproduces_it(
    in_tmp: Path, ml100k_cut: Path, split: dict[str, Any]
) -> None:
    settings = {**SETTINGS, "data_path": str(ml100k_cut), "eval_args": split, "mask": "history", "dropout": 0.1}
    files: list[str] = []

    def stop(trainer: Any, _: Any) -> None:
        files.append(trainer.last_file)
        train_epoch = trainer._train_epoch

        def guarded(data: Any, epoch: int, **kwargs: Any) -> Any:
            if epoch == 1:
                raise Killed
            return train_epoch(data, epoch, **kwargs)

        trainer._train_epoch = guarded

    whole = run("TwoTowerCorrectedLogQ", "cut", config_dict=settings)
    with pytest.raises(Killed):
        run("TwoTowerCorrectedLogQ", "cut", config_dict=settings, callback=stop)
    resumed = run("TwoTowerCorrectedLogQ", "cut", config_dict=settings, resume=files[0])
    assert resumed["test_result"] == whole["test_result"]
    assert [row["train_loss"] for row in resumed["history"]] == [row["train_loss"] for row in whole["history"]]
    first, second = (checkpoint.load(result["checkpoint"])["state_dict"] for result in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first if isinstance(first[name], torch.Tensor))
    again = evaluate(resumed["checkpoint"], config_dict={"show_progress": False})
    assert again["same_protocol"]
    assert again["test_result"] == whole["test_result"]


@pytest.mark.slow
@pytest.mark.parametrize("split", [LAST, TEMPORAL], ids=str)
def test_a_mean_of_items_beats_random_ranking_three_times(in_tmp: Path, split: dict[str, Any]) -> None:
    """ml-100k has 1,682 items: a random list of ten holds one target with probability 0.006."""
    settings = {**SETTINGS, "eval_args": split, "epochs": 4, "train_batch_size": 2048}
    result = run("TwoTowerCorrectedLogQ", "ml-100k", config_dict=settings, saved=False)
    assert result["test_result"]["hit@10"] > 3 * 10 / 1682

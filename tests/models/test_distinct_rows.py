"""Rows that are the same are encoded once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.utils import init_seed

from recbole_logq.models.distinct_rows import distinct_rows
from recbole_logq.models.retrieval import RetrievalMixin
from recbole_logq.training.create import create_trainer


def test_rows_stand_for_all_that_are_the_same_to_the_last_bit() -> None:
    nan = float("nan")
    columns = [
        torch.tensor([3, 1, 3, 3, 3, 1]),
        torch.tensor([[1.0, nan], [0.0, nan], [1.0, nan], [1.0, 2.0], [1.0, nan], [-0.0, nan]]),
        torch.tensor([True, False, True, True, True, False]),
    ]
    chosen, place = distinct_rows(columns)
    assert len(chosen) == 4  # 0.0 and -0.0 differ
    assert place[0] == place[2] == place[4]
    for column in columns:
        torch.testing.assert_close(column[chosen][place], column, rtol=0, atol=0, equal_nan=True)
    assert [len(part) for part in distinct_rows([torch.empty(0).long()])] == [0, 0]


def predict_every_row(model: Any, interaction: Any) -> torch.Tensor:
    return torch.linalg.vecdot(model.queries(interaction), model.item_vectors(interaction[model.ITEM_ID]))


@pytest.mark.parametrize("split", [{"LS": "valid_and_test"}, {"RS": [0.8, 0.1, 0.1]}], ids=["one target", "several"])
@pytest.mark.parametrize("model", ["SASRecCorrectedLogQ", "TwoTowerCorrectedLogQ"])
def test_ranking_drawn_items_encodes_each_row_once(
    build: Callable[..., Any], in_tmp: Path, monkeypatch: pytest.MonkeyPatch, model: str, split: dict[str, Any]
) -> None:
    settings = {"eval_args": {"split": split, "mode": "uni100"}, "metric_decimal_place": 10, "show_progress": False}
    network, config, loaders = build(model, **settings)
    trainer = create_trainer(config, network.double())  # in single precision blocks of other sizes round differently
    trainer.eval_collector.data_collect(loaders[0])
    encoded: list[int] = []
    queries = RetrievalMixin.queries

    def counted(self: Any, interaction: Any) -> torch.Tensor:
        found = queries(self, interaction)
        encoded.append(len(found))
        return found

    monkeypatch.setattr(RetrievalMixin, "queries", counted)
    found, ways = {}, {"each row once": RetrievalMixin.predict, "every row": predict_every_row}
    for way, predict in ways.items():
        # RecBole puts scores into a float32 matrix.
        monkeypatch.setattr(RetrievalMixin, "predict", lambda *args, predict=predict: predict(*args).float())
        encoded.clear()
        init_seed(1, True)  # items are drawn from the global generator
        found[way] = trainer.evaluate(loaders[2], load_best_model=False), sum(encoded)
    tests = loaders[2]._dataset.inter_feat
    users = tests[config["USER_ID_FIELD"]]
    assert found["each row once"][0] == found["every row"][0]
    assert found["every row"][1] == 101 * len(users)
    assert found["each row once"][1] == len(users if model.startswith("SASRec") else users.unique())

"""The last days' popularity, by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, split_dataset
from recbole_logq.errors import RequestError

DAY = 86_400
START = 1_000_000_000
GTS: dict[str, Any] = {"split": {"GTS": [START + 100 * DAY, START + 110 * DAY]}, "order": "TO", "unseen": "keep"}
# user, item, day: a was popular long ago, b and c are of late, and the test has what training does not know.
ROWS = [(f"u{n}", "a", n) for n in range(6)] + [("u0", "c", 91), ("u1", "b", 85), ("u2", "b", 95), ("u3", "c", 99)]
ROWS += [("u4", "d", 70), ("u4", "a", 105), ("u5", "d", 105), ("u0", "d", 120), ("u1", "d", 121), ("u2", "d", 121)]


def scores(data_path: Path, **settings: Any) -> dict[str, float]:
    given = {"data_path": str(data_path), "topk": [2], "valid_metric": "MRR@2", "eval_args": GTS, **settings}
    config = Config("RecentPop", "log", None, given)
    parts = split_dataset(config, create_dataset(config))
    network = config.model_class(config, parts[0])
    tokens = parts[0].field2id_token["item_id"]
    found = network.full_sort_predict({"user_id": torch.tensor([1, 2])}).view(2, -1)
    assert torch.equal(found[0], found[1])
    ranked = {str(tokens[item]): float(found[0, item] * network.max_cnt) for item in range(1, len(tokens))}
    items = torch.arange(1, len(tokens))
    torch.testing.assert_close(network.predict({"item_id": items}), found[0, 1:])
    return ranked


@pytest.mark.parametrize("thousand", [1, 1000])
def test_it_counts_the_last_days_before_the_cut(write_dataset: Callable[..., Path], thousand: int) -> None:
    rows = [(user, item, float((START + day * DAY) * thousand)) for user, item, day in ROWS]
    cut = {**GTS, "split": {"GTS": [moment * thousand for moment in GTS["split"]["GTS"]]}}
    data_path = write_dataset("log", rows)
    # Training has a 6 times, b and c twice, d once; nothing after day 100 counts.
    found = scores(data_path, recent_days=10, eval_args=cut)
    assert found == pytest.approx({"a": 6 / 7, "b": 1 + 2 / 7, "c": 2 + 2 / 7, "d": 1 / 7})
    found = scores(data_path, recent_days=30, eval_args=cut)
    assert found == pytest.approx({"a": 6 / 7, "b": 2 + 2 / 7, "c": 2 + 2 / 7, "d": 1 + 1 / 7})


def test_days_that_are_not_known_are_refused(write_dataset: Callable[..., Path]) -> None:
    counted = [(user, item, float(day)) for user, item, day in ROWS]
    with pytest.raises(RequestError, match="day is not known in their unit"):
        scores(write_dataset("log", counted), eval_args={**GTS, "split": {"GTS": [100, 110]}})
    random_split = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO"}
    with pytest.raises(RequestError, match="RecentPop reads times, and log has no column moment"):
        scores(write_dataset("log", counted), eval_args=random_split, TIME_FIELD="moment")
    with pytest.raises(RequestError, match="recent_days=0"):
        scores(write_dataset("log", counted), recent_days=0)


def test_it_is_compared_like_any_model(in_tmp: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split = {"split": {"GTS": [0.8, 0.1, 0.1]}, "order": "TO", "unseen": "keep"}
    given = {"data_path": str(ml100k_cut), "eval_args": split, "show_progress": False, "filter_history": True}
    results = [
        run("RecentPop", "cut", config_dict={**given, "recent_days": days, "seed": 1}, saved=True) for days in (3, 300)
    ]
    assert results[0]["test_result"] != results[1]["test_result"]
    assert main(["evaluate", f"--checkpoint={results[0]['checkpoint']}"]) == 0
    assert "models" not in capsys.readouterr().err
    assert main(["models"]) == 0
    assert "RecentPop" in capsys.readouterr().out

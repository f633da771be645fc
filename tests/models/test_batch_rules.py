"""What batches can give: refused where it is impossible, said where it is not reached, and recorded as it was."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_logq import run
from recbole_logq.config import Config
from recbole_logq.errors import RequestError
from recbole_logq.experiment.evaluate import evaluate
from recbole_logq.training import checkpoint

QUIET: dict[str, Any] = {"epochs": 1, "show_progress": False, "state": "INFO", "MAX_ITEM_LIST_LENGTH": 10}


def said(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_a_count_that_the_batches_do_not_reach_is_said_once_and_recorded_as_it_was(
    in_tmp: Path, ml100k_cut: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**QUIET, "data_path": str(ml100k_cut), "epochs": 2, "train_batch_size": 8, "negatives.count": 80}
    result = run("SASRecCorrectedLogQ", "cut", config_dict=settings)  # a window may have 10 positions, and has fewer
    (line,) = [line for line in said(caplog, logging.WARNING) if "negatives.count" in line]
    had = result["negatives_per_step"]
    assert 8 < had < 80
    assert result["history"][-1]["negatives_per_step"] == had
    first = result["history"][0]["negatives_per_step"]
    assert f"negatives.count=80: a step has {first:.0f} positives on average" in line
    assert any(f"{first:.0f} negatives each" in line for line in said(caplog, logging.INFO))


def test_distinct_items_are_fewer_than_positives(
    in_tmp: Path, ml100k_cut: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**QUIET, "data_path": str(ml100k_cut), "train_batch_size": 128, "negatives.count": 120}
    result = run("TwoTowerCorrectedLogQ", "cut", config_dict={**settings, "negatives.source": "in_batch_unique"})
    (line,) = [line for line in said(caplog, logging.WARNING) if "negatives.count" in line]
    assert f"{result['negatives_per_step']:.0f} distinct items on average" in line


def test_a_default_that_a_small_batch_does_not_reach_is_no_warning(
    in_tmp: Path, ml100k_cut: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**QUIET, "data_path": str(ml100k_cut), "train_batch_size": 32}
    result = run("TwoTowerCorrectedLogQ", "cut", config_dict=settings)
    assert 28 < result["negatives_per_step"] <= 32
    assert not any("negatives.count" in line for line in said(caplog, logging.WARNING))
    assert any("negatives.count=256" in line for line in said(caplog, logging.INFO))


@pytest.mark.parametrize(
    ("model", "settings", "negatives"),
    [
        ("TwoTowerCorrectedLogQ", {"negatives.count": 40}, 40),
        ("TwoTowerMNS", {"negatives.count": 40}, 40),
        ("TwoTowerMNS", {"negatives.count": 400, "negatives.uniform_share": 0.9}, 400),
        ("TwoTowerMNS", {}, 192),  # 64 of the batch, where 128 were to be, and 128 uniform ones
        ("TwoTowerBIR", {"negatives.draws": 7}, 7),
        ("TwoTowerBIR", {}, 64),
        ("TwoTowerXIR", {"negatives.count": 40}, 40),
        ("TwoTowerCorrectedLogQ", {"negatives": {"source": "hard", "count": 40, "hard": 9}}, 49),
        ("TwoTowerUniform", {"negatives.count": 500}, 500),
        ("TwoTowerSCE", {"loss_options": {"bucket_items": 20}}, 20),
    ],
)
def test_the_number_of_negatives_is_the_true_one(
    build: Callable[..., Any], model: str, settings: dict[str, Any], negatives: int
) -> None:
    network, _, loaders = build(model, train_batch_size=64, **settings)
    network.calculate_loss(next(iter(loaders[0])))
    assert network.statistics.negatives == negatives


def test_a_bucket_has_no_more_items_than_there_are(build: Callable[..., Any]) -> None:
    network, _, loaders = build("TwoTowerSCE", loss_options={"bucket_items": 10**6})
    network.calculate_loss(next(iter(loaders[0])))
    assert network.statistics.negatives == network.n_items - 1


@pytest.mark.parametrize("how", [{"allow_crossed": True}, {"segment_field": "gender"}], ids=str)
def test_batches_in_the_order_of_the_file_are_a_warning_where_asked_for(
    in_tmp: Path, ml100k_cut: Path, caplog: pytest.LogCaptureFixture, how: dict[str, Any]
) -> None:
    settings = {**QUIET, "data_path": str(ml100k_cut), "shuffle": False, **how}
    settings |= {"load_col": {"inter": ["user_id", "item_id"], "user": ["user_id", "gender"]}}
    run("TwoTowerCorrectedLogQ", "cut", config_dict=settings)
    assert sum("shuffle=false with negatives.source=in_batch" in line for line in said(caplog, logging.WARNING)) == 1


def test_a_checkpoint_of_settings_that_are_refused_today_still_opens(in_tmp: Path, ml100k_cut: Path) -> None:
    result = run("TwoTowerCorrectedLogQ", "cut", config_dict={**QUIET, "data_path": str(ml100k_cut)})
    state = checkpoint.load(result["checkpoint"])
    before = {"shuffle": False, "NEG_PREFIX": "not_", "POSITION_FIELD": "place", "negatives": {"count": 9999}}
    state["given"] |= before
    state["config"] |= before | {"negatives": {"source": "in_batch", "count": 9999}}
    checkpoint.save(state, result["checkpoint"])
    assert evaluate(result["checkpoint"])["test_result"] == result["test_result"]
    with pytest.raises(RequestError, match="shuffle=false"):
        Config("TwoTowerCorrectedLogQ", "cut", None, {"shuffle": False})

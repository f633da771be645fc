"""Trained models of every kind of user encoder, exported."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_logq import run

LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO"}
FEATURES = {"item_features": ["class", "release_year"]}
CONTEXT = {"context_features": ["hour", "device"]}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "ids": ("TwoTowerLogQ", {"similarity": "dot"}),
    "history": ("TwoTowerLogQ", {"user_tower": "history", "max_history": 7, "eval_args": LEAVE_ONE_OUT}),
    "sasrec": ("SASRecLogQ", {"n_layers": 1}),
    "times": ("SASRecLogQ", {"n_layers": 1, "time": "both", "request_time": "known"}),
    "towers-times": (
        "TwoTowerLogQ",
        {
            "user_tower": "history",
            "history_pooling": "attention",
            "max_history": 7,
            "time": "both",
            "request_time": "known",
            "time_context": ["hour", "weekday"],
            "eval_args": LEAVE_ONE_OUT,
        },
    ),
    "features-ids": ("TwoTowerLogQ", {**FEATURES, "user_features": ["age", "occupation"], "mlp_sizes": [16]}),
    "features-history": (
        "TwoTowerLogQ",
        {
            **FEATURES,
            "user_features": ["age"],
            "user_tower": "history",
            "history_pooling": "attention",
            "max_history": 7,
            "eval_args": LEAVE_ONE_OUT,
        },
    ),
    "features-sasrec": ("SASRecLogQ", {**FEATURES, "n_layers": 1}),
    "context-ids": ("TwoTowerLogQ", CONTEXT),
    "context-history": (
        "TwoTowerLogQ",
        {**CONTEXT, "user_tower": "history", "max_history": 7, "eval_args": LEAVE_ONE_OUT},
    ),
}


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, ml100k_cut: Path, featured_cut: Path) -> Callable[[str], str]:
    """``checkpoint(name)`` trains one of :data:`MODELS` for two epochs, once."""
    made: dict[str, str] = {}

    def train(name: str) -> str:
        if name not in made:
            folder, before = tmp_path_factory.mktemp(name), Path.cwd()
            os.chdir(folder)  # a run writes where it stands
            try:
                model, settings = MODELS[name]
                data = featured_cut if "context_features" in settings else ml100k_cut
                settings = {"data_path": str(data), "epochs": 2, "show_progress": False, **settings}
                result = run(model, "cut", config_dict={**settings, "MAX_ITEM_LIST_LENGTH": 10, "embedding_size": 16})
            finally:
                os.chdir(before)
            made[name] = str(folder / result["checkpoint"])
        return made[name]

    return train


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint: Callable[[str], str]) -> Callable[[str], Path]:
    """``exported(name)`` is the folder of one of :data:`MODELS`, with the histories of its test; not to be changed."""
    from recbole_logq.serving.export import export

    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("export") / name
            export(checkpoint(name), made[name], history="valid")
        return made[name]

    return make

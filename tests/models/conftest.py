"""A built model with its loaders, on the cut of ml-100k."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.utils import init_seed

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset

Built = tuple[Any, Any, list[Any]]


@pytest.fixture
def build(ml100k_cut: Path) -> Callable[..., Built]:
    """``build(model, **settings)`` gives the model, its configuration and its three loaders."""

    def make(model: str, **settings: Any) -> Built:
        config = Config(model, "cut", None, {"data_path": str(ml100k_cut), "MAX_ITEM_LIST_LENGTH": 10, **settings})
        init_seed(config["seed"], True)
        dataset = create_dataset(config)
        parts = split_dataset(config, dataset)
        loaders = create_loaders(config, dataset, parts)
        return config.model_class(config, parts[0]), config, list(loaders)

    return make

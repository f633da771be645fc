"""Whether models would be tested on the same rows, averaged over the same units: read off the data, before training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from recbole_logq.data.dataset.observed_negatives import below, observed_field
from recbole_logq.data.dataset.protocol import protocol_of, require_common

_OF_ROWS = (
    *("data_path", "field_separator", "USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD"),
    *("val_interval", "user_inter_num_interval", "item_inter_num_interval", "filter_inter_by_user_or_item"),
    *("rm_dup_inter", "threshold", "RATING_FIELD", "eval_args", "grade_field", "recbole_order", "benchmark_filename"),
)
"""Settings that decide which rows a model is tested on; a split by itself is the same for all models of a kind."""


def check_common_rows(configs: Sequence[tuple[str, Any]]) -> None:
    """Refuse models that would be tested on other rows or averaged over other units, as two kinds of models may be.

    The data is prepared once for each kind of model, and not at all where there is one kind alone.

    Args:
        configs: Name and configuration of each model, all on one dataset.

    Raises:
        RequestError: The models are not tested on the same rows; the message names the difference and the setting that
            removes it.
        WorkError: The data cannot be read.
    """
    kinds: dict[str, tuple[str, Any]] = {}
    for name, config in configs:
        kinds.setdefault(_kind(config), (name, config))
    if len(kinds) > 1:
        require_common([_rows_of(name, config) for name, config in kinds.values()])


def _kind(config: Any) -> str:
    """The same for models that are tested on the same rows, whatever the data is."""
    from recbole.utils import ModelType

    general = config["MODEL_TYPE"] in {ModelType.GENERAL, ModelType.TRADITIONAL}
    facts = ["general" if general else config["MODEL_TYPE"], config["user_tower"] == "history"]
    # Items of the .item file alone are ranked where it is loaded, and what says no is no positive.
    loaded = config["load_col"]
    facts += [loaded is None or "item" in loaded]
    facts += [observed_field(config), below(config)] if observed_field(config) else []
    return json.dumps([str(fact) for fact in (*facts, *(config[key] for key in _OF_ROWS))])


def _rows_of(name: str, config: Any) -> dict[str, Any]:
    """What the result of a run will say of its test part."""
    from recbole.utils import init_seed

    from recbole_logq.data.dataset.fingerprint import split_fingerprint
    from recbole_logq.data.prepare import create_dataset, split_dataset

    config = deepcopy(config)  # preparation writes into it, and the caller goes on with it
    init_seed(config["seed"], config["reproducibility"])
    parts = split_dataset(config, create_dataset(config))
    facts = {"model": name, "dataset": config["dataset"], "seed": config["seed"]}
    return {**facts, "protocol": protocol_of(config, parts), "fingerprint": split_fingerprint(parts)}

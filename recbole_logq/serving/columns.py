"""What the exported encoder reads, column by column."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.serving.asked_file import COLUMNS
from recbole_logq.serving.context import some_contexts, type_of


def columns_of(network: Any, config: Any, data: Any) -> tuple[list[dict[str, str]], int | None]:
    """What the encoder reads, column by column, and how many items of a history it sees (None if it reads none).

    Args:
        network: The model.
        config: Its settings.
        data: The training part, which has the context.

    Raises:
        RequestError: A column of the context is called like one of the files that `recommend` reads.
    """
    from recbole_logq.data.histories import HISTORY, max_history

    holds = {network.USER_ID: "user", HISTORY: "history"}
    for attribute, meaning in (("ITEM_SEQ", "history"), ("ITEM_SEQ_LEN", "length")):
        if hasattr(network, attribute):
            holds[getattr(network, attribute)] = meaning
    columns = []
    for name in network.query_columns:
        if name in holds:
            columns.append({"name": name, "holds": holds[name]})
        elif name in COLUMNS:
            raise RequestError(f"context_features: {name} is what `recommend` calls a column of its own; rename it")
        else:
            columns.append({"name": name, "holds": "context", "type": type_of(data.inter_feat[name])})
    if all(column["holds"] != "history" for column in columns):
        return columns, None
    return columns, max_history(config) or int(config["MAX_ITEM_LIST_LENGTH"])


def random_rows(
    network: Any, columns: list[dict[str, str]], length: int | None, data: Any
) -> tuple[dict[str, Tensor], list[dict[str, Any]] | None]:
    """Three rows as the encoder reads them, an example of their types and shapes, and their contexts as requested.

    Args:
        network: The model.
        columns: Of :func:`columns_of`.
        length: Of a history.
        data: The training part, whose contexts are taken.
    """
    rows, generator = 3, torch.Generator().manual_seed(0)
    sizes = torch.randint(1, (length or 1) + 1, (rows,), generator=generator)
    ids = torch.randint(1, network.n_items, (rows, length or 1), generator=generator)
    requested = [column for column in columns if column["holds"] == "context"]
    context, given = some_contexts(data, requested, rows, generator)
    holds = {
        "user": torch.arange(rows) % max(getattr(network, "n_users", 2) - 1, 1) + 1,
        "history": ids * (torch.arange(length or 1) < sizes.unsqueeze(1)),
        "length": sizes,
    }
    return as_read(columns, holds, context), given


def as_read(columns: list[dict[str, str]], holds: dict[str, Tensor], context: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rows by the names of the columns, from what they hold."""
    return {
        column["name"]: context[column["name"]] if column["holds"] == "context" else holds[column["holds"]]
        for column in columns
    }

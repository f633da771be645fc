"""Items that came after training, from lines of a file like the ``.item`` file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.utils import FeatureType
from torch import Tensor

from recbole_logq.data.dataset.feature_columns import feature_names, text_hasher
from recbole_logq.data.source.atomic_file import NO_NUMBER
from recbole_logq.data.source.atomic_text import AtomicText
from recbole_logq.errors import RequestError


def read_new_items(file: str | Path, dataset: Any) -> tuple[list[str], list[Tensor]]:
    """Names and features of items.

    Args:
        file: Tab-separated like the ``.item`` file, with its header; the items may have any names.
        dataset: Dataset that the model was trained on, any part of it: it knows the numbers of tokens.

    Returns:
        The items' names, and one column for each of ``item_features`` and ``item_text``, as
        ``network.vectors_of_new_items`` takes them. Tokens that the dataset does not have count as none.

    Raises:
        RequestError: There is no such file, a feature is not among its columns or not what the dataset has, or a line
            has no item or one that another line has.
    """
    config, names = dataset.config, feature_names(dataset.config, "item_features")
    texts = feature_names(config, "item_text")
    if not Path(file).is_file():
        raise RequestError(f"item_features: {file} does not exist")
    lines = AtomicText(Path(file), config)
    types = lines.types
    for name in (*names, *texts):
        kind = dataset.field2type[name].value
        if types.get(name) != kind:
            raise RequestError(f"item_features: {file} must have the column {name}:{kind}, as in training")
    if dataset.iid_field not in types:
        raise RequestError(f"{file} has no column {dataset.iid_field}")
    # An item may be called NA or null, which pandas would take for nothing.
    table = pd.DataFrame(list(lines.rows()), columns=list(types), dtype=object)
    items = table[dataset.iid_field]
    if (items == "").any() or items.duplicated().any():
        wrong = "a line without an item" if (items == "").any() else f"{items[items.duplicated()].iloc[0]} twice"
        raise RequestError(f"{file} has {wrong}")
    hasher = text_hasher(config)
    try:
        columns = [_values(table[name], name, dataset) for name in names]
    except ValueError as error:
        raise RequestError(f"{file} has something else than numbers in a column of numbers: {error}") from error
    return items.tolist(), [*columns, *(hasher(table[name]) for name in texts)]


def _values(texts: pd.Series, name: str, dataset: Any) -> Tensor:
    kind = dataset.field2type[name]
    if kind == FeatureType.FLOAT:
        missing = texts.isin(NO_NUMBER)
        return torch.from_numpy(pd.to_numeric(texts.mask(missing, "nan")).to_numpy(np.float64))
    if kind == FeatureType.TOKEN:
        number = dataset.field2token_id[name]
        return torch.tensor([number.get(text, 0) for text in texts], dtype=torch.int64)
    rows = [[part for part in text.split(dataset.config["seq_separator"]) if part] for text in texts]
    if kind == FeatureType.TOKEN_SEQ:
        number = dataset.field2token_id[name]
        filled = torch.zeros(len(rows), max(map(len, rows), default=0), dtype=torch.int64)
        values_of_rows: list[Tensor] = [torch.tensor([number.get(part, 0) for part in row]) for row in rows]
    else:
        length = dataset.item_feat[name].shape[1]
        filled = torch.zeros(len(rows), length)
        values_of_rows = [torch.tensor([float(part) for part in row[:length]]) for row in rows]
    for row, values in zip(filled, values_of_rows, strict=True):
        row[: len(values)] = values
    return filled

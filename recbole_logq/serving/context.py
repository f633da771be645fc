"""What a request knows beside its user - the hour, the device - as the encoder reads it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest
from recbole_logq.numerals import as_number

Context = Mapping[str, Any]
"""Values by column: tokens, or numbers (also as text); None or no text where the value is not known."""

FLOATS = {"float32": torch.float32, "float64": torch.float64}
TOKEN = "token"
UNKNOWN = "(empty where it is not known)"


class ContextColumns:
    """The columns of requests that a model reads.

    Args:
        columns: ``name`` and ``type`` of each: :data:`TOKEN`, or one of :data:`FLOATS`.
        tokens: Original tokens of each column of tokens; the first has id 1.

    Raises:
        ValueError: A type is another.

    Attributes:
        columns: The argument ``columns``.
        types: Types of the columns by name.
    """

    def __init__(self, columns: Sequence[Mapping[str, str]], tokens: Mapping[str, Sequence[str]]) -> None:
        self.columns = columns
        self.types = {column["name"]: column["type"] for column in columns}
        if strange := set(self.types.values()) - {TOKEN, *FLOATS}:
            raise ValueError(f"columns of {strange}")
        self._ids = {
            name: {token: place for place, token in enumerate(tokens.get(name, ()), start=1)}
            for name, kind in self.types.items()
            if kind == TOKEN
        }

    def read(self, contexts: Sequence[Context] | None, rows: int) -> dict[str, Tensor]:
        """Columns of the encoder, ``[rows]`` each.

        A value that is not known is none of the tokens, or the mean of the numbers, as it is in training.

        Args:
            contexts: One a row, with a value for every column.
            rows: Number of rows.

        Raises:
            RequestError: The context is missing or one of another model, or a value is none that the model can read.
        """
        names = ", ".join(self.types)
        if not self.types:
            if contexts:
                raise RequestError("context: the model reads none, leave it out")
            return {}
        if contexts is None:
            example = ",".join(f"{name}=..." for name in self.types)
            raise RequestError(f'context: the model reads {names} of a request, set --context="{example}" or contexts=')
        if isinstance(contexts, Mapping) or not all(isinstance(context, Mapping) for context in contexts):
            raise RequestError("context: one mapping of names to values a row, in a list")
        if len(contexts) != rows:
            raise RequestError(f"context: {len(contexts)} contexts for {rows} rows, give one a row")
        for context in contexts:
            if strange := sorted(context.keys() - self.types.keys()):
                close = nearest(strange[0], set(self.types))
                raise RequestError(f"context: the model reads {names}, and no {strange[0]}{close}")
            if lacking := [name for name in self.types if name not in context]:
                raise RequestError(f"context: {lacking[0]} is missing, give it a value {UNKNOWN}")
        return {name: self._column(name, [context[name] for context in contexts]) for name in self.types}

    def _column(self, name: str, values: Sequence[Any]) -> Tensor:
        if self.types[name] == TOKEN:
            return torch.tensor([self._token(name, value) for value in values], dtype=torch.int64)
        dtype = FLOATS[self.types[name]]
        return torch.tensor([_number(name, value, torch.finfo(dtype).max) for value in values], dtype=dtype)

    def _token(self, name: str, value: Any) -> int:
        if value is None or value == "":
            return 0
        ids = self._ids[name]
        if (token_id := ids.get(str(value))) is None:
            close = nearest(str(value), set(ids)) if len(ids) < 50_000 else ""
            raise RequestError(f"context: {name}={value} is no token of the training{close} {UNKNOWN}")
        return token_id


def _number(name: str, value: Any, largest: float) -> float:
    if value is None or value == "":
        return math.nan
    try:
        number = math.nan if isinstance(as_number(value), str) else float(as_number(value))
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) <= largest:
        raise RequestError(f"context: {name}={value} is no number that the model can read {UNKNOWN}")
    return number


def type_of(values: Tensor) -> str:
    """The type of a column of the training part."""
    return str(values.dtype).removeprefix("torch.") if values.is_floating_point() else TOKEN


def tokens_of(dataset: Any, columns: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """The tokens that :class:`ContextColumns` takes."""
    names = [column["name"] for column in columns if column["type"] == TOKEN]
    return {name: [str(token) for token in dataset.field2id_token[name][1:]] for name in names}


def some_contexts(
    dataset: Any, columns: Sequence[Mapping[str, str]], rows: int, generator: torch.Generator
) -> tuple[dict[str, Tensor], list[dict[str, Any]] | None]:
    """Contexts of the training part, in any order, after one of which nothing is known.

    Returns:
        The columns as the model reads them, and the rows as a request gives them (None for a model without context).
    """
    if not columns:
        return {}, None
    places = torch.randint(0, len(dataset), (rows,), generator=generator)
    read = {column["name"]: dataset.inter_feat[column["name"]][places] for column in columns}
    for values in read.values():
        values[0] = math.nan if values.is_floating_point() else 0
    tokens = {name: [None, *known] for name, known in tokens_of(dataset, columns).items()}

    def value(name: str, cell: Any) -> Any:
        return tokens[name][cell] if name in tokens else None if math.isnan(cell) else cell

    cells = {name: [value(name, cell) for cell in values.tolist()] for name, values in read.items()}
    return read, [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]

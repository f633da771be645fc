"""Second histories of a folder's users and of visitors, as the encoder reads them; torch only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from recbole_logq.data.dataset.histories import last_items
from recbole_logq.data.dataset.second_histories import bucket_of
from recbole_logq.errors import RequestError
from recbole_logq.modules.text import TextHasher
from recbole_logq.nearest import nearest
from recbole_logq.serving.description import SecondColumn
from recbole_logq.serving.tensors import read_tensors
from recbole_logq.serving.tokens import split_tokens

Second = Mapping[str, Any]
"""What a visitor did, by second history: tokens, the latest last, or a text of them; what is not there is nothing."""


class SecondHistories:
    """Second histories.

    Args:
        columns: Second histories that the model reads.
        kept: Histories of the folder's users: offsets int64 ``[users + 1]`` and buckets int32 of each.
        length: Tokens that the encoder sees, the latest.

    Attributes:
        names: Names of the second histories.
    """

    def __init__(self, columns: Sequence[SecondColumn], kept: Sequence[tuple[Tensor, Tensor]], length: int) -> None:
        self.names = [column.name for column in columns]
        self._columns, self._kept, self._length = columns, kept, length
        self._hashers = [TextHasher(column.buckets, 1) for column in columns]

    def of_users(self, ids: Tensor) -> list[Tensor]:
        """Buckets of users, int64 ``[rows, length]`` each."""
        return [
            last_items(buckets, offsets[ids - 1], offsets[ids], self._length).long()
            if len(buckets)
            else torch.zeros(len(ids), self._length, dtype=torch.int64)
            for offsets, buckets in self._kept
        ]

    def of_visitors(self, rows: Sequence[Second] | None, n_rows: int) -> list[Tensor]:
        """The same of visitors.

        Args:
            rows: What each did; None for nothing.
            n_rows: Rows.

        Raises:
            RequestError: The model reads none of these, or a value holds no tokens.
        """
        if rows is not None and not self.names:
            raise RequestError("second: the model reads no second histories, leave it out")
        rows = [{}] * n_rows if rows is None else rows
        if isinstance(rows, Mapping) or not all(isinstance(row, Mapping) for row in rows):
            raise RequestError("second: one mapping of names to tokens a row, in a list")
        if len(rows) != n_rows:
            raise RequestError(f"second: {len(rows)} for {n_rows} rows, give one mapping a row")
        for row in rows:
            if strange := sorted(map(str, row.keys() - set(self.names))):
                close = nearest(strange[0], set(self.names))
                raise RequestError(f"second: the model reads {', '.join(self.names)}, and no {strange[0]}{close}")
        return [
            self._bags(column, hasher, [row.get(column.name) for row in rows])
            for column, hasher in zip(self._columns, self._hashers, strict=True)
        ]

    def _bags(self, column: SecondColumn, hasher: TextHasher, values: list[Any]) -> Tensor:
        filled = torch.zeros(len(values), self._length, dtype=torch.int64)
        for row, value in zip(filled, values, strict=True):
            tokens = [bucket_of(hasher, token) for token in self._tokens(column, value)[-self._length :]]
            row[: len(tokens)] = torch.tensor(tokens, dtype=torch.int64)
        return filled

    @staticmethod
    def _tokens(column: SecondColumn, value: Any) -> list[str]:
        if value is None:
            return []
        if isinstance(value, str):
            return value.split() if column.several else split_tokens(value)
        if not isinstance(value, Sequence) or not all(isinstance(token, str) for token in value):
            raise RequestError(f"second: {column.name}={value!r}: a list of tokens, the latest last, or a text of them")
        return [word for token in value for word in (token.split() if column.several else [token])]


def read_second(file: Path, columns: Sequence[SecondColumn], n_users: int) -> list[tuple[Tensor, Tensor]]:
    """The second histories of a folder's users, as :func:`second_tensors` has them.

    Raises:
        RequestError: The file is damaged, or holds what does not belong there.
    """
    expected = {}
    for column in columns:
        expected[f"{column.name}.offsets"] = torch.empty(n_users + 1, dtype=torch.int64, device="meta")
        expected[f"{column.name}.buckets"] = torch.empty(column.kept, dtype=torch.int32, device="meta")
    tensors = read_tensors(file, expected)
    pairs = []
    for column in columns:
        offsets, buckets = tensors[f"{column.name}.offsets"], tensors[f"{column.name}.buckets"]
        ordered = int(offsets[0]) == 0 and int(offsets[-1]) == column.kept and bool((offsets.diff() >= 0).all())
        within = not len(buckets) or bool((buckets.min() >= 1) & (buckets.max() <= column.buckets))
        if not ordered or not within:
            raise RequestError(f"{file}: {column.name} is no history of tokens; export again")
        pairs.append((offsets, buckets))
    return pairs


def second_tensors(pairs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Offsets and buckets by name, as a file has them."""
    return {f"{name}.{part}": values for name, pair in pairs.items() for part, values in zip(_PARTS, pair, strict=True)}


_PARTS = ("offsets", "buckets")

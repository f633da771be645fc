"""The rows of a ready-made split, each of which remembers its part."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.api.types import union_categoricals
from recbole.data.interaction import Interaction
from recbole.utils import FeatureSource, FeatureType, ModelType

from recbole_logq.data.dataset.feature_columns import feature_names
from recbole_logq.data.dataset.filters import FilterMixin
from recbole_logq.data.dataset.group_splits import order_by, take
from recbole_logq.data.dataset.histories import max_history
from recbole_logq.data.dataset.part_facts import facts_of_parts, overlap_in_time
from recbole_logq.data.dataset.ready_made import PARTS, holds_prefixes
from recbole_logq.data.dataset.value_intervals import admits_none, no_bound
from recbole_logq.data.source.header import declared, interaction_files
from recbole_logq.data.source.lines import count_rows
from recbole_logq.errors import RequestError


class ReadyMadeMixin(FilterMixin):
    """The part of every row, from the file to the parts that training sees.

    Attributes:
        part_of_row: Number of the part of each row, int64 ``[interactions]``; None where ``eval_args`` splits.
    """

    part_of_row: torch.Tensor | None = None
    field2seqlen: dict[str, int]
    _prefixes = False

    def _get_preset(self) -> None:
        super()._get_preset()
        # For RecBole it is one table of interactions, which it filters like any other.
        self.benchmark_filename_list = None

    @property
    def is_ready_made(self) -> bool:
        """Whether the parts are files."""
        return self.config["benchmark_filename"] is not None

    def _load_inter_feat(self, token: str, dataset_path: str) -> None:
        if not self.is_ready_made:
            return super()._load_inter_feat(token, dataset_path)
        files = interaction_files(self.config)
        self._prefixes = holds_prefixes(self.config, declared(files[0], self.config))
        tables: list[Any] = []
        lengths: dict[str, int] = {}
        for file, part in zip(files, PARTS, strict=True):
            if part == "validation" and not count_rows(str(file), self.config["encoding"], 0):
                tables.append(tables[0].iloc[:0])
                continue
            tables.append(self._load_feat(str(file), FeatureSource.INTERACTION))
            if tables[-1] is None or tables[-1].empty:
                raise RequestError(f"benchmark_filename: {file} has no rows to read, and it is the {part} part")
            lengths = {field: max(length, lengths.get(field, 0)) for field, length in self.field2seqlen.items()}
        self.field2seqlen = lengths
        self._ends = np.cumsum([len(table) for table in tables])
        self.inter_feat = _stacked(tables)

    def _part(self, rows: pd.DataFrame) -> np.ndarray:
        """Number of the part of rows whose index still counts the rows of the files."""
        return np.searchsorted(self._ends, rows.index.to_numpy(), side="right")

    def _reset_index(self) -> None:
        if self.is_ready_made:
            self.part_of_row = torch.from_numpy(self._part(self.inter_feat))
        super()._reset_index()

    def _remove_duplication(self) -> None:
        if not self.is_ready_made or self.config["rm_dup_inter"] is None:
            return super()._remove_duplication()
        rows = self.inter_feat
        keys = [self._part(rows)]
        if self._is_timed():
            keys.insert(0, rows[self.time_field].to_numpy())
        with self._counted("rm_dup_inter"):
            first = rows.iloc[np.lexsort(keys)].drop_duplicates([self.uid_field, self.iid_field]).index
            self.inter_feat = rows[rows.index.isin(first)].copy()

    def _filter_by_counts(self) -> None:
        """Filter by counts of the training part: an id that fails there leaves all parts, a new one if 0 is too few."""
        bounds = {self.uid_field: self.config["user_inter_num_interval"]}
        bounds[self.iid_field] = self.config["item_inter_num_interval"]
        if not self.is_ready_made or all(map(no_bound, bounds.values())):
            return super()._filter_by_counts()
        rows, tables = self.inter_feat, {field: table.copy() for table, field, _ in self._feature_tables()}
        training = self._part(rows) == 0
        before, self.inter_feat = rows[training], rows[training].copy()
        super()._filter_by_counts()
        later = rows[~training]
        for field, bound in bounds.items():
            kept = later[field].isin(self.inter_feat[field].unique())
            if admits_none(bound):
                kept |= ~later[field].isin(before[field].unique())
            later = later[kept]
        self.inter_feat = pd.concat([self.inter_feat, later])
        for field, table in tables.items():
            known = table[field].isin(self.inter_feat[field].unique())
            if no_bound(bounds[field]):
                known |= ~table[field].isin(rows[field].unique())
            setattr(self, "user_feat" if field == self.uid_field else "item_feat", table[known].copy())

    @property
    def _is_sequential(self) -> bool:
        return bool(self.config["MODEL_TYPE"] == ModelType.SEQUENTIAL)

    def _is_timed(self) -> bool:
        if self.time_field not in self.inter_feat or self.time_field in (self.config["numerical_features"] or []):
            return False
        return bool(self.field2type[self.time_field] == FeatureType.FLOAT)

    def _order_matters(self) -> bool:
        """Whether the model reads what came before within a ready-made split."""
        if not self.is_ready_made or self._prefixes:
            return False
        reads = max_history(self.config) > 0 or feature_names(self.config, "context_features")
        return self._is_sequential or bool(reads)

    def _part_of_targets(self, rows: torch.Tensor) -> None:
        """Keep the parts of the rows (by number) that a sequential model makes a target of."""
        if self.part_of_row is not None:
            self.part_of_row = self.part_of_row[rows]

    def _benchmark_presets(self) -> None:  # of RecBole's sequential datasets
        if self._prefixes:
            super()._benchmark_presets()

    def _by_part(self, *fields: str) -> torch.Tensor:
        """Row numbers in the order of fields, then parts, then times where there are any; int64 ``[interactions]``."""
        columns = {field: self.inter_feat[field] for field in fields} | {"part": self.part_of_row}
        if self._is_timed():
            columns["time"] = self.inter_feat[self.time_field]
        return order_by(Interaction(columns), list(columns))

    def sort(self, by: Any, ascending: Any = True) -> None:
        """See RecBole's ``Dataset.sort``; sequences of a ready-made split go by part, then by time."""
        if self.part_of_row is None or by != [self.uid_field, self.time_field]:
            return super().sort(by, ascending)
        order = self._by_part(self.uid_field)
        self.inter_feat, self.part_of_row = take(self.inter_feat, order), self.part_of_row[order]

    def _ready_made_parts(self) -> list[Any]:
        assert self.part_of_row is not None
        if len(self.part_of_row) != len(self.inter_feat):
            raise RequestError(
                f"benchmark_filename: {self.config['model']} makes rows of its own, which are of no part"
            )
        numbers, self.part_of_row = self.part_of_row, None  # a part may be sorted as its reader likes
        return self._parts_of([(numbers == number).nonzero().flatten() for number in range(len(PARTS))])

    def _say_parts(self) -> None:
        part, users = self.part_of_row, self.inter_feat[self.uid_field]
        assert part is not None
        first_has_no_target = self._is_sequential and not self._prefixes
        for text, noteworthy in facts_of_parts(users, self.inter_feat[self.iid_field], part, first_has_no_target):
            self.logger.log(logging.WARNING if noteworthy else logging.INFO, text)
        if not self._order_matters():
            return
        if not self._is_timed():
            self.logger.info(f"no column {self.time_field!r}: interactions of a part are in the order of its file")
            return
        order = self._by_part(self.uid_field)
        if overlap := overlap_in_time(users[order], self.inter_feat[self.time_field][order]):
            self.logger.warning(overlap)


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Tables under one another; their categories become common ones, where pandas would make text of them."""
    columns: dict[str, Any] = {}
    for name in tables[0]:
        pieces = [table[name].array for table in tables]
        if all(isinstance(piece, pd.Categorical) for piece in pieces):
            columns[str(name)] = union_categoricals(pieces)
        else:
            columns[str(name)] = pd.concat([table[name] for table in tables], ignore_index=True)
    return pd.DataFrame(columns)

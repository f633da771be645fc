"""Which rows are left out, by which setting, and how many: RecBole's filters, counted and said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
from recbole.utils import FeatureType

from recbole_logq.data.dataset.value_filter import intervals_of, tokens_of
from recbole_logq.data.dataset.value_intervals import within
from recbole_logq.data.dataset.vectorised import LeanMixin
from recbole_logq.errors import RequestError


class FilterMixin(LeanMixin):
    """RecBole's filters, in its order; each is counted.

    Attributes:
        left_out: Interactions that were left out, by the setting that did it.
    """

    left_out: dict[str, int]
    inter_feat: Any
    user_feat: Any
    item_feat: Any

    @contextmanager
    def _counted(self, reason: str) -> Iterator[None]:
        before = len(self.inter_feat)
        yield
        if lost := before - len(self.inter_feat):
            self.left_out[reason] = self.left_out.get(reason, 0) + lost

    def _data_filtering(self) -> None:
        self._check_ids()
        self.left_out, read = {}, len(self.inter_feat)
        super()._data_filtering()
        used = f"{len(self.inter_feat):,} of {read:,} interactions of {self.dataset_name} are used"
        self.logger.info(f"{used}{self._lost()}")

    def _check_ids(self) -> None:
        for field in (self.uid_field, self.iid_field):
            if (kind := self.field2type[field]) != FeatureType.TOKEN:
                raise RequestError(f"{field} of {self.dataset_name} is typed {kind.value}: declare it as {field}:token")

    def _lost(self) -> str:
        reasons = ", ".join(f"{count:,} by {reason}" for reason, count in self.left_out.items())
        return f"; left out: {reasons}" if reasons else ""

    def _reset_index(self) -> None:
        if self.inter_feat.empty:
            raise ValueError(f"Some feat is empty{self._lost()}")  # of which create_dataset makes a sentence
        super()._reset_index()

    def _filter_nan_user_or_item(self) -> None:
        for table, field, kind in self._feature_tables():
            if lost := int(table[field].isna().sum()):
                self.logger.warning(f"{lost:,} lines of the .{kind} file have no {field} and are left out")
                table.drop(table.index[table[field].isna()], inplace=True)
        nameless = self.inter_feat[[self.uid_field, self.iid_field]].isna().any(axis=1)
        if lost := int(nameless.sum()):
            self.logger.warning(f"{lost:,} interactions have no user or no item and are left out")
        with self._counted("an empty id"):
            self.inter_feat.drop(self.inter_feat.index[nameless], inplace=True)

    def _feature_tables(self) -> list[tuple[pd.DataFrame, str, str]]:
        tables = ((self.user_feat, self.uid_field, "user"), (self.item_feat, self.iid_field, "item"))
        return [(table, field, kind) for table, field, kind in tables if table is not None]

    def _remove_duplication(self) -> None:
        with self._counted("rm_dup_inter"):
            self._drop_repeats()

    def _drop_repeats(self) -> None:
        super()._remove_duplication()

    def _filter_by_field_value(self) -> None:
        # Ids that have a line of features here and none afterwards were filtered by it.
        self._lines = {field: table[field].copy() for table, field, _ in self._feature_tables()}
        for field, value in (self.config["val_interval"] or {}).items():
            key = f"val_interval.{field}"
            if field not in self.field2type:
                raise RequestError(f"{key}: {self.dataset_name} has no such column loaded; see load_col")
            with self._counted(key):
                for table in self.field2feats(field):
                    if self.field2type[field] == FeatureType.FLOAT:
                        kept = within(table[field], intervals_of(key, value))
                    else:
                        names = tokens_of(key, value)
                        kept = table[field].isin(names).to_numpy()
                        self._say_absent(key, names, table[field])
                    table.drop(table.index[~kept], inplace=True)

    def _say_absent(self, key: str, names: list[str], column: pd.Series) -> None:
        absent = set(names) - set(column[column.isin(names)].unique())
        if absent:
            self.logger.warning(f"{key}: no row has {', '.join(sorted(absent))}")

    def _filter_inter_by_user_or_item(self) -> None:
        """RecBole's where it is asked for; else interactions of ids without a line of features stay."""
        setting = self.config["filter_inter_by_user_or_item"]
        for table, field, kind in self._feature_tables():
            ids = self.inter_feat[field]
            without, dropped = ~ids.isin(self._lines[field]), ~ids.isin(table[field])
            if setting is None and (count := int(without.sum())):
                self.logger.warning(
                    f"{ids[without].nunique():,} of {ids.nunique():,} {kind}s have no line in the .{kind} file: their "
                    f"{count:,} interactions stay, without features (filter_inter_by_user_or_item=true leaves them out)"
                )
            if not setting:  # false filters features alone; unset, ids go with the lines that a filter took
                dropped &= False if setting is False else ~without
            reason = "filter_inter_by_user_or_item" if setting else f"val_interval, through the .{kind} file"
            with self._counted(reason):
                self.inter_feat.drop(self.inter_feat.index[dropped], inplace=True)

    def _filter_by_inter_num(self) -> None:
        with self._counted("..._inter_num_interval"):
            self._filter_by_counts()

    def _filter_by_counts(self) -> None:
        super()._filter_by_inter_num()

"""RecBole's data preparation without its work per row in Python: the same ids, tables and splits.

Each method stands in for one of RecBole's, and leaves what it does not speed up to that.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from pandas.api.types import union_categoricals
from recbole.utils import FeatureType

from recbole_logq.data.dataset.group_splits import Groups, order_by, take
from recbole_logq.data.source.atomic_file import missing_values, no_number, read_table
from recbole_logq.data.source.header import declared
from recbole_logq.data.source.lines import count_rows, quoted_lines, uneven_lines
from recbole_logq.errors import RequestError

_HELD_OUT = {"valid_and_test": 2, "test_only": 1}
# What the mixin finds in the class it is mixed into is RecBole's Dataset, which has no types.
_Base: Any = object


class TokenCounter(Counter):
    """A ``Counter`` that counts a column of categories by their codes."""

    def update(self, tokens: Any = None, /, **more: Any) -> None:
        if isinstance(tokens, pd.Categorical):
            counts = np.bincount(tokens.codes[tokens.codes >= 0], minlength=len(tokens.categories))
            tokens = {tokens.categories[code]: int(counts[code]) for code in counts.nonzero()[0]}
        super().update(tokens, **more)


@contextmanager
def lent_to_recbole(**names: Any) -> Iterator[None]:
    """Inside, RecBole's dataset module finds these instead of what it imported under the names."""
    module = importlib.import_module("recbole.data.dataset.dataset")
    kept = {name: getattr(module, name) for name in names}
    vars(module).update(names)
    try:
        yield
    finally:
        vars(module).update(kept)


def _read(path: str, **options: Any) -> pd.DataFrame:
    options |= missing_values(options["usecols"])
    if len(options["delimiter"]) > 1:  # of which pandas makes a pattern
        options["delimiter"] = re.escape(options["delimiter"])
    try:
        return read_table(path, **options)
    except UnicodeError:
        raise
    except ValueError as error:
        reason = no_number(path, **options) or str(error)
        if "expected after" in reason or reason == "unexpected end of data":
            reason = "a field starts with a quotation mark and does not end with one; take the mark out"
        raise ValueError(f"{path}: {reason}") from error


class LeanMixin(_Base):
    """Mix into a RecBole dataset class, in front of it."""

    inter_feat: Any

    def _load_feat(self, filepath: str, source: Any) -> Any:
        if self._get_load_and_unload_col(source)[0] == set():
            return None
        types = declared(Path(filepath), self.config)
        self._check_lines(filepath, types)
        with lent_to_recbole(pd=SimpleNamespace(read_csv=_read)):
            try:
                table = super()._load_feat(filepath, source)
            except ValueError as error:
                if str(error).startswith("could not convert"):  # RecBole splits columns of several numbers itself
                    raise ValueError(f"{filepath}: {error}, in a column of type float_seq") from error
                raise
        if table is None:
            return None
        n_rows = count_rows(filepath, self.config["encoding"], len(table))
        if n_rows != len(table):
            message = (
                f"{filepath} has {n_rows:,} rows and RecBole reads {len(table):,} of them: take the quotation "
                "marks out of its names, they swallow lines"
            )
            if filepath.endswith(".inter"):
                raise RequestError(message)
            self.logger.warning(message)  # features are missing then, no interaction is
        self._say_missing(filepath, table)
        return table

    def _check_lines(self, filepath: str, types: dict[str, str]) -> None:
        encoding, separator = self.config["encoding"], self.config["field_separator"]
        lists = any(kind.endswith("_seq") for kind in types.values())
        if (lists or not filepath.endswith(".inter")) and not count_rows(filepath, encoding, 0):
            raise RequestError(f"{filepath} has a header and no rows")
        if quoted := quoted_lines(filepath, encoding, separator):
            self.logger.warning(
                f"{filepath}: {quoted:,} lines have fields in quotation marks, which are read without them"
            )
        uneven = uneven_lines(filepath, encoding, separator)
        if uneven is None:
            return
        message = f"{filepath}: {uneven[1]} (field_separator={separator!r})"
        if filepath.endswith(".inter"):
            raise RequestError(f"{message}; mend it, or take the line out")
        self.logger.warning(f"{message}, and {uneven[0] - 1:,} more lines are like it: read as far as they go")

    def _say_missing(self, filepath: str, table: pd.DataFrame) -> None:
        """Fields that are missing: RecBole puts the mean in place of a number, and no name in place of a name."""
        for field in table:
            if field in (self.uid_field, self.iid_field):
                continue  # whose rows are left out
            if missing := int(table[field].isna().sum()):
                number = self.field2type[field] == FeatureType.FLOAT
                kinds = "an empty field, or a word such as NA" if number else "an empty field"
                self.logger.log(
                    logging.WARNING if number else logging.INFO,
                    f"{filepath}: {missing:,} of {len(table):,} rows have no {field} ({kinds})",
                )

    def _filter_by_inter_num(self) -> None:
        with lent_to_recbole(Counter=TokenCounter):
            super()._filter_by_inter_num()

    def _concat_remaped_tokens(self, remap_list: Any) -> tuple[Any, np.ndarray]:
        # Of categories, RecBole's factorize numbers the few codes and not the many strings, in the same order.
        columns = [feat[field].array for feat, field, _ in remap_list]
        if not all(isinstance(column, pd.Categorical) for column in columns):
            return super()._concat_remaped_tokens(remap_list)
        return union_categoricals(columns), np.cumsum([len(column) for column in columns])[:-1]

    def sort(self, by: Any, ascending: Any = True) -> None:
        """See RecBole's ``Dataset.sort``."""
        fields = [by] if isinstance(by, str) else by
        if ascending is not True or any(self.inter_feat[field].dim() != 1 for field in fields):
            return super().sort(by, ascending)
        self.inter_feat = take(self.inter_feat, order_by(self.inter_feat, fields))

    def leave_one_out(self, group_by: str | None, leave_one_mode: str) -> list[Any]:
        """See RecBole's ``Dataset.leave_one_out``."""
        if group_by is None or leave_one_mode not in _HELD_OUT:
            return super().leave_one_out(group_by, leave_one_mode)  # says what is wrong
        training, *held_out = Groups(self.inter_feat[group_by]).all_but_last(_HELD_OUT[leave_one_mode])
        if leave_one_mode == "test_only":
            held_out.insert(0, torch.empty(0, dtype=torch.int64))
        return self._parts_of([training, *held_out])

    def split_by_ratio(self, ratios: list[float], group_by: str | None = None) -> list[Any]:
        """See RecBole's ``Dataset.split_by_ratio``."""
        shares = [ratio / sum(ratios) for ratio in ratios]
        if group_by is None:
            cuts = self._calcu_split_ids(len(self), shares)
            return self._parts_of(torch.arange(len(self)).tensor_split([int(cut) for cut in cuts]))
        groups = Groups(self.inter_feat[group_by])
        return self._parts_of(groups.by_size(lambda size: self._calcu_split_ids(size, shares), len(shares)))

    def _parts_of(self, parts: Any) -> list[Any]:
        self._drop_unused_col()
        return [self.copy(take(self.inter_feat, index)) for index in parts]

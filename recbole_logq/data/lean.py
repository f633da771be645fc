"""RecBole's data preparation without its work per row in Python: the same ids, tables and splits.

Each method stands in for one of RecBole's, and leaves what it does not speed up to that.
"""

from __future__ import annotations

import importlib
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

from recbole_logq.data.atomic_file import count_rows, no_number, read_table
from recbole_logq.data.grouping import Groups, order_by, take
from recbole_logq.data.header import declared
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
        declared(Path(filepath), self.config)
        with lent_to_recbole(pd=SimpleNamespace(read_csv=_read)):
            table = super()._load_feat(filepath, source)
        if table is None:
            return None
        written = count_rows(filepath, self.config["encoding"], len(table))
        if written != len(table):
            message = (
                f"{filepath} has {written:,} rows and RecBole reads {len(table):,} of them: take the quotation "
                "marks out of its names, they swallow lines"
            )
            if filepath.endswith(".inter"):
                raise RequestError(message)
            self.logger.warning(message)  # features are missing then, no interaction is
        return table

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

"""Exact time order for RecBole's datasets.

RecBole 1.2.1 turns timestamps into float32 and sorts by them afterwards; at today's Unix times one float32 step is 64
to 128 seconds, so interactions closer than that keep file order and leave-one-out picks the wrong test item. Here time
stays 64 bits wide, every sort is stable, and ties keep file order.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.interaction import Interaction
from recbole.utils import FeatureType, ModelType

from recbole_logq.data.dataset.event_times import keeps_times, times_before, training_gaps
from recbole_logq.data.dataset.feature_columns import SUFFIX, feature_names
from recbole_logq.data.dataset.group_splits import order_by, stable_order
from recbole_logq.data.dataset.impressions import ImpressionLists, Impressions, check_grades, skipped
from recbole_logq.data.dataset.item_counts import depends_on_times
from recbole_logq.data.dataset.loaded_columns import how_to_load
from recbole_logq.data.dataset.observed_negatives import ObservedNegatives, observed_field, refused
from recbole_logq.data.dataset.parts import ReadyMadeMixin
from recbole_logq.data.dataset.second_histories import SecondHistory, read_second_history, second_names
from recbole_logq.data.dataset.temporal_split import TemporalSplit, is_temporal
from recbole_logq.data.dataset.value_intervals import admits_none
from recbole_logq.data.source.header import declared, interaction_files
from recbole_logq.errors import RequestError

# Where the history of a row ends in `flat_items`; a name no atomic file uses.
HISTORY_END = "__history_end"
_WITHOUT_TIMES = {"time": "none", "time_context": "None", "second_histories": "None", "example_age": "false"}


class ExactTimeMixin(ReadyMadeMixin):
    """Mix into a RecBole dataset class, in front of it.

    Attributes:
        flat_users, flat_items: All interactions ordered by user, then time; int64 ``[interactions]``. Set where the
            split goes by time, together with a column ``HISTORY_END`` of ``inter_feat``: the row's own position in
            them, before which its user's history ends.
        flat_parts: Numbers of their parts in a ready-made split, int64 ``[interactions]``; None elsewhere.
        impression_lists: What the rows of a training part were shown beside; None without ``impression_field``.
        flat_times: Their times, float64 ``[interactions]``, where a sequential model's split depends on them or the
            model reads them; None elsewhere.
        second_histories: What the files of second histories hold, by suffix.
    """

    flat_users: torch.Tensor
    flat_items: torch.Tensor
    flat_parts: torch.Tensor | None = None
    flat_times: torch.Tensor | None = None
    second_histories: dict[str, SecondHistory] = {}
    observed: ObservedNegatives | None = None
    impressions: Impressions | None = None
    impression_lists: ImpressionLists | None = None
    training_negatives: tuple[torch.Tensor, torch.Tensor]
    inter_feat: Any
    user_feat: Any
    item_feat: Any

    def _remove_duplication(self) -> None:
        field = self.config["grade_field"]
        if not field:
            return super()._remove_duplication()
        # Positives alone: of a skip and a later click of an item the click stays.
        check_grades(self, field, self.config["impression_field"])
        skips = self._set_skips_aside(field)
        super()._remove_duplication()
        self.inter_feat = pd.concat([self.inter_feat, skips], ignore_index=True)

    def _set_skips_aside(self, field: str) -> pd.DataFrame:
        rows = self.inter_feat
        are_skips = skipped(rows, field)
        self.inter_feat = rows[~are_skips].copy()
        return rows[are_skips]

    def _drop_repeats(self) -> None:
        keep = self.config["rm_dup_inter"]
        if keep is None or self.config["recbole_order"] or self.is_ready_made:
            return super()._drop_repeats()
        # RecBole sorts with an unstable quicksort here, which shuffles ties.
        self._sort_by_time()
        self.inter_feat.drop_duplicates(subset=[self.uid_field, self.iid_field], keep=keep, inplace=True)

    def _fill_nan(self) -> None:
        # RecBole puts the mean in place of a missing time, which moves the interaction into the middle.
        ordered = self._order_matters() and self.time_field in self.inter_feat
        if self._time_matters() or ordered or keeps_times(self.config):
            self._check_time()
        if field := observed_field(self.config):
            # Before floats are normalised: the threshold is meant as the file has it.
            self.observed = ObservedNegatives(self, field)
            self.inter_feat = self.observed.positives
        if field := self.config["grade_field"]:
            self.impressions = Impressions(self, field, self.config["impression_field"])
            self.inter_feat = self.impressions.positives
        if self.config["weight_field"]:
            self._check_weights()
        self._check_features()
        super()._fill_nan()

    def _normalize(self) -> None:
        # normalize_all (which RecBole's settings of ml-100k turn on) would squeeze time into [0, 1] too, and weights.
        # Features are standardised in the model, in the units of the file, which those of new items have too.
        names = [self.time_field] if self._time_stays_wide() else []
        names += [self.config[key] for key in ("weight_field", "grade_field") if self.config[key]]
        names += [name for key in SUFFIX for name in feature_names(self.config, key)]
        tables = [table for table in (self.inter_feat, self.user_feat, self.item_feat) if table is not None]
        kept = [(table, name, table[name].copy()) for table in tables for name in names if name in table]
        super()._normalize()
        for table, name, values in kept:
            table[name] = values

    def _check_features(self) -> None:
        tables = {"user": self.user_feat, "item": self.item_feat, "inter": self.inter_feat}
        for key, suffix in SUFFIX.items():
            for name in feature_names(self.config, key):
                if self.field2type.get(name) not in (FeatureType.FLOAT, FeatureType.FLOAT_SEQ):
                    continue
                values = tables[suffix][name]
                rows = values if self.field2type[name] == FeatureType.FLOAT_SEQ else [values]
                if any(np.isinf(np.asarray(row, dtype=np.float64)).any() for row in rows):
                    raise RequestError(f"{key}: {name} of {self.dataset_name} has infinite values; take them out")

    def _check_weights(self) -> None:
        """Refuse weights that are missing, before RecBole puts means in their place."""
        field = self.config["weight_field"]
        for table, key in ((self.inter_feat, None), (self.user_feat, self.uid_field)):
            if table is None or field not in table or self.field2type[field] != FeatureType.FLOAT:
                continue  # what is wrong with it is said elsewhere
            # Row 0 of a feature table is padding.
            values = table[field].to_numpy(np.float64) if key is None else table[table[key] != 0][field].to_numpy()
            if not (np.isfinite(values) & (values >= 0)).all():
                worst = "missing or infinite ones" if not np.isfinite(values).all() else f"{values.min():g}"
                raise RequestError(f"weight_field={field}: weights must be numbers from 0 up, found {worst}")
            return

    def _filter_by_counts(self) -> None:
        field = self.config["grade_field"]
        if not field:
            return self._filter_positives()
        # Skips count for nobody, and leave with what the filter takes.
        skips, temporal = self._set_skips_aside(field), is_temporal(self.config["eval_args"])
        before, features = self.inter_feat[self.iid_field].unique(), self.item_feat
        features = None if features is None else features.copy()
        self._filter_positives()
        users, items = (self.inter_feat[name].unique() for name in (self.uid_field, self.iid_field))
        kept = skips[self.iid_field].isin(items)
        if admits_none(self.config["item_inter_num_interval"]):
            nobodys = ~skips[self.iid_field].isin(before)  # what nobody took is an item all the same
            if temporal:
                nobodys &= skips[self.time_field].to_numpy(np.float64) < self.temporal_split.valid_from
            kept |= nobodys
        kept &= skips[self.uid_field].isin(users)
        self.inter_feat = pd.concat([self.inter_feat, skips[kept]], ignore_index=True)
        if temporal and features is not None:
            self.item_feat = features[features[self.iid_field].isin(self.inter_feat[self.iid_field])].copy()

    def _filter_positives(self) -> None:
        arguments = self.config["eval_args"]
        if not is_temporal(arguments):
            return super()._filter_by_counts()
        self._check_time()
        rows = self.inter_feat
        times = rows[self.time_field].to_numpy(np.float64)
        self.temporal_split = TemporalSplit(arguments, times)
        early = times < self.temporal_split.valid_from
        if not early.any() or not (times >= self.temporal_split.test_from).any():
            raise RequestError(
                f"eval_args.split.GTS={arguments['split']['GTS']}: times of {self.dataset_name} go from "
                f"{times.min():.15g} to {times.max():.15g}, which leaves nothing to train or nothing to test on"
            )
        self.inter_feat = rows[early].copy()
        features = {  # copies, because RecBole's filter drops rows in place
            field: None if table is None else table.copy()
            for field, table in ((self.uid_field, self.user_feat), (self.iid_field, self.item_feat))
        }
        super()._filter_by_counts()  # counts what training sees
        before, trained = (self._kept_rows(table) for table in (rows[early], self.inter_feat))
        later = self.temporal_split.seen(before, rows[~early], trained, self.uid_field, self.iid_field)
        self.inter_feat = pd.concat([self.inter_feat, later]).sort_index()  # in file order again
        # Features follow: no id that only they know, and none that RecBole's filter dropped because it is new.
        self.user_feat, self.item_feat = (
            None if table is None else table[table[field].isin(self.inter_feat[field])].copy()
            for field, table in features.items()
        )

    def _kept_rows(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The interactions without observed negatives: an item that was only ever refused is not seen."""
        field = observed_field(self.config)
        if field is None or field not in rows:
            return rows
        return rows[~refused(rows, self.config)]

    def build(self) -> list[Any]:
        """RecBole's, and the global temporal split."""
        parts = self._parts()
        if self.observed is not None:
            parts[0].training_negatives = self.observed.before(self, parts[1:])
        if self.impressions is not None:
            parts[0].impression_lists = self.impressions.lists(self, parts[0], parts[1:])
        return parts

    def _parts(self) -> list[Any]:
        if self.is_ready_made:
            self._change_feat_format()
            return self._ready_made_parts()
        if not is_temporal(self.config["eval_args"]):
            return super().build()
        self._change_feat_format()
        rows = self.inter_feat
        index = self.temporal_split.parts(rows[self.time_field], rows[self.uid_field], rows[HISTORY_END])
        self.logger.info(str(self.temporal_split))
        return self._parts_of(index)

    def _change_feat_format(self) -> None:
        if self._time_matters() and not self.config["recbole_order"]:
            # Context-aware models feed time to layers as float32 and keep that; sorted beforehand, RecBole's own
            # stable sort by float32 (a monotone map) can no longer undo the exact order.
            self._sort_by_time()
        super()._change_feat_format()
        if self.is_ready_made:
            self._order_parts()
        elif self._time_matters() and self._ranks_users():
            self._keep_order(order_by(self.inter_feat, [self.uid_field, self.time_field]))

    def _order_parts(self) -> None:
        self._say_parts()
        if self._ranks_users():
            self._keep_order(self._by_part(self.uid_field))
        elif self._is_sequential and not self._prefixes:
            self.data_augmentation()  # which RecBole leaves out: its ready-made files hold prefixes

    def _ranks_users(self) -> bool:
        return self.config["MODEL_TYPE"] in {ModelType.GENERAL, ModelType.TRADITIONAL}

    def _keep_order(self, order: torch.Tensor) -> None:
        self._keep_sequences(order)
        self.inter_feat.update(Interaction({HISTORY_END: torch.argsort(order)}))

    def data_augmentation(self) -> None:
        """RecBole's, which makes a row of every interaction but a user's first; only sequential datasets have it."""
        self.sort(by=[self.uid_field, self.time_field])
        self._keep_sequences(torch.arange(len(self.inter_feat)))
        super().data_augmentation()
        rows = self._target_positions()
        self._part_of_targets(rows)
        if len(rows) == len(self.inter_feat):  # DIEN makes rows of its own
            self.inter_feat.update(Interaction({HISTORY_END: rows}))

    @cached_property
    def times_before(self) -> torch.Tensor:
        """Time of the event before each of :attr:`flat_items`, NaN for a user's first; float64 ``[interactions]``."""
        assert self.flat_times is not None
        return times_before(self.flat_users, self.flat_times)

    def training_gaps(self) -> tuple[torch.Tensor, float]:
        """See :func:`~recbole_logq.data.dataset.event_times.training_gaps`; of a training part.

        Raises:
            RequestError: No user has anything at two different times.
        """
        assert self.flat_times is not None
        gaps, longest = training_gaps(self.flat_users, self.flat_times, self.inter_feat[HISTORY_END])
        if not longest > 0:
            raise RequestError(
                f"time={self.config['time']}: no user of {self.dataset_name} has things at different times in "
                "training, so that there is nothing to learn; set time=none"
            )
        return gaps, longest

    def training_pairs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Users and the items that training knows of them, of a training part; both int64 ``[pairs]``."""
        return self.inter_feat[self.uid_field], self.inter_feat[self.iid_field]

    def interaction_column(self, field: str) -> torch.Tensor:
        """A column of the interactions, or of their users: ``[interactions]``.

        Raises:
            RequestError: There is no such column.
        """
        if field in self.inter_feat:
            return self.inter_feat[field]
        if self.user_feat is not None and field in self.user_feat:
            return self.user_feat[field][self.inter_feat[self.uid_field]]
        raise RequestError(
            f"{self.dataset_name} has no column {field!r} in its .inter or .user file (or load_col leaves it out)"
        )

    def _keep_sequences(self, order: torch.Tensor) -> None:
        self.flat_users = self.inter_feat[self.uid_field][order]
        self.flat_items = self.inter_feat[self.iid_field][order]
        if self.part_of_row is not None:
            self.flat_parts = self.part_of_row[order]
        elif self.config["MODEL_TYPE"] == ModelType.SEQUENTIAL and depends_on_times(self.config["eval_args"]):
            self.flat_times = self.inter_feat[self.time_field][order]
        self.second_histories = {
            name: read_second_history(self.config, name, self) for name in second_names(self.config)
        }
        if keeps_times(self.config):
            self.flat_times = self.inter_feat[self.time_field][order]

    def _target_positions(self) -> torch.Tensor:
        """Where the targets of a sequential model lie in ``flat_items``: everywhere but at a user's first item."""
        again = torch.zeros(len(self.flat_users) + 1, dtype=torch.bool)
        again[1:-1] = self.flat_users[1:] == self.flat_users[:-1]
        if single := int((~again[:-1] & ~again[1:]).sum()):
            self.logger.info(f"{single:,} users have one interaction each, which is no target of a sequential model")
        return again[:-1].nonzero().flatten()

    def _dataframe_to_interaction(self, data: pd.DataFrame) -> Interaction:
        interaction = super()._dataframe_to_interaction(data)
        if self.time_field in data and self._time_stays_wide():
            interaction.interaction[self.time_field] = torch.from_numpy(data[self.time_field].to_numpy(np.float64))
        return interaction

    def _time_stays_wide(self) -> bool:
        return (
            not self.config["recbole_order"]
            and self.config["MODEL_TYPE"] in {ModelType.GENERAL, ModelType.TRADITIONAL, ModelType.SEQUENTIAL}
            and self.field2type.get(self.time_field) == FeatureType.FLOAT
            and self.time_field in self.inter_feat
            and self.time_field not in self.config["numerical_features"]
        )

    def _time_matters(self) -> bool:
        return not self.is_ready_made and self.config["eval_args"]["order"] == "TO"

    def _sort_by_time(self) -> None:
        if self.time_field not in self.inter_feat:
            return
        times = self.inter_feat[self.time_field].to_numpy()
        if times.dtype != np.float64:  # read as text, which is refused where the order matters
            self.inter_feat.sort_values(by=self.time_field, kind="stable", inplace=True, ignore_index=True)
            return
        self.inter_feat = self.inter_feat.take(stable_order(torch.from_numpy(times)).numpy())
        self.inter_feat.index = pd.RangeIndex(len(times))

    def _where_times_are(self) -> str:
        file = interaction_files(self.config)[0]
        columns = declared(file, self.config)
        if self.time_field in columns:
            return f"{self.time_field} is not loaded: {how_to_load(self.config, 'inter', self.time_field)}"
        return (
            f"{file.name} has no column {self.time_field!r}, but {', '.join(columns)}: name that of the times by "
            f"--TIME_FIELD=NAME, or {self._without_times()}"
        )

    def _without_times(self) -> str:
        """What to set so that times are not needed."""
        values = {key: self.config[key] for key in _WITHOUT_TIMES}
        readers = [f"--{key}={none}" for key, none in _WITHOUT_TIMES.items() if values[key] and values[key] != none]
        if self.is_ready_made:
            return f"set {' '.join(readers) or f'load_col without {self.time_field}'}"
        order = '--eval_args="{split: {RS: [0.8, 0.1, 0.1]}, order: RO}"'
        if self.config["MODEL_TYPE"] == ModelType.SEQUENTIAL:
            words = ["--model=TwoTowerCorrectedLogQ", *readers, order]
            return f"take a model that needs no order, such as {' '.join(words)}"
        histories = ["--user_tower=id"] if self.config["user_tower"] == "history" else []
        return f"set {' '.join([*histories, *readers, order])}"

    def _check_time(self) -> None:
        if self.time_field not in self.inter_feat:
            raise RequestError(f"{self.dataset_name} is to be ordered by time, and {self._where_times_are()}")
        if self.field2type[self.time_field] != FeatureType.FLOAT:
            raise RequestError(
                f"{self.time_field} of {self.dataset_name} is typed {self.field2type[self.time_field].value}: declare "
                f"it as {self.time_field}:float in the header"
            )
        times = self.inter_feat[self.time_field].to_numpy(np.float64)
        if not np.isfinite(times).all():
            raise RequestError(
                f"{int((~np.isfinite(times)).sum())} interactions of {self.dataset_name} have no finite "
                f"{self.time_field}: remove them, or {self._without_times()}"
            )
        if len(times) and np.abs(times).max() > 2**53:
            raise RequestError(
                f"{self.time_field} of {self.dataset_name} goes beyond 2^53, where float64 is no longer exact: give "
                "seconds, milli- or microseconds"
            )

"""What users did beside the interactions - searches, other kinds of events - before each interaction.

A second history is a file ``NAME.search`` beside ``NAME.inter``: a user, a time, and what was done, as one token or as
several. It makes no targets and no items, so that splits, filters and log Q do not see it.
"""

from __future__ import annotations

from itertools import islice
from logging import getLogger
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from recbole_logq.data.dataset.histories import last_items, max_history
from recbole_logq.data.source.atomic_text import AtomicText
from recbole_logq.data.source.header import declared
from recbole_logq.errors import RequestError
from recbole_logq.modules.text import TextHasher

RESERVED = ("inter", "user", "item", "kg", "link", "net")
"""Suffixes of RecBole's files."""


def column_of(name: str) -> str:
    """The column of a batch that holds a second history; a name no atomic file uses."""
    return f"__second_{name}"


class SecondHistory(NamedTuple):
    """Events of all users, one user after the other, in the order of time; a token each.

    Attributes:
        users: User of each, int64 ``[tokens]``.
        times: Time of each, float64 ``[tokens]``.
        buckets: Bucket of each, from 1 on; int32 ``[tokens]``.
    """

    users: Tensor
    times: Tensor
    buckets: Tensor

    def spans(self, users: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """Where the tokens of users begin, and where those end that are earlier than a moment; int64 ``[rows]`` both.

        What bears the very time of a request is none that it knows: nothing says which came first.

        Args:
            users: int64 ``[rows]``.
            before: Moments, float64 ``[rows]``.
        """
        start = torch.searchsorted(self.users, users)
        # Users and ranks of times in one number, by which the tokens are in order.
        moments, rank = torch.cat([self.times, before]).unique(return_inverse=True)
        own, query = rank.split([len(self.times), len(before)])
        width = len(moments) + 1
        return start, torch.searchsorted(self.users * width + own, users * width + query)

    def latest(self, start: Tensor, end: Tensor, length: int) -> Tensor:
        """The last tokens of spans, int64 ``[rows, length]``, right-padded with 0."""
        if not len(self.buckets):
            return torch.zeros(len(start), length, dtype=torch.int64, device=start.device)
        return last_items(self.buckets, start, end, length).long()


def second_names(config: Any) -> dict[str, str]:
    """The files of second histories by suffix, with the column that each reads."""
    return dict(config["second_histories"] or {})


def check_second_histories(values: dict[str, Any]) -> None:
    """Refuse second histories, and ages of examples, that cannot be meant.

    Raises:
        RequestError: The settings do not fit each other; one line names what to set instead.
    """
    names = second_names(values)
    reader = f"second_histories={names}" if names else "example_age=true"
    if not names and not values["example_age"]:
        return
    if values["recbole_order"]:
        raise RequestError(f"recbole_order=true with {reader}: RecBole's times are rounded; leave one out")
    if values["TIME_FIELD"] in (values.get("numerical_features") or []):
        raise RequestError(
            f"numerical_features: {reader} reads {values['TIME_FIELD']} as it is in the file, leave it out"
        )
    if names and values["user_tower"] != "history":
        raise RequestError(f"second_histories={names}: they are pooled beside the first, set user_tower=history too")
    if names and values["request_time"] != "known":
        raise RequestError(
            f"second_histories={names}: what was done before a request says when it is asked, set "
            "request_time=known too"
        )
    if names and values.get("benchmark_filename") is not None:
        raise RequestError("second_histories: parts of a ready-made split may overlap in time; leave one of them out")
    for name, column in names.items():
        if name in RESERVED or not name.isidentifier():
            raise RequestError(f"second_histories: {name!r} is no suffix of a file of its own, such as search")
        if column in (values["USER_ID_FIELD"], values["TIME_FIELD"]):
            raise RequestError(f"second_histories.{name}: {column} says who or when; name the column of what was done")


def check_second_files(config: Any) -> None:
    """Look at the headers of the files before anything is loaded.

    Raises:
        RequestError: A file or a column is missing, or of a type that it must not have.
    """
    for name, column in second_names(config).items():
        file = file_of(config, name)
        if not file.is_file():
            raise RequestError(
                f"second_histories.{name}: {file} does not exist; it has a user, a time and {column} in each line"
            )
        types = declared(file, config)
        kinds_of: dict[str, tuple[str, ...]] = {config["USER_ID_FIELD"]: ("token",), config["TIME_FIELD"]: ("float",)}
        kinds_of[column] = ("token", "token_seq")
        for field, kinds in kinds_of.items():
            if types.get(field) not in kinds:
                difference = f"types it {types[field]}" if field in types else f"has {', '.join(types)}"
                raise RequestError(f"second_histories.{name}: {file.name} needs {field}:{kinds[0]}, and {difference}")


def file_of(config: Any, name: str) -> Path:
    """The file of a second history."""
    return Path(config["data_path"]) / f"{config['dataset']}.{name}"


def holds_several(config: Any, name: str) -> bool:
    """Whether an event of a second history may be several tokens, between blanks."""
    return declared(file_of(config, name), config)[second_names(config)[name]] == "token_seq"


def bucket_of(hasher: TextHasher, token: str) -> int:
    """Bucket of a token, which is hashed as a whole, with the case that it has."""
    return hasher.bucket(f" {token} ")


def some_tokens(config: Any, name: str, n_lines: int = 512) -> list[str]:
    """Tokens of the first lines of a file."""
    lines, column = AtomicText(file_of(config, name), config), second_names(config)[name]
    place, several = list(lines.types).index(column), holds_several(config, name)
    texts = [row[place] for row in islice(lines.rows(), n_lines) if row[place]]
    return [token for text in texts for token in (text.split(config["seq_separator"]) if several else [text]) if token]


def read_second_history(config: Any, name: str, dataset: Any) -> SecondHistory:
    """The events of a file, without those of users that the interactions do not have.

    Args:
        config: The checked settings.
        name: Suffix of the file.
        dataset: Any part of the data, which knows the numbers of users.

    Raises:
        RequestError: A line is none, or a time is no number.
    """
    lines, column = AtomicText(file_of(config, name), config), second_names(config)[name]
    places = [list(lines.types).index(field) for field in (config["USER_ID_FIELD"], config["TIME_FIELD"], column)]
    several = lines.types[column] == "token_seq"
    number, hasher = dataset.field2token_id[dataset.uid_field], TextHasher(config["text_buckets"], 1)
    users, times, buckets = [], [], []
    unknown = empty = 0
    for line, row in enumerate(lines.rows(), 2):
        user, time, text = (row[place] for place in places)
        tokens = [token for token in text.split(config["seq_separator"]) if token] if several else [text] * bool(text)
        try:
            moment = float(time)
        except ValueError:
            moment = np.nan
        if not np.isfinite(moment):
            raise RequestError(f"{lines.file}, line {line}: {time!r} is no time")
        empty += not tokens
        if (known := number.get(user)) is None:
            unknown += 1
            continue
        for token in tokens:
            users.append(known)
            times.append(moment)
            buckets.append(bucket_of(hasher, token))
    getLogger().info(
        f"second_histories.{name}: {len(users):,} tokens of {len(set(users)):,} users; left out: {unknown:,} lines of "
        f"users without interactions, {empty:,} without {column}"
    )
    of_user, of_time = np.array(users, np.int64), np.array(times, np.float64)
    order = np.lexsort([of_time, of_user])  # stable: of one time, the order of the file
    return SecondHistory(
        *(torch.from_numpy(values[order]) for values in (of_user, of_time, np.array(buckets, np.int32)))
    )


class SecondColumns:
    """The columns of second histories of some rows.

    Args:
        config: The checked settings.
        dataset: Part of the data whose interactions the rows are.
        device: Device of the columns.
        rows: Users and moments of the rows; by default those of the interactions.
    """

    def __init__(
        self, config: Any, dataset: Any, device: torch.device, rows: tuple[Tensor, Tensor] | None = None
    ) -> None:
        users, before = rows or (dataset.inter_feat[dataset.uid_field], dataset.inter_feat[dataset.time_field])
        self._length = max_history(config)
        self._columns: dict[str, tuple[SecondHistory, Tensor, Tensor]] = {}
        for name, history in dataset.second_histories.items():
            start, end = (place.to(device) for place in history.spans(users, before))
            on_device = SecondHistory(*(part.to(device) for part in history))
            self._columns[column_of(name)] = on_device, start, end

    def of(self, rows: Tensor | slice) -> dict[str, Tensor]:
        """Columns ``[rows, length]`` of rows, each with the latest before its moment."""
        return {
            column: history.latest(start[rows], end[rows], self._length)
            for column, (history, start, end) in self._columns.items()
        }


def known_buckets(history: SecondHistory, users: Tensor, before: Tensor, n_buckets: int) -> Tensor:
    """What each bucket counts as: itself, or 0 where no training row sees it; int32 ``[1 + buckets]``.

    Args:
        history: Events of all users.
        users: Users of the training rows, int64 ``[rows]``.
        before: Their moments, float64 ``[rows]``.
        n_buckets: Number of buckets.
    """
    _, end = history.spans(users, before)
    place = torch.arange(len(history.users))
    furthest = torch.zeros(int(torch.cat([users, history.users]).max()) + 1, dtype=torch.int64)
    furthest.scatter_reduce_(0, users, end, "amax")  # of each user: where the latest training row's history ends
    seen = history.buckets[place < furthest[history.users]].unique()
    known = torch.zeros(n_buckets + 1, dtype=torch.int32)
    known[seen.long()] = seen
    return known

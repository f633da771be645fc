"""The fingerprint of a split: what it sees and what it does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from recbole_logq.config import Config
from recbole_logq.data.dataset.fingerprint import id_fingerprint, split_fingerprint
from recbole_logq.data.dataset.protocol import protocol_of
from recbole_logq.data.prepare import create_dataset, split_dataset

ROWS = [(user, f"i{(n * step) % 7}", float(n)) for step, user in ((1, "a"), (2, "b"), (3, "c")) for n in range(6)]


def split(data_path: Path, name: str, **settings: Any) -> tuple[Any, list[Any]]:
    eval_args = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    given = {"data_path": str(data_path), "topk": [2], "valid_metric": "MRR@2", "eval_args": eval_args, **settings}
    config = Config("BPR", name, None, given)
    dataset = create_dataset(config)
    return dataset, split_dataset(config, dataset)


def test_row_order_and_ids_do_not_matter_but_ids_have_a_print_of_their_own(write_dataset: Callable[..., Path]) -> None:
    first, parts = split(write_dataset("one", ROWS), "one")
    other, shuffled = split(write_dataset("two", ROWS[::-1]), "two")
    assert split_fingerprint(parts) == split_fingerprint(shuffled)
    assert id_fingerprint(first) != id_fingerprint(other)  # ids go by first appearance


def test_one_other_target_is_seen_and_only_where_it_is(write_dataset: Callable[..., Path]) -> None:
    _, parts = split(write_dataset("one", ROWS), "one")
    changed = [*ROWS[:5], ("a", "i6", 5.0), *ROWS[6:]]
    assert changed != ROWS
    _, others = split(write_dataset("two", changed), "two")
    first, second = split_fingerprint(parts), split_fingerprint(others)
    assert first["test"] != second["test"]
    assert (first["train"], first["valid"]) == (second["train"], second["valid"])


def test_a_test_that_knows_when_it_is_asked_is_another_one(write_dataset: Callable[..., Path]) -> None:
    data_path = write_dataset("one", ROWS)
    _, parts = split(data_path, "one")
    _, known = split(data_path, "one", request_time="known")
    first, second = split_fingerprint(parts), split_fingerprint(known)
    assert first["train"] == second["train"]
    assert first["valid"] != second["valid"]
    assert first["test"] != second["test"]
    assert protocol_of(parts[0].config, parts)["request_time"] == "unknown"
    assert protocol_of(known[0].config, known)["request_time"] == "known"


def test_two_copies_with_other_names_agree_after_mapping(write_dataset: Callable[..., Path]) -> None:
    # As with ml-1m: the second source calls user 1 "1m_1" and names items by their titles.
    titles = {f"i{n}": f"Title, The ({1990 + n})" for n in range(7)}
    copy = [(f"1m_{user}", titles[item], time) for user, item, time in ROWS]
    _, parts = split(write_dataset("one", ROWS), "one")
    _, copied = split(write_dataset("two", copy), "two")
    assert split_fingerprint(copied) != split_fingerprint(parts)
    back = {
        "user_id": {f"1m_{user}": user for user in "abc"},
        "item_id": {title: item for item, title in titles.items()},
    }
    assert split_fingerprint(copied, rename=back) == split_fingerprint(parts)

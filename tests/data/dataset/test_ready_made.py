"""Ready-made splits: the same rows, histories and rankings as the split that the files were cut by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import evaluate, run
from recbole_logq.audits.time_order_audit import audit
from recbole_logq.config import Config
from recbole_logq.data.dataset.fingerprint import split_fingerprint
from recbole_logq.data.dataset.histories import HISTORY
from recbole_logq.data.dataset.item_counts import item_counts
from recbole_logq.data.dataset.protocol import protocol_of, require_common
from recbole_logq.errors import RequestError

PARTS = {"benchmark_filename": ["train", "valid", "test"]}
LAST = {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"}}
RATED = {"load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]}}
HISTORIES = {"user_tower": "history"}
CE: dict[str, Any] = {"train_neg_sample_args": None}
MODELS: list[tuple[str, dict[str, Any]]] = [
    ("TwoTowerLogQ", {}),
    ("TwoTowerLogQ", HISTORIES),
    ("TwoTowerLogQ", {"context_features": ["timestamp"], "request_time": "known"}),
    ("SASRecLogQ", {}),
    ("BPR", {}),
    ("SASRec", CE),
]


def named(data: Any, batch: Any) -> list[Any]:
    """Rows of a batch: users, items and histories by their names."""
    fields = [field for field in ("user_id", "item_id", "item_id_list", HISTORY) if field in batch]
    columns = [data.id2token("user_id" if field == "user_id" else "item_id", batch[field]).tolist() for field in fields]
    return sorted(zip(*([str(row) for row in column] for column in columns), strict=True))


def ranked(loader: Any) -> list[Any]:
    """The rows that are ranked, each with its targets and with what is taken out of its ranking."""
    data, found = loader._dataset, []
    for batch, history, target_rows, target_items in loader:
        rows = [(name, [], []) for name in data.id2token("user_id", batch["user_id"]).tolist()]
        for row, item in zip(target_rows.tolist(), data.id2token("item_id", target_items), strict=True):
            rows[row][1].append(item)
        for row, item in zip(*history, strict=True) if history else ():
            rows[int(row)][2].append(data.id2token("item_id", int(item)))
        found += [*((row, sorted(targets), sorted(out)) for row, targets, out in rows), *named(data, batch)]
    return sorted(map(str, found))


@pytest.mark.parametrize(("model", "settings"), MODELS, ids=str)
def test_it_is_the_split_that_it_was_cut_by(
    write_parts: Callable[..., str], prepare: Callable[..., Any], model: str, settings: dict[str, Any]
) -> None:
    path = write_parts()
    _, ours, loaders = prepare(model, path, **settings, **PARTS)
    _, theirs, computed = prepare(model, path, **settings, **LAST)
    assert split_fingerprint(ours) == split_fingerprint(theirs)
    assert ranked(loaders[1]) == ranked(computed[1])
    assert ranked(loaders[2]) == ranked(computed[2])
    own, other = (
        sorted(row for batch in one[0] for row in named(one[0]._dataset, batch)) for one in (loaders, computed)
    )
    assert own == other


@pytest.mark.parametrize("model", ["SASRecLogQ", "SASRec"])
def test_without_times_parts_are_in_the_order_of_their_files(
    write_parts: Callable[..., str], prepare: Callable[..., Any], tmp_path: Path, model: str
) -> None:
    path = write_parts()
    settings = {**PARTS, **(CE if model == "SASRec" else {})}

    def histories() -> list[Any]:
        data, parts, _ = prepare(model, path, **settings)
        rows = parts[2][torch.arange(len(parts[2]))]
        columns = (rows[field] for field in ("user_id", "item_id", "item_id_list"))
        return sorted(
            map(
                str,
                zip(
                    *(data.id2token("item_id" if n else "user_id", c).tolist() for n, c in enumerate(columns)),
                    strict=True,
                ),
            )
        )

    expected = histories()
    for file in (tmp_path / "data" / "tiny").glob("*.inter"):
        rows = [line.split("\t")[:2] for line in file.read_text().splitlines()]
        file.write_text("\n".join("\t".join(row) for row in rows) + "\n")
    assert histories() == expected
    if model == "SASRecLogQ":
        with pytest.raises(RequestError, match=r"has no column 'timestamp', .*, or set --time=none$"):
            prepare(model, path, **settings, time="both")
        prepare(model, path, **settings, time="none")


def test_a_sequence_goes_by_part_and_then_by_time(
    write: Callable[..., str], prepare: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    head = "user_id:token\titem_id:token\ttimestamp:float"
    path = write([("a", "x", 9), ("a", "y", 1), ("b", "x", 1), ("b", "y", 2)], "train.inter", head)
    write([("a", "z", 5)], "valid.inter", head)
    write([("a", "w", 3), ("c", "y", 1), ("c", "x", 2), ("b", "y", 7)], "test.inter", head)
    loader = prepare("SASRecLogQ", path, **PARTS)[2][2]
    names = loader._dataset.id2token("item_id", next(iter(loader))[0]["item_id_list"])[:, :4].tolist()
    pad = "[PAD]"
    assert sorted(names) == [["x", "y", pad, pad], ["y", pad, pad, pad], ["y", "x", "z", pad]]
    assert "1 of 3 users have interactions that are later than some of a later part" in caplog.text
    assert (
        "test part: 4 interactions; 2 are of users without a training interaction, 1 are of items without a training "
        "interaction, 1 are in an earlier part too (rm_dup_inter=first takes them out), 1 are no targets" in caplog.text
    )


@pytest.mark.parametrize(
    ("filters", "rows"),
    [
        ({"val_interval": {"rating": "[4,inf)"}}, lambda row, count: row[2] >= 4),
        (
            {"val_interval": {"item_id": ["i1", "i2", "i3", "i4"]}},
            lambda row, count: row[1] in {"i1", "i2", "i3", "i4"},
        ),
        ({"user_inter_num_interval": "[5,inf)"}, lambda row, count: count[row[0]] >= 5),
        ({"item_inter_num_interval": "[5,inf)"}, lambda row, count: count[row[1]] >= 5),
    ],
    ids=["ratings", "items", "user count", "item count"],
)
@pytest.mark.parametrize("model", ["TwoTowerLogQ", "BPR"])
def test_filters_go_over_all_parts_and_count_in_training(
    write_parts: Callable[..., str], prepare: Callable[..., Any], log: Any, model: str, filters: Any, rows: Any
) -> None:
    read: dict[str, list[Any]] = {"train": [], "valid": [], "test": []}

    def noted(part: str, row: Any) -> Any:
        read[part].append(row)
        return row

    path = write_parts(noted)
    count = {name: sum(name in row[:2] for row in read["train"]) for name in {n for row in log for n in row[:2]}}
    data, parts, _ = prepare(model, path, **RATED, **PARTS, **filters)
    for part, name in zip(parts, read, strict=True):
        users, items = (data.id2token(field, part.inter_feat[field]).tolist() for field in ("user_id", "item_id"))
        assert sorted(zip(users, items, strict=True)) == sorted(row[:2] for row in read[name] if rows(row, count))


def test_the_earliest_of_repeated_interactions_stays(write: Callable[..., str], prepare: Callable[..., Any]) -> None:
    path = write([("a", "x", 1, 5), ("a", "y", 2, 4), ("a", "x", 3, 1), ("b", "z", 3, 1)], "train.inter")
    write([("a", "y", 1, 6)], "valid.inter")
    write([("a", "x", 1, 0), ("b", "y", 1, 3)], "test.inter")
    _, parts, _ = prepare("TwoTowerLogQ", path, **RATED, **PARTS, rm_dup_inter="first")
    assert [part.inter_feat["timestamp"].tolist() for part in parts] == [[4, 1, 1], [], [3]]


def test_names_are_read_as_they_are_written_and_empty_ones_are_counted(
    write_parts: Callable[..., str], prepare: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    words = {"u1": "NA", "u2": "None", "u3": "", "i1": "null", "i2": "nan", "i3": "N/A"}
    path = write_parts(lambda part, row: (*(words.get(name, name) for name in row[:2]), *row[2:]))
    for model in ("TwoTowerLogQ", "BPR", "SASRecLogQ"):
        data, parts, _ = prepare(model, path, **PARTS)
        assert {"NA", "None"} < set(data.field2id_token["user_id"])
        assert {"null", "nan", "N/A"} < set(data.field2id_token["item_id"])
        assert all((part.inter_feat[field] > 0).all() for part in parts for field in ("user_id", "item_id"))
        assert "interactions have no user or no item and are left out" in caplog.text


def test_the_record_is_true(write_parts: Callable[..., str], prepare: Callable[..., Any], in_tmp: Path) -> None:
    path = write_parts()
    quiet = {"data_path": path, "epochs": 1, "topk": [2], "valid_metric": "MRR@2", "show_progress": False}
    result = run("TwoTowerLogQ", "tiny", config_dict={**quiet, **PARTS})
    made = result["protocol"]
    assert made["split"] == "ready-made"
    assert made["files"] == ["tiny.train.inter", "tiny.valid.inter", "tiny.test.inter"]
    assert "order" not in made
    assert result["parameters"]["eval_args"] == {"mode": {"valid": "full", "test": "full"}}
    require_common([result, result])
    data, parts, _ = prepare("TwoTowerLogQ", path, **LAST)
    with pytest.raises(RequestError, match="measured differently: split is ready-made and"):
        require_common([result, {**result, "protocol": protocol_of(data.config, parts)}])
    again = evaluate(result["checkpoint"])
    assert again["test_result"] == result["test_result"]
    assert again["protocol"] == made
    assert again["same_protocol"]
    with pytest.raises(RequestError, match=r"eval_args\.split beside benchmark_filename"):
        evaluate(result["checkpoint"], config_dict={"eval_args": {"split": {"RS": [8, 1, 1]}}})
    with pytest.raises(RequestError, match="an audit is about one file"):
        audit("tiny", config_dict={"data_path": path, **PARTS})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"benchmark_filename": ["train", "test"]}, "three names"),
        ({"benchmark_filename": ["train", "test", "test"]}, "test is in it 2 times"),
        ({"benchmark_filename": ["train", "../valid", "test"]}, "is no part's name"),
        ({**PARTS, "eval_args": {"split": {"RS": [8, 1, 1]}}}, "eval_args.split beside benchmark_filename"),
        ({**PARTS, "eval_args": {"order": "TO"}}, "eval_args.order beside"),
        ({**PARTS, "eval_args": {"group_by": "user"}}, "eval_args.group_by beside"),
        ({**PARTS, "recbole_order": True}, "leave it out"),
        ({**PARTS, "rm_dup_inter": "last"}, "set rm_dup_inter=first"),
    ],
    ids=str,
)
def test_what_makes_no_sense_beside_it_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        Config("BPR", "tiny", None, settings)
    assert "\n" not in str(caught.value)


def test_files_that_do_not_go_together_are_refused(
    write_parts: Callable[..., str], write: Callable[..., str], prepare: Callable[..., Any], log: Any
) -> None:
    path = write_parts()
    with pytest.raises(RequestError, match=r"tiny\.dev\.inter does not exist; .* tiny\.test\.inter, tiny\.train"):
        prepare("BPR", path, benchmark_filename=["train", "dev", "test"])
    prefixes = "user_id:token\titem_id:token\titem_id_list:token_seq"
    write([], "test.inter")
    with pytest.raises(RequestError, match=r"tiny\.test\.inter has no rows to read, and it is the test part"):
        prepare("BPR", path, **PARTS)
    write([row[:3] for row in log], "valid.inter", "user_id:token\titem_id:token\trating:float")
    with pytest.raises(RequestError, match=r"train\.inter has the column timestamp and tiny\.valid\.inter has not"):
        prepare("BPR", path, **PARTS)
    for part in PARTS["benchmark_filename"]:
        write([("a", "x", "y z"), ("b", "y", "x")], f"{part}.inter", prefixes)
    with pytest.raises(RequestError, match="SASRecLogQ trains on whole sequences"):
        prepare("SASRecLogQ", path, **PARTS)
    columns = {"alias_of_item_id": ["item_id_list"], "load_col": {"inter": ["user_id", "item_id", "item_id_list"]}}
    with pytest.raises(RequestError, match="val_interval beside benchmark_filename"):
        prepare("SASRec", path, **PARTS, **columns, **CE, val_interval={"item_id": ["x"]})
    _, parts, _ = prepare("SASRec", path, **PARTS, **columns, **CE)
    assert parts[2].inter_feat["item_length"].tolist() == [2, 1]
    (Path(path) / "tiny" / "tiny.inter").unlink()
    with pytest.raises(RequestError, match=r"tiny\.inter does not exist; .*--benchmark_filename=\[train,valid,test\]"):
        prepare("BPR", path)


def test_a_validation_part_may_be_empty(
    write_parts: Callable[..., str], write: Callable[..., str], prepare: Callable[..., Any]
) -> None:
    path = write_parts()
    write([], "valid.inter")
    data, parts, loaders = prepare("SASRecLogQ", path, **PARTS)
    assert len(parts[1]) == 0
    assert loaders[1] is None
    assert protocol_of(data.config, parts)["split"] == "ready-made"


def test_popularity_is_counted_in_the_training_file(
    write_parts: Callable[..., str], prepare: Callable[..., Any]
) -> None:
    path, counted = write_parts(), []
    for model in ("TwoTowerLogQ", "SASRecLogQ"):
        data, parts, _ = prepare(model, path, **PARTS)
        names, counts = data.id2token("item_id", range(data.item_num)), item_counts(parts[0]).tolist()
        counted.append(dict(zip(names, counts, strict=True)))
    rows = (Path(path) / "tiny" / "tiny.train.inter").read_text(encoding="utf-8").splitlines()[1:]
    expected = Counter(row.split("\t")[1] for row in rows)
    assert [{name: count for name, count in one.items() if count} for one in counted] == [expected, expected]

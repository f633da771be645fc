"""What a message says to set works: the request is made again with it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from recbole_logq.cli import main
from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset
from recbole_logq.errors import RequestError
from recbole_logq.parsing import nest, parse_arguments, parse_value

LEAVE_ONE_OUT = '--eval_args="{split: {LS: valid_and_test}, order: TO}"'
OBSERVED = "--loss=bce --negatives.source=observed --negatives.field=rating --negatives.below=3 --negatives.count=8"
CASES = [  # model, dataset, request, which of the things that are said is done
    ("SASRecLogQ", "untimed", "", ["--model=", "--eval_args="]),
    ("GRU4Rec", "untimed", "--train_neg_sample_args=None", ["--model=", "--eval_args="]),
    ("TwoTowerLogQ", "untimed", LEAVE_ONE_OUT, ["--eval_args="]),
    ("TwoTowerLogQ", "untimed", "--eval_args.split.GTS=[8,1,1]", ["--eval_args="]),
    ("TwoTowerLogQ", "untimed", f"{LEAVE_ONE_OUT} --user_tower=history", ["--user_tower=id", "--eval_args="]),
    (
        "TwoTowerLogQ",
        "untimed",
        f"{LEAVE_ONE_OUT} --user_tower=history --time=gaps",
        ["--user_tower=id", "--time=none", "--eval_args="],
    ),
    ("SASRecLogQ", "untimed", "--time=both", ["--model=", "--time=none", "--eval_args="]),
    ("TwoTowerLogQ", "tiny", f"{LEAVE_ONE_OUT} --load_col.inter=[user_id,item_id]", ["--load_col.inter="]),
    ("TwoTowerLogQ", "tiny", "--user_tower=history", ["--eval_args="]),
    ("BPR", "tiny", "--val_interval.rating=(3,inf)", ["--load_col.inter="]),
    ("BPR", "tiny", "--val_interval.year=(2000,inf)", ["--load_col.item="]),
    ("BPR", "tiny", "--val_interval.year=(2000,inf) --load_col.item=[item_id]", ["--load_col.item="]),
    ("TwoTowerLogQ", "tiny", "--threshold.rating=3", ["--val_interval.rating=", "--load_col.inter="]),
    ("TwoTowerLogQ", "tiny", "--threshold.rating=3", ["--loss=", "--negatives."]),
    ("SASRecMNS", "tiny", "--threshold.rating=3", ["--loss=", "--negatives."]),
    ("DeepFM", "tiny", "", ["--threshold.rating=3"]),
]
UNLOADED = [
    ("BPR", "--val_interval.rating=(3,inf)", "rating"),
    ("BPR", "--threshold.rating=3", "rating"),
    ("TwoTowerLogQ", "--weight_field=rating", "rating"),
    ("TwoTowerLogQ", "--grade_field=rating", "rating"),
    ("TwoTowerLogQ", OBSERVED, "rating"),
    ("BPR", "", "item_id"),
    ("TwoTowerLogQ", LEAVE_ONE_OUT, "timestamp"),
    ("SASRecLogQ", "", "timestamp"),
    ("BPR", "--load_col.inter=[user_id,item_id]", "rating"),
]


@pytest.fixture
def data(in_tmp: Path, tiny: str) -> Path:
    untimed = "\n".join("\t".join(line.split("\t")[:3]) for line in tiny.splitlines())
    years = "".join(f"i{n}\t{1990 + n}\n" for n in range(40))
    for name, text in (("tiny", tiny), ("untimed", untimed)):
        (in_tmp / "data" / name).mkdir(parents=True)
        (in_tmp / "data" / name / f"{name}.inter").write_text(text, encoding="utf-8")
    (in_tmp / "data" / "tiny" / "tiny.item").write_text(f"item_id:token\tyear:float\n{years}", encoding="utf-8")
    return in_tmp


def prepare(words: list[str]) -> None:
    config = Config(config_dict={**parse_arguments(words), "data_path": "data", "state": "ERROR"})
    create_dataset(config).build()


@pytest.mark.parametrize(("model", "dataset", "request_", "chosen"), CASES, ids=lambda value: str(value))
def test_what_is_said_works(
    data: Path, capsys: pytest.CaptureFixture[str], model: str, dataset: str, request_: str, chosen: list[str]
) -> None:
    words = [f"--model={model}", f"--dataset={dataset}", *shlex.split(request_)]
    assert main([*words, "--data_path=data", "--state=ERROR"]) == 2
    message = capsys.readouterr().err
    advice = [word.rstrip(",;:.") for word in shlex.split(message) if word.startswith("--")]
    taken = [word for word in advice if word.startswith(tuple(chosen))]
    assert len(taken) >= len(chosen), message
    settings = [re.match(r"--([^=]+)=", word)[1] for word in taken]  # type: ignore[index]
    replaced = [*settings, "threshold"] if "--threshold.rating=3" in words else settings
    kept = [word for word in words if not any(word.startswith((f"--{name}=", f"--{name}.")) for name in replaced)]
    prepare([*kept, *taken])


@pytest.mark.parametrize(("model", "request_", "column"), UNLOADED)
def test_a_column_that_is_left_out_and_needed(data: Path, model: str, request_: str, column: str) -> None:
    words = [f"--model={model}", "--dataset=tiny", *shlex.split(request_)]
    with pytest.raises(RequestError, match=r"unload_col\.inter") as refusal:
        prepare([*words, f"--unload_col.inter=[{column}]"])
    assert re.search("take it out of|keep one of them", str(refusal.value))
    if "val_interval" not in request_ and "load_col" not in request_:
        prepare(words)


def test_columns_are_left_out_of_all_that_a_file_has(data: Path) -> None:
    words = ["--model=BPR", "--dataset=tiny", "--data_path=data", "--state=ERROR"]
    dataset = create_dataset(Config(config_dict=parse_arguments([*words, "--unload_col.inter=[rating]"])))
    assert list(dataset.inter_feat) == ["user_id", "item_id", "timestamp"]
    assert dataset.item_feat is None
    dataset = create_dataset(Config(config_dict=parse_arguments([*words, "--unload_col.item=[year]"])))
    assert (list(dataset.inter_feat), list(dataset.item_feat)) == (["user_id", "item_id"], ["item_id"])


@pytest.mark.parametrize("text", [">3", "|3", ">=3", "# 3", "3 # and more", "--- 3", "&a 3"])
def test_a_value_is_quoted_as_it_was_written(data: Path, text: str) -> None:
    for key in ("val_interval.rating", "epochs"):
        assert parse_value(key, text) == text
    with pytest.raises(RequestError, match=re.escape(f"val_interval.rating='{text}': expected an interval such as")):
        prepare(["--model=BPR", "--dataset=tiny", "--load_col=None", f"--val_interval.rating={text}"])
    assert nest({"a": parse_value("a", "!!str 3")}) == {"a": "3"}

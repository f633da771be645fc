"""One rule for numbers, wherever one is written: settings of every kind of model, and flags of every command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recbole_logq.cli import main
from recbole_logq.config import Config
from recbole_logq.data.dataset.value_intervals import parse_intervals
from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan import make_plan
from recbole_logq.lab.estimator import Estimator
from recbole_logq.numerals import as_number, as_whole
from recbole_logq.parsing import parse_arguments
from recbole_logq.serving.index import check_index
from recbole_logq.sweeps.params_file import read_params_file
from recbole_logq.sweeps.space import parse_space

WRITTEN = {"010": 10, "1_0": 10, "1e1": 10, "0xa": 10, "0b1010": 10, " 10": 10, "+10": 10, "10.0": 10}
NO_NUMBER = ["٣", "inf", "nan", "1,0", "1:0", "1__0", "_1", "0x", "0o7", "ten", "½", "1 0", "true"]


@pytest.mark.parametrize(("text", "number"), WRITTEN.items())
def test_a_number_as_a_text(text: str, number: int) -> None:
    assert as_number(text) == as_whole(text) == number
    assert as_number([text, "a"]) == [number, "a"]


@pytest.mark.parametrize("text", [*NO_NUMBER, "", "9" * 2000, "9" * 400])
def test_what_is_no_number_stays_a_text(text: str) -> None:
    assert as_number(text) == text
    assert as_whole(text) is None


def test_what_is_no_text_stays_what_it_is() -> None:
    assert as_number(None) is None
    assert as_number(True) is True
    assert as_whole(True) is None
    assert as_whole(2.5) is None
    assert as_number("1e400") == float("inf")  # each setting says that it wants a finite one


def test_digits_of_another_base_without_a_digit_are_text() -> None:
    assert parse_arguments(["--some=0x_", "--other=0b_"]) == {"some": "0x_", "other": "0b_"}


SETTINGS = [  # model, setting, how to reach it
    ("TwoTowerLogQ", "epochs", ("epochs",)),
    ("TwoTowerLogQ", "embedding_size", ("embedding_size",)),
    ("BPR", "epochs", ("epochs",)),
    ("BPR", "embedding_size", ("embedding_size",)),
    ("LightGCN", "n_layers", ("n_layers",)),
    ("BPR", "loss_decimal_place", ("loss_decimal_place",)),
    ("BPR", "train_neg_sample_args.sample_num", ("train_neg_sample_args", "sample_num")),
    ("TwoTowerCBNS", "negatives.memory", ("negatives", "memory")),
    ("TwoTowerUniform", "negatives.count", ("negatives", "count")),
    ("SASRecSCE", "loss_options.bucket_items", ("loss_options", "bucket_items")),
]


@pytest.mark.parametrize(("model", "setting", "path"), SETTINGS, ids=lambda value: str(value))
def test_settings_of_all_models(model: str, setting: str, path: tuple[str, ...]) -> None:
    for given in (parse_arguments([f"--{setting}=010"]), parse_arguments([f"--{setting}=1e1"]), {setting: "0xa"}):
        value: Any = Config(model, "ml-100k", None, given)
        for key in path:
            value = value[key]
        assert (value, type(value)) == (10, int), given
    with pytest.raises(RequestError, match=path[-1]):
        Config(model, "ml-100k", None, parse_arguments([f"--{setting}=٣"]))


def test_lists_and_fractions() -> None:
    given = parse_arguments(["--topk=[010,2_0]", "--learning_rate=01e-3", "--eval_args.split.RS=[08,1,01]"])
    config = Config("BPR", "ml-100k", None, {**given, "valid_metric": "MRR@10"})
    assert (config["topk"], config["learning_rate"]) == ([10, 20], 0.001)
    assert config["eval_args"]["split"] == {"RS": [8, 1, 1]}
    assert Config("NeuMF", "ml-100k", None, parse_arguments(["--mlp_hidden_size=[010,8]"]))["mlp_hidden_size"] == [
        10,
        8,
    ]
    assert Config("BPR", "ml-100k", None, {"threshold.rating": "03"})["threshold"] == {"rating": 3}


@pytest.mark.parametrize(("text", "number"), WRITTEN.items())
def test_flags_of_commands(text: str, number: int, tmp_path: Path) -> None:
    options = parse_arguments([f"--seeds={text}", "--models=BPR", "--dataset=ml-100k"])
    assert [run.seed for run in make_plan([], options).runs] == list(range(1, 11))
    assert check_index("hnsw", {"neighbours": text}) == {"neighbours": number}
    assert Estimator.parse(f"CBNS:memory={text}").options["memory"] == number
    assert parse_intervals(f"[{text},inf)")[0].low == number
    assert parse_space({"epochs": {"randint": [1, text]}})[0].values == (1, number)
    (tmp_path / "a.test").write_text(f"dropout uniform 1,{text.strip()}\n", encoding="utf-8")
    assert read_params_file(tmp_path / "a.test") == {"dropout": {"uniform": [1, number]}}


COMMANDS = {
    "k": ["recommend", "--model=nowhere", "--users=a"],
    "processes": ["compare", "--models=BPR", "--dataset=nowhere"],
    "seeds": ["compare", "--models=BPR", "--dataset=nowhere"],
    "items": ["lab", "--rows=2", "--pools=32", "--counts=[4]", "--estimators=Uniform", "--show_progress=false"],
    "nproc": ["--model=BPR", "--dataset=nowhere"],
}


@pytest.mark.parametrize("flag", COMMANDS)
def test_a_command_reads_its_flag_or_says_that_it_is_no_number(
    flag: str, in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("010", "0xa", "1e1"):
        main([*COMMANDS[flag], f"--{flag}={text}"])
        assert "a whole number" not in capsys.readouterr().err
    for text in ("٣", "inf", "1:0"):
        assert main([*COMMANDS[flag], f"--{flag}={text}"]) == 2
        assert f"{flag}='{text}'" in capsys.readouterr().err


def test_one_process_is_one_however_it_is_written(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model=BPR", "--dataset=nowhere", "--nproc=01"]) == 2
    assert "no data set 'nowhere'" in capsys.readouterr().err

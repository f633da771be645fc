"""Text becomes values as YAML says, and nothing is ever run."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.errors import RequestError
from recbole_logq.parsing import nest, parse_arguments, parse_value, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-2.5e-2", -0.025),
        ("True", True),
        ("false", False),
        ("None", None),
        ("~", None),
        ("[10, 100]", [10, 100]),
        ("['Recall','NDCG']", ["Recall", "NDCG"]),
        ("{'LS': 'valid_and_test'}", {"LS": "valid_and_test"}),
        ("[5,inf)", "[5,inf)"),
        ("2020-01-01", "2020-01-01"),
        ("__import__('os').system('true')", "__import__('os').system('true')"),
        ("!!python/object/apply:os.abort []", "!!python/object/apply:os.abort []"),
    ],
)
def test_values(text: str, value: Any) -> None:
    parsed = parse_value("some_key", text)
    assert parsed == value
    assert type(parsed) is type(value)


def test_text_keys_stay_text() -> None:
    assert parse_value("dataset", "123") == "123"
    assert parse_value("user_inter_num_interval", "[5,10]") == "[5,10]"


def test_arguments() -> None:
    words = ["--model=BPR", "--negatives.count=64", "--negatives.source=uniform", "--wandb_project=a=b"]
    assert parse_arguments(words) == {
        "model": "BPR",
        "negatives": {"count": 64, "source": "uniform"},
        "wandb_project": "a=b",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--epochs"], "write --epochs=VALUE"),
        (["epochs=3"], "write --key=value"),
        (["--epochs=3", "--epochs=4"], "given twice"),
        (["--output="], "has no value"),
        (["--=3"], "write --key=value"),
    ],
)
def test_bad_arguments(words: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        parse_arguments(words)


def test_a_section_cannot_be_a_value_too() -> None:
    with pytest.raises(RequestError, match=r"negatives\.count cannot be set"):
        nest({"negatives": 3, "negatives.count": 4})


@pytest.mark.parametrize(
    "parts",
    [
        {"negatives": {"count": 4}, "negatives.source": "uniform"},
        {"negatives.source": "uniform", "negatives": {"count": 4}},
        {"negatives.source": "uniform", "negatives.count": 4},
    ],
    ids=str,
)
def test_a_section_in_parts_is_one_section(parts: dict[str, Any]) -> None:
    before = deepcopy(parts)
    assert nest(parts) == {"negatives": {"source": "uniform", "count": 4}}
    assert parts == before
    assert parse_arguments([f"--{key}={value}" for key, value in parts.items()]) == nest(parts)


@pytest.mark.parametrize(
    "parts",
    [
        {"a": {"b": 1}, "a.b": 2},
        {"a.b": 2, "a": {"b": 1}},
        {"a.b.c": 1, "a": {"b": {"c": 2}}},
        {"a.b": 1, "a": 2},
        {5: 1},
    ],
    ids=str,
)
def test_two_values_and_names_that_are_no_text_are_refused(parts: dict[Any, Any]) -> None:
    with pytest.raises(RequestError, match=r"is given twice|is a text"):
        nest(parts)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epochs: 3\nepochs: 4\n", r"line 2: .*'epochs' is given twice"),
        ("a: 1\nb: [1, 2\nc: 3\n", r"line \d"),
        ("- 1\n- 2\n", "expected `key: value` lines"),
        ("3: 4\n", "expected `key: value` lines"),
        ("a: !!python/object/apply:os.abort []\n", "line 1"),
        ("a: !!python/name:os.abort\n", "line 1"),
    ],
)
def test_bad_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RequestError, match=message):
        read_yaml(path)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read .*none\.yaml: No such file"):
        read_yaml(tmp_path / "none.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: \xff\xfe\n")
    with pytest.raises(RequestError, match="cannot read"):
        read_yaml(path)


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n", encoding="utf-8")
    assert read_yaml(path) == {}


def test_a_section_and_its_parts_in_any_order() -> None:
    section = {"source": "uniform"}
    assert nest({"negatives.count": 5, "negatives": section}) == {"negatives": {"count": 5, "source": "uniform"}}
    assert nest({"negatives": section, "negatives.count": 5}) == {"negatives": {"count": 5, "source": "uniform"}}
    assert section == {"source": "uniform"}  # what was given is not written into


@pytest.mark.parametrize(
    "given", [{"negatives.count": 5, "negatives": {"count": 6}}, {"negatives.count": 5, "negatives": 6}], ids=str
)
def test_a_part_that_a_section_would_replace_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"negatives"):
        nest(given)

"""Text becomes values as YAML says, and nothing is ever run."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.errors import RequestError
from recbole_logq.parsing import nest, parse_arguments, parse_value, read_json, read_yaml

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)


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
        ("010", "010"),
        ("08", "08"),
        ("9" * 5000, "9" * 5000),
        ("0x" + "f" * 5000, "0x" + "f" * 5000),
        ("1:30", "1:30"),
        ("1:30.5", "1:30.5"),
        ("1_000", 1000),
        ("0x10", 16),
        ("007.5", 7.5),
        ("1e5", 100000.0),
        ("no", False),
        ("[NO, on, y, true]", ["NO", "on", "y", True]),
        ("{on: 1, 010: 2, null: 3}", {"on": 1, "010": 2, "null": 3}),
        ("!!str 12", "12"),
        ("!!binary aGk=", "!!binary aGk="),
        ("*", "*"),
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
        ("a: 1\nb: !!set {c}\n", r"line 2: .*no tags are read here, found !!set"),
        ("a: 1\nb: !!timestamp 2020-01-01\n", r"line 2: .*found !!timestamp"),
        ("a: !!int 010\n", r"line 1: .*found !!int"),
        (LAUGHS, r"line \d+: .*more than 100,000 values"),
        ("a: &a\n  b: *a\n", r"line 2: .*\*a stands within itself"),
        ("a: 1\nb: " + "[" * 5000, r"line 2: .*nested deeper than 30 levels"),
        ("a: " + "{b: " * 5000, r"line 1: .*nested deeper than 30 levels"),
        ("b: " + "- " * 5000, r"bad\.yaml"),
        ("a: 1\nb: x\x07y\n", r"line 2: a control character, '\\x07'"),
        ("a: 1\nb: x\0y\n", r"line 2: a control character"),
        ('a: 1\nb: "x\\0y"\n', r"line 2: .*NUL"),
        ("a: {b: 1}\nc:\n\td: 2\n", r"line 3: "),
        ("a: &a {b: 1}\nc:\n  <<: *a\n  <<: *a\n", r"line 4: .*'<<' is given twice"),
        ("a:\n  <<: 3\n", r"line 2: .*for merging"),
        ("a: {b: 1,\n  b: 2}\n", r"line 2: .*'b' is given twice"),
        ("a: {1: 1,\n  1: 2}\n", r"line 2: .*'1' is given twice"),
        ("a: 1\n---\nb: 1\n", r"line 2: .*another document"),
        ("? [a]\n: 1\n", r"line 1: .*unhashable"),
        ("a: " + "x" * 300_000, "larger than 256 KB"),
        ("a: !!python/object/apply:os.abort []\n", "line 1"),
        ("a: !!python/name:os.abort\n", "line 1"),
    ],
)
def test_bad_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RequestError, match=message):
        read_yaml(path)


def test_merge_keys(tmp_path: Path) -> None:
    path = tmp_path / "merge.yaml"
    path.write_text("base: &base {a: 1, b: 2}\nmore:\n  <<: [*base, {a: 5, c: 3}]\n  b: 7\n", encoding="utf-8")
    assert read_yaml(path)["more"] == {"a": 1, "b": 7, "c": 3}


def test_names_in_filters_stay_as_they_are_written_wherever_the_filter_stands(tmp_path: Path) -> None:
    names = "[NO, 0x10, 1_000, 010, ~]"
    texts = ["NO", "0x10", "1_000", "010", "~"]
    file = tmp_path / "a.yaml"
    file.write_text(
        f"a: &a {{val_interval: {{country: {names}}}}}\nsettings: {{<<: *a}}\nb: &b {{city: {names}}}\n"
        f"val_interval: {{<<: *b, country: {names}}}\nmodels: [{{val_interval.country: {names}}}]\nother: [0x10]\n",
        encoding="utf-8",
    )
    content = read_yaml(file)
    assert content["settings"]["val_interval"]["country"] == texts
    assert content["val_interval"] == {"city": texts, "country": texts}
    assert content["models"] == [{"val_interval.country": texts}]
    assert content["b"]["city"] == ["NO", 16, 1000, "010", None]  # the same anchor is read as usual elsewhere
    assert content["other"] == [16]
    words = [f"--settings.val_interval.country={names}", f"--settings={{val_interval: {{city: {names}}}}}"]
    for word, key in zip(words, ("country", "city"), strict=True):
        assert parse_arguments([word])["settings"]["val_interval"][key] == texts
    assert parse_arguments(["--user_inter_num_interval=None"]) == {"user_inter_num_interval": None}


def test_the_mark_of_an_editor_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "mark.yaml"
    path.write_bytes("\ufeffepochs: 3\n".encode())
    assert read_yaml(path) == {"epochs": 3}


def test_values_that_cannot_be_built_are_refused_on_the_command_line_too() -> None:
    for words in (["--a=" + "[" * 5000], ["--a" + ".b" * 5000 + "=1"]):
        with pytest.raises(RequestError, match="nested deeper than 30 levels"):
            parse_arguments(words)


def test_json_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for content, message in ((b"[" * 100_000, "nested too deep"), (b"{", "line 1"), (b"\xff\xfe", "a.json")):
        path.write_bytes(content)
        with pytest.raises(RequestError, match=message):
            read_json(path)
    with pytest.raises(RequestError, match="No such file"):
        read_json(tmp_path / "none.json")


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"cannot read .*none\.yaml: No such file"):
        read_yaml(tmp_path / "none.yaml")
    path = tmp_path / "latin.yaml"
    for content, line in ((b"a: 1\nb: \xff\xfe\n", 2), ("a: 1\n".encode("utf-16"), 1)):
        path.write_bytes(content)
        with pytest.raises(RequestError, match=f"cannot read .*line {line} is not UTF-8 text"):
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

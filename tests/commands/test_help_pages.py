"""Help: an overview, a page for every command, and flags that are described, checked and shown by example."""

from __future__ import annotations

import shlex

import pytest

from recbole_logq.cli import COMMANDS, main
from recbole_logq.flags import take_flags
from recbole_logq.parsing import parse_arguments
from recbole_logq.reference import all_settings
from recbole_logq.settings import CommonSettings, RetrievalSettings


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(words) == 0
    return capsys.readouterr().out


def test_the_overview_names_all_commands_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(["--help"], capsys)
    assert text == printed(["help"], capsys)
    entries = text.split("\n\n")[1]
    for name, command in COMMANDS.items():
        assert f"\n  {name} " in f"\n{entries}"
        assert " ".join(command.SUMMARY.split()) in " ".join(entries.split())
    assert max(map(len, entries.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_a_page_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed([name, "--help"], capsys)
    assert text == printed(["help", name], capsys)
    assert text.startswith(f"usage: recbole-logq {name} ")
    flags = {key: field for model in COMMANDS[name].FLAGS for key, field in model.model_fields.items()}
    for key, field in flags.items():
        assert field.description, f"{name} --{key} has no description"
        assert f"\n  --{key}" in text or f"\n  --{key.replace('_', '-')}" in text
        assert " ".join(field.description.split()[:3]) in " ".join(text.split())
        if field.is_required():
            assert f"--{key}=" in text.splitlines()[0]
    assert text.count("\n  recbole-logq ") == 2
    body = text.partition("\nExamples:")[0].splitlines()
    assert max(map(len, body)) <= 80


@pytest.mark.parametrize(("name", "example"), [(n, e) for n, c in COMMANDS.items() for e in c.EXAMPLES])
def test_an_example_is_one(name: str, example: str) -> None:
    program, *words = shlex.split(example)
    command = COMMANDS[name]
    assert program == "recbole-logq"
    if not words or words[0].startswith("-"):
        assert name == "run"
    else:
        assert words.pop(0) == name
    if words and not words[0].startswith("-"):
        words[0] = f"--{command.POSITIONAL}={words[0]}"
    options = parse_arguments(words)
    take_flags(options, command.FLAGS[0], settings=True)
    further = {key for model in command.FLAGS[1:] for key in model.model_fields}
    if hasattr(command, "SETTINGS"):
        further |= {*CommonSettings.model_fields, *RetrievalSettings.model_fields}
    assert options.keys() <= further


def test_a_page_of_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exprot", "--help"]) == 2
    assert capsys.readouterr().err == "error: no command named 'exprot' - did you mean export? (see --help)\n"
    assert printed(["--model=BPR", "--help"], capsys).startswith("usage: recbole-logq run ")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["compare", "--models=BPR", "--dataset=x", "--processes=0"], "processes=0: a whole number, 1 or more"),
        (["compare", "--models=BPR", "--dataset=x", "--processes=2.5"], "processes=2.5: a whole number, 1 or more"),
        (["compare", "--models=BPR", "--dataset=x", "--processes=true"], "write --processes=N"),
        (["lab", "--counts=[64, 1]"], "counts=1: a list of whole numbers, each 2 or more"),
        (["lab", "--zipf=true"], "--zipf has no value: write --zipf=X"),
        (["lab", "--stage=late"], "stage='late': early, mid, converged"),
        (["lab", "--folding", "--rows=3"], "unknown setting rows"),
        (["convert", "--input=a", "--dataset=b", "--keep=rating"], "keep='rating': a name of a column with its type"),
        (["settings", "--format=html"], "format='html': text, markdown"),
        (["settings", "BPR", "--model=Pop"], "--model is given twice"),
        (["settings", "BRP"], "no model named 'BRP' - did you mean BPR?"),
        (["run", "--resume"], "--resume has no value: write --resume=FILE"),
    ],
    ids=str,
)
def test_a_wrong_flag_is_answered_in_one_line(
    words: list[str], line: str, in_tmp: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1


def test_all_settings_are_described() -> None:
    sections = all_settings()
    assert len(sections) > 10
    bare = [setting.name for section in sections for setting in section.settings if not setting.description]
    assert bare == []

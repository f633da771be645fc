"""docs/sources.md: every setting and flag that it names is there, and the models with their settings are accepted."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.cli import COMMANDS
from recbole_logq.config import Config
from recbole_logq.lab.estimator import Estimator
from recbole_logq.parsing import parse_arguments
from recbole_logq.reference import all_settings

PAGE = (Path(__file__).parents[1] / "docs" / "sources.md").read_text(encoding="utf-8")
SNIPPETS = [text for text in re.findall(r"`([^`]+)`", PAGE) if "--" in text]


def test_every_setting_and_flag_is_known() -> None:
    known = {setting.name for section in all_settings() for setting in section.settings}
    known |= {field for module in COMMANDS.values() for model in module.FLAGS for field in model.model_fields}
    known |= {"model", "dataset"}
    named = {key.replace("-", "_") for text in SNIPPETS for key in re.findall(r"--([\w.-]+)", text)}
    assert len(named) > 50
    assert {key for key in named if key not in known and not key.startswith("space.")} == set()


@pytest.mark.parametrize("text", [text for text in SNIPPETS if text.startswith("--model=")])
def test_models_are_accepted(text: str) -> None:
    settings: dict[str, Any] = parse_arguments(shlex.split(text.replace("...", "FullSoftmax")))
    model = settings.pop("model")
    assert Config(model, "ml-100k", None, settings)["model"] == model


def test_estimators_are_accepted() -> None:
    names = [name for text in SNIPPETS for name in re.findall(r'--estimators="?([^"`]+?)"?(?: --|$)', text)]
    assert len(names) > 4
    for name in " ".join(names).split():
        assert Estimator.parse(name).name == name


def test_every_source_is_in_a_table() -> None:
    heads = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert len(heads) == 6
    for section in PAGE.split("\n## ")[1:]:
        assert section.count("\n| ") > 4, section.splitlines()[0]

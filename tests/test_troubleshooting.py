"""The messages that docs/troubleshooting.md explains are messages of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^\| `([^`|]+)` \| [^|]+ \| [^|]+ \|$", PAGE, re.MULTILINE)


def _texts() -> Iterator[str]:
    """Every text of the package, with a blank mark where a value is put in."""
    for path in (ROOT / "recbole_logq").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
                yield "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


TEXTS = list(_texts())


def stands_in_the_code(message: str) -> bool:
    """Whether one text of the code has the fixed parts of a message, one after the other."""
    fixed = [part.strip() for part in message.split("...") if part.strip(" :=")]
    pattern = re.compile(".*?".join(map(re.escape, fixed)), re.DOTALL)
    return any(pattern.search(text) for text in TEXTS)


def test_there_are_messages() -> None:
    assert len(MESSAGES) > 25


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_is_one_of_the_code(message: str) -> None:
    assert stands_in_the_code(message)


def test_another_message_is_not() -> None:
    assert not stands_in_the_code("no model called ...")
    assert not stands_in_the_code("... interactions without a user of ...")

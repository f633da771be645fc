"""A dataset of a minute's making, and the tables of docs/reliability.md, which the tests fill and compare.

uv run pytest -n0 tests/reliability --write-docs    # write the tables anew
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
WRITE = "--write-docs"
Seen = Callable[[str, str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(WRITE, action="store_true", help="write what the tests see into docs/reliability.md (with -n0)")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ROWS] = {}


_ROWS = pytest.StashKey[dict[str, dict[str, str]]]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not session.config.getoption(WRITE):
        return
    page = PAGE.read_text(encoding="utf-8")
    for table, rows in session.config.stash[_ROWS].items():
        pattern = rf"(<!-- {table} -->\n\n(?:.*\n){{2}})(?:\|.*\n)*"  # the head of the table stands in the page
        page = re.sub(pattern, lambda found, rows=rows: found[1] + "".join(f"{row}\n" for row in rows.values()), page)
    PAGE.write_text(page, encoding="utf-8")


def rows_of(table: str) -> list[str]:
    """The rows of a table that the page holds."""
    found = re.search(rf"<!-- {table} -->\n\n(?:.*\n){{2}}((?:\|.*\n)*)", PAGE.read_text(encoding="utf-8"))
    assert found, f"docs/reliability.md has no table {table}"
    return found[1].splitlines()


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Seen:
    """``seen(table, name, row)``: the row is in the page's table as it stands here, or is written there."""

    def see(table: str, name: str, *cells: str) -> None:
        row = "| " + " | ".join(cell.replace("|", "\\|") for cell in (name, *cells)) + " |"
        if request.config.getoption(WRITE):
            request.config.stash[_ROWS].setdefault(table, {})[name] = row
        else:
            assert row in rows_of(table), f"write the page anew: uv run pytest -n0 tests/reliability {WRITE}\n{row}"

    return see


@pytest.fixture
def names_in_page(request: pytest.FixtureRequest) -> Callable[[str], list[str]]:
    """The first cells of a table of the page."""
    if request.config.getoption(WRITE):
        pytest.skip("the page is being written")
    return lambda table: [row.split(" | ")[0].removeprefix("| ") for row in rows_of(table)]


def interactions(users: int = 60, items: int = 40, each: int = 12, seed: int = 1) -> str:
    """An atomic file: every user has ``each`` different items, in time order, low numbers more often."""
    draw = random.Random(seed)
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(users):
        had: dict[int, None] = {}
        while len(had) < each:
            had[int(items * draw.random() ** 2)] = None
        lines += [f"u{user}\ti{item}\t{1 + item % 5}\t{100 * user + n}" for n, item in enumerate(had)]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def tiny() -> str:
    """60 users with 12 of 40 items each, as the text of an atomic file."""
    return interactions()


@pytest.fixture(scope="session")
def killer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Kills and resumes one run after the other; everything is imported once."""
    folder = tmp_path_factory.mktemp("killer")
    command = [sys.executable, str(Path(__file__).with_name("killer.py"))]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(job: dict[str, Any]) -> dict[str, Any]:
            print(json.dumps(job), file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())  # type: ignore[union-attr]

        yield ask
        process.stdin.close()

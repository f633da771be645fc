"""Docstrings: parts and running examples of losses and samplers; entries and prose that are no fragments."""

import ast
import doctest
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from recbole_logq.losses import get_loss  # noqa: F401  (fills the registry)
from recbole_logq.registry import losses, samplers
from recbole_logq.samplers import get_sampler  # noqa: F401  (fills the registry)

PARTS = ("When to use: ", "Goes with: ", "Example:\n")
ENTRIES = [(registry, name) for registry in (losses, samplers) for name in registry.names()]


@pytest.mark.parametrize(("registry", "name"), ENTRIES, ids=[name for _, name in ENTRIES])
def test_says_when_and_with_what_and_its_example_runs(registry, name):
    entry = registry.get(name)
    text = inspect.getdoc(entry)
    places = [text.find(f"\n{part}") for part in PARTS]
    assert 0 < places[0] < places[1] < places[2], f"{name}: the docstring lacks a part, or has them in another order"
    scope = {**vars(sys.modules[entry.__module__]), "torch": torch}
    (example,) = (test for test in doctest.DocTestFinder(recurse=False).find(entry, name, globs=scope) if test.examples)
    assert len(example.examples) <= 6
    report: list[str] = []
    failed = doctest.DocTestRunner(verbose=False).run(example, out=report.append).failed
    assert not failed, "".join(report)


ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "recbole_logq").rglob("*.py"))
PROSE = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SECTION = re.compile(r"(?:Args|Attributes|Buffers|Raises|Returns|Yields):$")
ENTRY = re.compile(r" {4}(?:(\*{0,2}\w+(?:, \*{0,2}\w+)*): )?(\S.*)$")
# Words with which no noun phrase begins: the text goes on from the name that stands before it.
PREPOSITIONS = (
    "About|After|Against|At|Before|Between|By|For|From|In|Instead|Into|Of|On|Over|Per|Through|To|Under|Until|Upon|With|"
    "Within|Without"
)
FRAGMENT = re.compile(rf"(?:{PREPOSITIONS}|That|Those|Too|Whose|Likewise|Is|Are|Has|Must|Not)(?![-\w])|Which ones?\b")
QUESTION = re.compile(r"(?:How|Where|Which|When|Who|Why)\b")
VERB = re.compile(r"(?:Called|Gives|Goes|Labels|Made|Reads|Takes|Tells|Told)\b|Names (?:it|its|the)\b")
REASON = re.compile(
    r"(?:Naming|Saying)\b|(?:It|They|One) (?:is|are|does|do)(?: not| neither| none)?\.|There (?:is|are) one\."
)
UNIDIOMATIC = re.compile(
    r"\bin the mean\b|\bcan\s+not\b(?! only)|\bso many\b|\bnot\s+(?:be\s+)?told\s+apart\b", re.IGNORECASE
)


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, those of constants and fields included."""
    for node in ast.walk(tree):
        for part in node.body if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) else ():
            value = part.value if isinstance(part, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield part.lineno, inspect.cleandoc(value.value)


def fragments(text: str) -> Iterator[str]:
    """Lines of a docstring that are no noun phrase or sentence by themselves."""
    first, *lines = text.splitlines() or [""]
    if FRAGMENT.match(first):
        yield first
    section = ""
    for line in lines:
        if not line.startswith(" "):
            section = line if SECTION.match(line) else section if not line else ""
        elif section and (entry := ENTRY.match(line)):
            name, said = entry.groups()
            forms = [FRAGMENT] if name or section in {"Returns:", "Yields:"} else []
            forms += [QUESTION, VERB] if name and section != "Raises:" else []
            forms += [REASON] if section == "Raises:" else []
            if any(form.match(said) for form in forms):
                yield line.strip()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Of log lines.", 1),
        ("In-batch negatives.", 0),
        ("Loss.\n\nArgs:\n    seed: Of the draws.\n    name: Name of the loss,\n        For messages: nothing.", 1),
        (
            "Loss.\n\nArgs:\n    how: To search.\n    count: How many.\n    config: Reads ``seed``.\n    k: At most 3.",
            4,
        ),
        ("Loss.\n\nRaises:\n    WorkError: That.\n    ValueError: Naming it.\n    OSError: It is neither.", 3),
        ("Loss.\n\nRaises:\n    WorkError: It cannot be written.\n\nOf nothing else.", 0),
        ("Loss.\n\nReturns:\n    Of each row.", 1),
    ],
)
def test_a_fragment_is_seen(text, wrong):
    assert len(list(fragments(text))) == wrong


def test_no_docstring_goes_on_from_a_name():
    found = {
        f"{path.relative_to(ROOT)}:{line}: {fragment}"
        for path in SOURCES
        for line, text in docstrings(ast.parse(path.read_text(encoding="utf-8")))
        for fragment in fragments(text)
    }
    assert not found, "write a noun phrase about the argument:\n" + "\n".join(sorted(found))


@pytest.mark.parametrize("paths", [SOURCES, PROSE], ids=["package", "docs"])
def test_phrases_are_idiomatic(paths):
    found = [
        f"{path.relative_to(ROOT)}: {phrase[0]!r}"
        for path in paths
        for phrase in UNIDIOMATIC.finditer(path.read_text(encoding="utf-8"))
    ]
    assert not found, "write on average, cannot, that many, not distinguishable:\n" + "\n".join(found)

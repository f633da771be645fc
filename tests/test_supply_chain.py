"""What is depended on is listed with its reason, and known vulnerabilities are not let pass."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def declared() -> dict[str, tuple[str, str]]:
    """Bounds and who asks, by package."""
    lists = {"the wheel": PROJECT["project"]["dependencies"]}
    lists |= {f"extra {name}": list(entries) for name, entries in PROJECT["project"]["optional-dependencies"].items()}
    lists |= {f"group {name}": list(entries) for name, entries in PROJECT["dependency-groups"].items()}
    found: dict[str, tuple[set[str], list[str]]] = {}
    for where, entries in lists.items():
        for entry in entries:
            wanted = Requirement(entry)
            if wanted.name == PROJECT["project"]["name"]:  # the extra `all` names the others
                continue
            name = wanted.name + (f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else "")
            bounds, places = found.setdefault(name, (set(), []))
            bounds.add(",".join(sorted(str(wanted.specifier).split(","), reverse=True)))
            places.append(where)
    return {name: ("; ".join(sorted(bounds)), ", ".join(places)) for name, (bounds, places) in found.items()}


def test_every_direct_dependency_has_its_reason() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.\[\]-]+) \| ([^|]*\d) \| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)
    listed = {name: (",".join(sorted(bounds.split(","), reverse=True)), where) for name, bounds, where, _ in rows}
    assert listed == declared()
    assert all(len(reason) > 8 or reason == "its kernel" for *_, reason in rows)


def test_all_is_every_other_extra() -> None:
    extras = dict(PROJECT["project"]["optional-dependencies"])
    (everything,) = extras.pop("all")
    assert Requirement(everything).extras == extras.keys()


@pytest.fixture(scope="module")
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BAD = {"name": "a", "version": "1", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]}
GOOD, UNKNOWN = {"name": "b", "version": "1", "vulns": []}, {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "accepted", "status", "says"),
    [
        ([GOOD], {}, 0, ["1 packages looked up"]),
        ([GOOD, BAD], {}, 1, ["VULNERABLE: a 1: PYSEC-1, fixed in 2", "2 packages looked up"]),
        ([BAD], {"CVE-1": "never called"}, 0, ["accepted: a 1: PYSEC-1, fixed in 2; never called", "1 packages"]),
        ([UNKNOWN, GOOD], {}, 0, ["1 packages looked up, 1 NOT"]),
        ([UNKNOWN], {}, 0, ["SKIPPED: no package could be looked up, nothing is known: not found"]),
        ([], {}, 0, ["SKIPPED"]),
    ],
)
def test_the_audit(audit: Any, packages: list[Any], accepted: dict[str, str], status: int, says: list[str]) -> None:
    found, lines = audit.judge({"dependencies": packages}, accepted)
    assert found == status
    assert len(lines) == len(says)
    assert all(line.startswith(start) for line, start in zip(lines, says, strict=True))


def test_ci_runs_it(audit: Any) -> None:
    assert "python3 .ci/audit.py\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert all(len(reason) > 10 for reason in audit.ACCEPTED.values())

"""How the package hangs together: imports go one way, as the table in docs/architecture.md has it."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from recbole_logq.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "recbole_logq"


def _modules() -> dict[str, Path]:
    names = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def _imports(path: Path, modules: dict[str, Path]) -> Iterator[str]:
    """Modules of this package that a file imports, in functions and for types as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in modules else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    modules = _modules()
    return {name: {i for i in _imports(path, modules) if i in modules and i != name} for name, path in modules.items()}


def test_no_import_goes_in_a_circle(graph: dict[str, set[str]]) -> None:
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    assert len(order) == len(graph) > 250


def test_rooms_import_what_stands_above_them(graph: dict[str, set[str]]) -> None:
    table = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^\| `(\w+)/` \|", table, re.MULTILINE)
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert set(rooms) == folders
    level = {room: number for number, room in enumerate(rooms)}
    for name, imports in graph.items():
        room = level.get(_room(name))
        if room is None:  # what lies beside the rooms is used by all of them; the command line uses all of them
            continue
        for imported in imports:
            assert level.get(_room(imported), -1) <= room, f"{name} imports {imported}"


def test_a_file_name_stands_once(graph: dict[str, set[str]]) -> None:
    """The modules of commands/ are named as their commands, and some of these as what they run."""
    places: dict[str, list[str]] = {}
    for module in graph:
        folder, _, name = module.rpartition(".")
        if folder != "recbole_logq.commands" or name not in COMMANDS:
            places.setdefault(name, []).append(module)
    assert {name: modules for name, modules in places.items() if len(modules) > 1} == {}


def test_no_module_hides_a_name_of_its_package() -> None:
    """An imported module becomes an attribute of its package and would stand in the way of ``__getattr__``."""
    faces = [module for module in _modules().values() if module.name == "__init__.py"]
    assert len(faces) > 15
    for face in faces:
        package = ".".join(face.parent.relative_to(ROOT).parts)
        modules = {path.stem for path in face.parent.iterdir() if path.is_dir() or path.suffix == ".py"}
        shown = modules & set(getattr(importlib.import_module(package), "__all__", ()))
        for name in shown:
            module = importlib.import_module(f"{package}.{name}")
            assert getattr(importlib.import_module(package), name) is not module, f"{package}.{name}"

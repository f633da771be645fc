"""What packages show: everything by name, nothing heavy before it is asked for, and docs that need no more."""

from __future__ import annotations

import ast
import importlib
import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
TORCH_ALONE = [
    f"recbole_logq.{name}" for name in ("losses", "samplers", "probability", "modules", "evaluation", "serving")
]
OTHERS = [f"recbole_logq.{name}" for name in ("data", "models", "lab", "registry")]
FACES = ["recbole_logq", *TORCH_ALONE, *OTHERS]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def module(name: str) -> Any:
    return importlib.import_module(name)


@pytest.mark.parametrize("name", FACES)
def test_a_face_has_all_that_it_names_and_help_shows_it(name: str) -> None:
    face = module(name)
    assert len(face.__all__) == len(set(face.__all__))
    assert set(face.__all__) <= set(dir(face))
    shown = pydoc.render_doc(face, renderer=pydoc.plaintext)
    for entry in face.__all__:
        value = getattr(face, entry)
        assert not inspect.ismodule(value), f"{name}.{entry} is a module: another name hides it"
        assert re.search(rf"\b{entry}\b", shown), entry
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, entry
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        face.nothing  # noqa: B018


def test_the_docstring_of_the_package_names_its_faces_and_functions() -> None:
    text = module("recbole_logq").__doc__
    for name in (*module("recbole_logq").__all__, *(face.removeprefix("recbole_logq.") for face in FACES[1:])):
        assert name in text or name in ("__version__", "Loaded"), name


@pytest.mark.slow
def test_nothing_heavy_is_imported_before_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "recbole.py").write_text("raise ImportError('not needed')", encoding="utf-8")
    names = {name: module(name).__all__ for name in TORCH_ALONE}
    code = f"""
import importlib, sys
import recbole_logq, recbole_logq.data, recbole_logq.evaluation, recbole_logq.lab, recbole_logq.models
import recbole_logq.modules, recbole_logq.registry
dir(recbole_logq)
assert not {{"torch", "pandas", "numpy", "recbole"}} & sys.modules.keys()
for face, names in {names!r}.items():
    for name in names:
        getattr(importlib.import_module(face), name)
assert "recbole" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def blocks() -> list[Any]:
    return [
        pytest.param(block, id=f"{page.name}-{number}")
        for page in PAGES
        for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    ]


@pytest.mark.parametrize("block", blocks())
def test_docs_import_from_faces_alone(block: str) -> None:
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "recbole_logq"]
            assert set(names) <= set(FACES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "recbole_logq":
            assert node.module in FACES
            assert {alias.name for alias in node.names} <= set(module(node.module).__all__)

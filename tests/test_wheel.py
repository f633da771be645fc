"""The wheel carries what a run needs besides code, and asks for nothing that pip cannot install."""

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    uv = os.environ.get("UV") or shutil.which("uv")
    assert uv, "this test needs uv on PATH: python -m pip install uv"
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run([uv, "build", "--quiet", "--wheel", "--out-dir", str(out), str(ROOT)], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    (path,) = out.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def read(wheel: zipfile.ZipFile, ending: str) -> str:
    (name,) = [name for name in wheel.namelist() if name.endswith(ending)]
    return wheel.read(name).decode()


def test_every_file_of_the_package_is_inside(wheel: zipfile.ZipFile) -> None:
    files = (ROOT / "recbole_logq").rglob("*")
    expected = {
        path.relative_to(ROOT).as_posix() for path in files if path.suffix in {".py", ".yaml", ".typed", ".css", ".js"}
    }
    assert expected <= set(wheel.namelist())
    assert any(name.startswith("recbole_logq/properties/") and name.endswith(".yaml") for name in expected)


def test_nothing_else_is_inside(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"recbole_logq"}


def test_metadata(wheel: zipfile.ZipFile) -> None:
    metadata = read(wheel, ".dist-info/METADATA")
    required = re.findall(r"^Requires-Dist: ([\w.-]+)", metadata, re.MULTILINE)
    assert "torch" in required
    assert "recbole" not in required
    assert "recbole-logq = recbole_logq.cli:main" in read(wheel, ".dist-info/entry_points.txt")
    assert "MIT License" in read(wheel, "licenses/LICENSE")

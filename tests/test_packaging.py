"""requirements.lock is what uv makes of pyproject.toml, and plain pip can install it anywhere."""

import os
import re
import shutil
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# In CONTRIBUTING.md, with the file to write.
EXPORT = ["export", "--quiet", "--upgrade", "--no-emit-project", "--no-dev", "--no-header", "--no-annotate"]

Pins = dict[str, set[tuple[str, str, frozenset[str]]]]


def read_pins(text: str) -> Pins:
    """Return name -> {(version, marker, hashes)}; spelling and line breaks differ between versions of uv."""
    pins: Pins = defaultdict(set)
    for line in text.replace("\\\n", " ").splitlines():
        entry, *hashes = re.split(r"\s+--hash=", line.strip())
        if entry:
            requirement = Requirement(entry)
            pins[canonicalize_name(requirement.name)].add(
                (str(requirement.specifier), str(requirement.marker or ""), frozenset(h.strip() for h in hashes))
            )
    return dict(pins)


@pytest.fixture(scope="module")
def pins() -> Pins:
    return read_pins(LOCK.read_text(encoding="utf-8"))


def test_every_pin_is_exact_and_hashed(pins: Pins) -> None:
    for name, entries in pins.items():
        for version, _, hashes in entries:
            assert re.fullmatch(r"==[\w.+!]+", version), f"{name}{version}"
            assert hashes, f"{name} has no hash"
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), name


def test_no_address_and_no_path() -> None:
    text = LOCK.read_text(encoding="utf-8")
    assert not re.search(r"://|@|^\s*(-e|-i|-f|--index|--extra|--find|#)|[^\w]/", text, re.MULTILINE)


def test_direct_dependencies_are_pinned_within_their_bounds(pins: Pins) -> None:
    for text in [*PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"]["recbole"]]:
        wanted = Requirement(text)
        versions = [version.removeprefix("==") for version, _, _ in pins[canonicalize_name(wanted.name)]]
        assert versions
        assert all(wanted.specifier.contains(version, prereleases=True) for version in versions), text


def test_development_tools_are_left_out(pins: Pins) -> None:
    assert "ray" in pins  # RecBole's metadata asks for it
    assert not {"pytest", "ruff", "mypy", "pre-commit", "recbole-logq"} & set(pins)


def test_the_wheel_does_not_ask_for_recbole() -> None:
    names = {canonicalize_name(Requirement(text).name) for text in PYPROJECT["project"]["dependencies"]}
    assert "recbole" not in names
    assert "torch" in names


def test_lock_is_in_step_with_pyproject(pins: Pins, tmp_path: Path) -> None:
    uv = os.environ.get("UV") or shutil.which("uv")  # `uv run` sets UV
    assert uv, "this test needs uv on PATH: python -m pip install uv"
    # A copy: an export in the checkout would write uv.lock there, or be led by the one there.
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    # Settings of the user that change which versions are chosen; where they come from stays the user's choice.
    steering = {"UV_EXCLUDE_NEWER", "UV_RESOLUTION", "UV_PRERELEASE", "UV_FROZEN", "UV_LOCKED", "UV_PROJECT"}
    environment = {key: value for key, value in os.environ.items() if key not in steering}
    done = subprocess.run([uv, *EXPORT], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"uv {' '.join(EXPORT)}\n{done.stderr}"
    fresh = read_pins(done.stdout)
    different = sorted(name for name in {*fresh, *pins} if fresh.get(name) != pins.get(name))
    assert not different, (
        f"requirements.lock is out of step in {different}; write it anew:\n"
        f"uv {' '.join(EXPORT)} --output-file requirements.lock"
    )


def test_the_command_is_documented() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"uv {' '.join(EXPORT)} --output-file requirements.lock" in text

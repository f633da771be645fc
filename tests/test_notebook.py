"""The notebooks in docs/ run from beginning to end."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

DOCS = Path(__file__).parent.parent / "docs"
SERVING = "from-training-to-recommendations.ipynb"
EXPECTED: dict[str, Callable[[str], object]] = {
    SERVING: re.compile(r"served: (0\.\d+)  evaluator: \1\n").search,
    "tutorials/first-model.ipynb": re.compile(r"most popular items: \{'recall@10': 0\.").search,
    "tutorials/your-own-data.ipynb": re.compile(r"of a favourite kind: (?:[6-9]\d|100)%").search,
    "tutorials/is-corrected-logq-worth-it.ipynb": lambda text: _corrected_is_nearer(text),
}
"""What each prints, whatever the machine."""
NOTEBOOKS = sorted(path for path in DOCS.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def _corrected_is_nearer(text: str) -> bool:
    bias = {(name, n): float(bias) for name, n, bias in re.findall(r"^(\w+) +(\d+) +(\d\.\d+) ", text, re.MULTILINE)}
    nearer = (bias["CorrectedLogQ", n] < bias["LogQ", n] < bias["InBatch", n] for n in ("64", "256", "1024"))
    return all(nearer) and "against TwoTowerCorrectedLogQ" in text


def test_each_is_known() -> None:
    assert {path.relative_to(DOCS).as_posix() for path in NOTEBOOKS} == EXPECTED.keys()


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # nothing of this user's own
    notebook = nbformat.read(path, as_version=4)
    stored = [cell.get("outputs") for cell in notebook.cells]
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert EXPECTED[path.relative_to(DOCS).as_posix()](printed)
    # What is committed was executed, each cell that prints now printed then.
    assert [bool(outputs) for outputs in stored] == [bool(cell.get("outputs")) for cell in notebook.cells]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_holds_no_path_of_a_machine_and_no_error(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)
    assert '"output_type": "error"' not in text

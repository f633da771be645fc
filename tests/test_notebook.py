"""The notebook in docs/ runs from beginning to end."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parent.parent / "docs" / "from-training-to-recommendations.ipynb"


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # nothing of this user's own
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    stored = [cell.get("outputs") for cell in notebook.cells]
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert re.search(r"served: (0\.\d+)  evaluator: \1\n", printed)
    # What is committed was executed, each cell that prints now printed then.
    assert [bool(outputs) for outputs in stored] == [bool(cell.get("outputs")) for cell in notebook.cells]


def test_it_holds_no_path_of_a_machine_and_no_error() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|tmp|work|Users)/", text)
    assert '"output_type": "error"' not in text

"""The one test of a search: of its winner, when everything else is decided."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_logq import children
from recbole_logq.errors import WorkError
from recbole_logq.experiment.run_store import Record
from recbole_logq.sweeps.paths import inside


def tested(
    folder: Path, winner: Record, threads: int, data_path: str, plugins: str | None, store: Mapping[str, str]
) -> dict[str, Any]:
    """Test the winner's checkpoint; train it again from ``best.yaml`` where the checkpoint is out of reach.

    Args:
        folder: Folder of the search, with ``best.yaml`` in it.
        winner: Its record.
        threads: Number of threads of a trial.
        data_path: Absolute path of the data.
        plugins: The setting, with absolute paths.
        store: ``mlflow_uri``, where it is a file, which the process would look for in its own folder.

    Returns:
        ``test_result`` and ``how``: ``checkpoint`` or ``trained again``.

    Raises:
        WorkError: Neither works.
    """
    test_folder = folder / "winner"
    test_folder.mkdir(parents=True, exist_ok=True)
    output = test_folder / "test.json"
    stores = [f"--{key}={value}" for key, value in store.items()]
    ways = [("trained again", [f"--config_files={folder / 'best.yaml'}", *stores])]
    checkpoint = inside(folder, winner["checkpoint"])
    if checkpoint is not None and checkpoint.is_file():
        ways.insert(0, ("checkpoint", ["evaluate", f"--checkpoint={checkpoint}"]))
    for source, words in ways:
        command = [sys.executable, "-m", "recbole_logq", *words, f"--data_path={data_path}", "--show_progress=false"]
        command += [f"--plugins={plugins}"] if plugins else []
        environment = {**children.environment(), "OMP_NUM_THREADS": str(threads)}
        with (test_folder / "output.log").open("a", encoding="utf-8") as log:
            status = children.run(
                [*command, f"--output={output}"], environment, cwd=test_folder, stdout=log, stderr=subprocess.STDOUT
            )
        if status == 0:
            return {"test_result": json.loads(output.read_text(encoding="utf-8"))["test_result"], "how": source}
    raise WorkError(f"the winner could not be tested: see {test_folder / 'output.log'}")

"""The patch that docs propose to RecBole: it applies, and RecBole alone then has the exact order."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recbole_logq.compat import recbole_folder
from tests.data.dataset.test_exact_time import ROWS

PATCH = Path(__file__).parent.parent / "docs" / "recbole-exact-time.patch"
# RecBole's own classes; of this package only the shims and the configuration, which touch no data.
SCRIPT = """
import sys
from recbole_logq.config import Config
from recbole.data.dataset import SequentialDataset
settings = {"data_path": sys.argv[1], "topk": [2], "valid_metric": "MRR@2", "train_neg_sample_args": None}
settings["recbole_order"] = True
test = SequentialDataset(Config("GRU4Rec", "tiny", None, settings)).build()[2]
users = test.id2token("user_id", test.inter_feat["user_id"])
items = test.id2token("item_id", test.inter_feat["item_id"])
print(sorted(zip(map(str, users), map(str, items))))
"""


@pytest.mark.slow
def test_recbole_with_the_patch_takes_the_last_item(tmp_path: Path, write_dataset: Callable[..., Path]) -> None:
    data = write_dataset("tiny", ROWS)
    shutil.copytree(recbole_folder(), tmp_path / "recbole", ignore=shutil.ignore_patterns("dataset_example"))
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path(__file__).parent.parent}"}

    def targets() -> str:
        command = [sys.executable, "-c", SCRIPT, str(data)]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().splitlines()[-1]

    assert targets() == "[('a', 'i3'), ('b', 'i3')]"
    subprocess.run(["git", "apply", "-p1", str(PATCH)], cwd=tmp_path, check=True)
    assert targets() == "[('a', 'i5'), ('b', 'i3')]"

"""The installed stack is checked before it can do harm."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_logq import compat
from recbole_logq.errors import RequestError


def test_pandas_3_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "version", lambda package: "3.0.1")
    monkeypatch.setattr(compat, "_applied", False)
    with pytest.raises(RequestError, match=r"pandas 3\.0\.1 silently corrupts .*pandas>=2\.2,<3"):
        compat.apply()


def test_without_recbole_the_line_to_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(compat, "_applied", False)
    with pytest.raises(RequestError, match=r"pip install --no-deps recbole==1\.2\.1"):
        compat.apply()


@pytest.mark.parametrize("module", ["recbole_logq", "recbole_logq.losses", "recbole_logq.samplers"])
def test_the_core_needs_torch_alone(module: str) -> None:
    hidden = ["recbole", "pandas", "scipy", "sklearn", "yaml", "pydantic", "ray", "tqdm", "jinja2"]
    code = f"import sys; sys.modules.update(dict.fromkeys({hidden})); import {module}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_imports_no_ray_and_leaves_autograd_alone() -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from recbole_logq.config import Config\n"
        "import recbole_logq.experiment.run, recbole_logq.training.retrieval_trainer, recbole_logq.data.prepare\n"
        "Config('BPR', 'ml-100k'); Config('SASRecCorrectedLogQ', 'ml-100k')\n"
        "assert 'recbole.quick_start' not in sys.modules\n"
        "import torch\n"
        "Config('GRU4Rec', 'ml-100k', None, {'train_neg_sample_args': None})\n"
        "assert 'recbole.model.sequential_recommender.sine' in sys.modules\n"
        "assert not torch.is_anomaly_enabled()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_command_without_recbole_says_what_to_run(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'recbole' else find(name, *rest)\n"
        "from recbole_logq.cli import main\n"
        "sys.exit(main(['--model=BPR', '--dataset=ml-100k']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install --no-deps recbole==1.2.1" in done.stderr
    assert done.stderr.count("\n") == 1

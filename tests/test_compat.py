"""The installed stack is checked before it can do harm."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

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


def test_the_core_needs_torch_alone() -> None:
    hidden = ["recbole", "pandas", "scipy", "sklearn", "yaml", "pydantic", "ray", "tqdm", "jinja2"]
    code = f"import sys; sys.modules.update(dict.fromkeys({hidden})); "
    code += "import recbole_logq, recbole_logq.losses, recbole_logq.samplers"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_run_imports_what_it_needs_and_leaves_autograd_alone(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from recbole_logq import run\n"
        "settings = {'epochs': 1, 'state': 'ERROR', 'show_progress': False}\n"
        "for model in ('TwoTowerCorrectedLogQ', 'BPR'): run(model, 'ml-100k', None, settings, saved=False)\n"
        "unneeded = {'torch._dynamo', 'sympy', 'sklearn', 'scipy.stats', 'recbole.quick_start', 'plotly'}\n"
        "assert not unneeded & sys.modules.keys(), unneeded & sys.modules.keys()\n"
        "models = [name for name in sys.modules if 'recommender.' in name]\n"
        "assert models == ['recbole.model.general_recommender.bpr'], models\n"
        "import torch, recbole.evaluator.metrics as metrics\n"
        "assert metrics.mean_squared_error([0.0], [2.0]) == 4.0 and 'sklearn.metrics' in sys.modules\n"
        "from recbole.model.sequential_recommender import GRU4Rec\n"  # what is not there brings the whole package
        "assert hasattr(sys.modules['recbole.model.general_recommender'], 'BPR')\n"
        "torch.autograd.set_detect_anomaly(False)\n"
        "del sys.modules['recbole.model.sequential_recommender.sine']\n"
        "from recbole_logq.config import Config\n"
        "Config('SINE', 'ml-100k', None, {'train_neg_sample_args': None})\n"
        "assert 'recbole.model.sequential_recommender.sine' in sys.modules\n"
        "assert not torch.is_anomaly_enabled()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_package_of_recboles_that_cannot_be_imported_says_so_each_time() -> None:
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="lightgbm"):
            getattr(importlib.import_module("recbole.model.exlib_recommender"), "LightGBM")  # noqa: B009


@pytest.fixture
def sine() -> Iterator[Callable[[], None]]:
    """Imports RecBole's module anew that switches anomaly detection on."""
    compat.apply()
    name, mode = compat.SWITCHES_ANOMALIES_ON, torch.is_anomaly_enabled()
    before = importlib.import_module(name)
    yield lambda: (sys.modules.pop(name), importlib.import_module(name))[0]
    sys.modules[name] = before
    torch.autograd.set_detect_anomaly(mode)


@pytest.mark.parametrize("wanted", [False, True])
def test_whoever_imports_recboles_models_autograd_stays_as_it_is(sine: Callable[[], None], wanted: bool) -> None:
    torch.autograd.set_detect_anomaly(wanted)
    sine()
    assert torch.is_anomaly_enabled() == wanted
    assert hasattr(sys.modules[compat.SWITCHES_ANOMALIES_ON], "SINE")


def test_what_was_imported_before_this_package_is_named(
    sine: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    torch.autograd.set_detect_anomaly(False)
    compat.say_anomalies()
    assert caplog.text == ""
    torch.autograd.set_detect_anomaly(True)  # by a user, or by RecBole: only they know
    compat.say_anomalies()
    assert "(importing RecBole's sequential models switches it on): unless it is wanted, call torch" in caplog.text
    assert torch.is_anomaly_enabled()


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

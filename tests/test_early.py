"""What is wrong with a request is said before torch and RecBole are imported, where names and kinds of values tell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from recbole_logq.catalog import fitting
from recbole_logq.declared_options import declared
from recbole_logq.early import check_request
from recbole_logq.errors import RequestError
from recbole_logq.losses import get_loss
from recbole_logq.models.combination import build_loss, why_not
from recbole_logq.registry import losses, samplers
from recbole_logq.samplers import get_sampler

OWN = ["--model=TwoTowerLogQ", "--dataset=ml-100k"]
REQUESTS: list[tuple[list[str], int, str]] = [
    (["--help"], 0, ""),
    (["--version"], 0, ""),
    (["trian"], 2, "no command named 'trian'"),
    (["--model"], 2, "--model has no value"),
    (["--dataset=ml-100k"], 2, "no model given"),
    (["--model=BPR"], 2, "no dataset given"),
    (["--model=BPR", "--dataset=a/b"], 2, "give a name, and its folder's parent"),
    (["--model=TwoTowerLogR", "--dataset=ml-100k"], 2, "did you mean TwoTowerLogQ"),
    (["--model=TwoTowerLogQ", "--dataset=ml-100k", "--lerning_rate=1"], 2, "did you mean learning_rate"),
    (["--model=LightGCN", "--dataset=ml-100k", "--n_layer=2", "--nproc=2"], 2, "did you mean n_layers"),
    (["--model=BPR", "--dataset=ml-100k", "--config_files=none.yaml"], 2, "cannot read the configuration file"),
    (["--model=BPR", "--dataset=ml-100k", "--config_files=bad.yaml"], 2, "bad.yaml, line 1: not valid YAML"),
    (["--model=BPR", "--dataset=ml-100k", "--output=no/such/folder.json"], 2, "cannot write there"),
    (["evaluate"], 2, "set --checkpoint=FILE"),
    (["compare", "--models=BPR,BPS", "--dataset=ml-100k"], 2, "BPS: no model named 'BPS' - did you mean BPR"),
    (["compare", "--models=BPR"], 2, "compare needs models and a dataset"),
    (["compare", "--models=BPR", "--dataset=ml-100k", "--epoch=2"], 2, "did you mean epochs"),
    (["sweep", "--config_files=sweep.yaml"], 2, "no model named 'BPS'"),
    (["convert", "--dataset=x"], 2, "no input given: set --input=FILE"),
    (["models", "--model=BPR"], 2, "models takes no settings"),
    (["models"], 0, ""),
    ([*OWN, "--epochs=many"], 2, "epochs='many': input should be a valid integer"),
    ([*OWN, "--negatives.count=0"], 2, "negatives.count=0: input should be greater than or equal to 1"),
    ([*OWN, "--negatives.cuont=4"], 2, "unknown setting negatives.cuont - did you mean count"),
    ([*OWN, "--loss=logqq"], 2, "no loss named 'logqq'; did you mean 'logq'"),
    ([*OWN, "--negatives.source=in_batsch"], 2, "no sampler named 'in_batsch'; did you mean 'in_batch'"),
    ([*OWN, "--negatives.source=bir"], 2, "a second correction would overdo it"),
    ([*OWN, "--hits=masked"], 2, "loss 'logq' needs accidental hits kept"),
    ([*OWN[:1], "--dataset=ml-100kk"], 2, "no data set 'ml-100kk'; did you mean ml-100k"),
    (["--model=BPR", "--dataset=ml-100k", "--embedding_size=wide"], 2, "embedding_size='wide': a number"),
    (["--model=BPR", "--dataset=ml-100k", "--config_files=epochs.yaml"], 2, "epochs='many'"),
    (["compare", "--models=BPR", "--dataset=ml-100k", "--epochs=many"], 2, "epochs='many'"),
]
ASK = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from recbole_logq.cli import main

for words in json.load(sys.stdin):
    out, error = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        status = main(words)
    heavy = sorted({"torch", "recbole", "pandas", "scipy", "ray", "pyarrow"} & sys.modules.keys())
    print(json.dumps([status, error.getvalue(), heavy]))
"""


def test_wrong_requests_import_nothing_large(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [")
    (tmp_path / "epochs.yaml").write_text("epochs: many")
    (tmp_path / "sweep.yaml").write_text(
        "{model: BPS, dataset: ml-100k, space: {learning_rate: {loguniform: [0.001, 0.1]}}}"
    )
    asked = json.dumps([words for words, _, _ in REQUESTS])
    done = subprocess.run([sys.executable, "-c", ASK], cwd=tmp_path, input=asked, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for (words, status, message), (ended, said, heavy) in zip(REQUESTS, answers, strict=True):
        assert (ended, heavy) == (status, []), (words, said)
        assert message in said, words
        assert said.count("\n") == (status != 0), said


def test_what_may_be_right_passes() -> None:
    check_request("BPR", "ml-100k", {"reg_weight": 0.1})  # read by RecBole's trainer, in no file of settings
    check_request("Unknown", "mine", {"own_setting": 1, "plugins": ["./mine.py"]})  # a plug-in may bring both
    check_request("TwoTowerLogQ", "ml-100k", {"negatives.count": 4})
    check_request(None, None, {"model": "BPR", "dataset": "ml-100k"})
    check_request("TwoTowerLogQ", "ml-100k", {"negatives": {"count": "4"}, "epochs": "1e3", "clip_grad_norm": {}})
    check_request("TwoTowerLogQ", "ml-100k", {"loss": "bpr"}, searched=["negatives"])  # whatever that will be
    check_request("TwoTowerLogQ", "ml-100k", {"accumulation_steps": 2})  # known, and refused later with the reason


def test_what_classes_declare_is_what_they_have() -> None:
    """Read from the code or off the classes: the same losses go with the same sources."""
    every_loss, every_source = declared(losses), declared(samplers)
    for name, entry in {**every_loss, **every_source}.items():
        real = get_loss(name) if name in every_loss and not losses.get(name).needs_catalogue_size else None
        real = real or (losses.get(name) if name in every_loss else get_sampler(name))
        for attribute, value in entry.stated._asdict().items():
            assert getattr(real, attribute) == value, (name, attribute)
    listed = fitting(every_loss, every_source)
    for source in samplers.names():
        fits = [name for name in losses.names() if why_not(build_loss(name, 1000, {}, 0), get_sampler(source)) is None]
        assert listed[source] == ", ".join(fits)
        assert fits


def test_the_nearest_setting_of_the_model_is_named() -> None:
    with pytest.raises(RequestError, match="unknown setting mlp_sises - did you mean mlp_sizes"):
        check_request("TwoTowerLogQ", "ml-100k", {"mlp_sises": [8]})

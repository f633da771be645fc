"""Settings that RecBole's models read, which have no schema: each bad one is one line, wherever it comes to light."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.cli import main

WORDS = ["--dataset=tiny", "--data_path=data", "--state=ERROR", "--show_progress=false", "--epochs=1", "--topk=[5]"]
WORDS += ["--valid_metric=MRR@5"]
CE = "--train_neg_sample_args=null"


@pytest.fixture
def data(in_tmp: Path, tiny: str) -> Path:
    folder = in_tmp / "data" / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.inter").write_text(tiny)
    return in_tmp


BAD = [
    # Not a number, which shows in the settings.
    (["--model=LightGCN", "--n_layers=null"], 2, "n_layers=null: a number, such as its default 2"),
    (["--model=NGCF", "--reg_weight=null"], 2, "reg_weight=null: a number, such as its default 1e-05"),
    (["--model=MultiVAE", "--dropout_prob=null"], 2, "dropout_prob=null: a number, such as its default 0.5"),
    (["--model=SASRec", CE, "--layer_norm_eps=null"], 2, "layer_norm_eps=null: a number, such as its default 1e-12"),
    # Not one that the model can be built with.
    (["--model=NeuMF", "--mlp_hidden_size=[8.5,4]"], 2, "NeuMF cannot be built with these settings: "),
    (
        ["--model=BERT4Rec", CE, "--transform=turned"],
        2,
        "BERT4Rec cannot get its batches with these settings: There is",
    ),
    (["--model=HGN", CE, "--loss_type=CCE"], 2, "loss_type='CCE': HGN has CE and BPR"),
    # Not one that it can be trained with.
    (["--model=LightGCN", "--n_layers=2.5"], 1, "LightGCN failed, TypeError: 'float' object cannot be interpreted as"),
    (["--model=NeuMF", "--mf_train=false", "--mlp_train=false"], 1, "NeuMF failed, RuntimeError: mf_train and mlp_"),
    (["--model=RecVAE", "--n_enc_epochs=3.5"], 1, "RecVAE failed, TypeError: 'float' object cannot be interpreted as"),
    (["--model=SASRec", CE, "--n_layers=0"], 1, "SASRec failed, IndexError: list index out of range; compare its"),
    (["--model=MultiVAE", "--dropout_prob=-1.0"], 1, "MultiVAE failed, ValueError: dropout probability has to be"),
]


@pytest.mark.parametrize(("words", "status", "line"), BAD, ids=lambda value: str(value)[:60])
def test_bad_ones_are_one_line(
    data: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, line: str
) -> None:
    assert main([*words, *WORDS]) == status
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"error: {line}")
    assert "unexpected" not in lines[0]


WHOLE = [
    (["--model=LightGCN", "--n_layers=1.0"], {"n_layers": 1}),
    (["--model=NeuMF", "--mlp_hidden_size=[8.0,4]"], {"mlp_hidden_size": [8, 4]}),
    (["--model=BPR", "--embedding_size=8.0"], {"embedding_size": 8}),
    (["--model=LightGCN", "--reg_weight=1.0"], {"reg_weight": 1.0}),  # whose default is no whole number
]


@pytest.mark.parametrize(("words", "expected"), WHOLE, ids=lambda value: str(value)[:60])
def test_a_whole_number_may_be_written_as_a_float(data: Path, words: list[str], expected: dict[str, Any]) -> None:
    assert main([*words, *WORDS, "--output=result.json"]) == 0
    parameters = json.loads(Path("result.json").read_text())["parameters"]
    for key, value in expected.items():
        assert json.dumps(parameters[key]) == json.dumps(value)


def test_the_traceback_is_the_models(data: Path) -> None:
    with pytest.raises(TypeError, match="'float' object"):
        main(["--model=LightGCN", "--n_layers=2.5", *WORDS, "--debug=true"])

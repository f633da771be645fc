"""`lab --temperature`: the softmax in numbers, its identities, the temperature that fits, and the command."""

from __future__ import annotations

import json
import math
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.evaluation.diagnostics import softmax_entropy
from recbole_logq.experiment.restore import restore_own
from recbole_logq.lab.checkpoint_subject import checkpoint_subject
from recbole_logq.lab.temperature import AtTemperature, Softmax, advice


def made_up(cosine: bool, rows: int = 30, items: int = 50) -> Softmax:
    generator = torch.Generator().manual_seed(1)
    query, table = (torch.randn(n, 6, generator=generator, dtype=torch.float64) for n in (rows, items))
    if cosine:
        query, table = normalize(query, dim=1), normalize(table, dim=1)
    positives = (query @ table.T).softmax(1).multinomial(1, generator=generator)[:, 0] + 1
    return Softmax(query, table, positives, cosine)


def test_two_items_in_numbers() -> None:
    """Scores 1 and 0 at T = 1/2: p = 1 / (1 + e^-2) = 0.8808, H = 0.3653, Var = p (1 - p) = 0.1050, dH/dT = 0.8399."""
    query, items = torch.ones(1, 1, dtype=torch.float64), torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    found = Softmax(query, items, torch.tensor([1]), cosine=False).at(0.5)
    expected = (0.5, 0.3653, 0.8399, math.exp(0.3653), 0.8808, 0.1269)
    assert [round(value, 4) for value in (found.temperature, found.entropy, found.slope)] == list(expected[:3])
    assert found.effective == pytest.approx(expected[3], abs=1e-3)
    assert found.p_positive == pytest.approx(expected[4], abs=1e-4)
    assert found.loss == pytest.approx(expected[5], abs=1e-4)
    assert found.alignment is None


@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("t", [0.05, 0.3, 1.0, 7.0])
def test_the_slope_of_the_entropy_is_the_variance_over_t_cubed(cosine: bool, t: float) -> None:
    softmax, step = made_up(cosine), 1e-5 * t
    finite = (softmax.at(t + step).entropy - softmax.at(t - step).entropy) / (2 * step)
    found = softmax.at(t)
    assert found.slope == pytest.approx(finite, rel=1e-5)
    assert found.slope > 0
    scores = softmax.query @ softmax.items.T
    assert found.entropy == pytest.approx(float(softmax_entropy(scores / t)), rel=1e-12)
    p = (scores / t).softmax(1)
    variance = (p * scores**2).sum(1) - (p * scores).sum(1) ** 2
    assert found.slope == pytest.approx(float(variance.mean()) / t**3, rel=1e-9)


@pytest.mark.parametrize("t", [0.05, 0.3, 2.0])
def test_alignment_and_uniformity_are_the_parts_of_the_loss(t: float) -> None:
    softmax = made_up(cosine=True)
    distance = torch.cdist(softmax.query, softmax.items).square()  # [rows, items]
    alignment = distance.gather(1, softmax.positives.unsqueeze(1) - 1).mean() / (2 * t)
    uniformity = (-distance / (2 * t)).exp().mean(1).log().mean()
    found = softmax.at(t)
    assert found.alignment == pytest.approx(float(alignment), rel=1e-9)
    assert found.uniformity == pytest.approx(float(uniformity), rel=1e-9)
    assert found.alignment is not None
    assert found.uniformity is not None
    assert found.alignment + found.uniformity + math.log(50) == pytest.approx(found.loss, rel=1e-9)


def test_blocks_of_rows_are_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    softmax = made_up(cosine=True)
    whole = astuple(softmax.at(0.2))
    monkeypatch.setattr("recbole_logq.lab.temperature.BLOCK", 7 * 50)
    assert astuple(softmax.at(0.2)) == pytest.approx(whole, rel=1e-12)


def test_the_temperature_that_fits() -> None:
    """Scores 1 and 0, and three positives of four are the first item: 1 / (1 + e^(-1/T)) = 3/4, so T = 1 / ln 3."""
    query = torch.ones(4, 1, dtype=torch.float64)
    items = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    softmax = Softmax(query, items, torch.tensor([1, 1, 2, 1]), cosine=False)
    fit = softmax.fit(own=0.2)
    assert fit == pytest.approx(1 / math.log(3), rel=1e-3)
    assert softmax.at(fit).loss < min(softmax.at(fit * factor).loss for factor in (0.9, 1.1))
    assert softmax.fit(own=100 / math.log(3)) is None  # too far away to be looked for
    assert (
        Softmax(query, items, torch.ones(4, dtype=torch.int64), cosine=False).fit(1.0) is None
    )  # the colder the better


def _at(temperature: float, loss: float) -> AtTemperature:
    return AtTemperature(temperature, 1.0, 1.0, 1.0, 0.5, loss, None, None)


@pytest.mark.parametrize(
    ("own", "fit", "says"),
    [
        (_at(0.2, 3.0), _at(0.1, 2.5), "T = 0.2 is flatter than these training rows bear out: at 0.1 "),
        (_at(0.2, 3.0), _at(0.1, 2.5), "their loss is 2.500 there and 3.000 here; try a lower one"),
        (_at(0.05, 3.0), _at(0.1, 2.5), "T = 0.05 is sharper than these training rows bear out"),
        (_at(0.05, 3.0), _at(0.1, 2.5), "try a higher one or temperature_mode=learned"),
        (_at(0.1, 2.5), _at(0.105, 2.5), "T = 0.1 fits"),
        (_at(1.0, 3.6863), _at(0.8, 3.686), "hardly changes with it: the least, at 0.8, is 0.0003 lower; leave it"),
        (_at(0.1, 2.5), None, "choose it by validation"),
    ],
)
def test_the_advice_has_its_reason(own: AtTemperature, fit: AtTemperature | None, says: str) -> None:
    assert says in advice(own, fit)
    assert "\n" not in advice(own, fit)


@pytest.mark.parametrize("model", ["TwoTowerCorrectedLogQ", "SASRecCorrectedLogQ"])
def test_both_encoders_as_a_command(
    in_tmp: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    settings: dict[str, Any] = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "state": "WARNING"}
    settings |= {"MAX_ITEM_LIST_LENGTH": 10, "train_batch_size": 32, "temperature": 0.3, "similarity": "cosine"}
    if model.startswith("SASRec"):
        settings |= {"similarity": "dot", "n_layers": 1, "temperature_mode": "learned"}
    file = run(model, "cut", config_dict=settings)["checkpoint"]
    words = ["lab", "--temperature", f"--checkpoint={file}", "--temperatures=[0.1,2]", "--rows=100000"]
    assert main([*words, "--output=t.json", "--page=t.html"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    report = json.loads((in_tmp / "t.json").read_text(encoding="utf-8"))
    assert report["advice"] in printed
    assert f"{report['own']['entropy']:.3f}" in printed
    assert "(own)" in printed
    assert [one["temperature"] for one in report["at"]] == [0.1, 2]
    assert report["at"][0]["entropy"] < report["at"][1]["entropy"]
    restored = restore_own(file, state="WARNING")
    n_rows = restored.loaders[0].n_positives
    assert report["rows"] == n_rows
    assert report["temperature"] == restored.network.scorer.temperature
    # All training rows, as the laboratory has them; windows are cut anew by every seed.
    scores: Tensor = checkpoint_subject(restored, n_rows).scores
    tolerance = 1e-5 if model.startswith("TwoTower") else 0.02
    assert report["own"]["entropy"] == pytest.approx(float(softmax_entropy(scores)), rel=tolerance)
    has_parts = model.startswith("TwoTower")
    assert (report["own"]["alignment"] is not None) == has_parts
    assert ("uniformity log mean" in printed) == has_parts
    assert -4 < report["uniformity_items"] < 0
    page = (in_tmp / "t.html").read_text(encoding="utf-8")
    assert page.count("<svg ") == 3
    assert report["advice"].split(";")[0].partition("'")[0] in page
    short = ["lab", "--temperature", f"--checkpoint={file}", "--rows=5", "--output=t.json", "--page=t.html"]
    assert main(short) == 0  # in the place of the earlier outputs
    tried = [one["temperature"] / report["temperature"] for one in json.loads((in_tmp / "t.json").read_text())["at"]]
    assert tried == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8])

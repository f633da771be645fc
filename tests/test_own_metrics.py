"""Metrics of the user's own: computed as RecBole's own are, validated on, refused where they make no sense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.evaluator.base_metric import AbstractMetric, TopkMetric
from recbole.evaluator.metrics import Hit
from recbole.utils import EvaluatorType

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.config import Config
from recbole_logq.errors import RequestError
from recbole_logq.own_metrics import is_compared, row_values
from recbole_logq.registry import metrics

QUICK: dict[str, Any] = {"epochs": 1, "show_progress": False, "state": "WARNING", "metric_decimal_place": 8}


@pytest.mark.parametrize("model", ["SASRecLogQ", "BPR"])
@pytest.mark.parametrize("mode", ["full", "uni100"])
def test_a_function_equals_the_metric_of_recbole_that_it_repeats(
    own_code: Path, ml100k_cut: Path, model: str, mode: str
) -> None:
    @metrics.register("Again", summary="RecBole's MRR")
    def again(hits: torch.Tensor, n_targets: torch.Tensor) -> torch.Tensor:
        return torch.where(hits.any(1), 1 / (hits.int().argmax(1) + 1), 0.0)

    @metrics.register("Half", summary="RecBole's recall")
    def half(hits: torch.Tensor, n_targets: torch.Tensor) -> list[float]:
        return (hits.sum(1) / n_targets).tolist()

    settings = {**QUICK, "data_path": str(ml100k_cut), "metrics": ["again", "MRR", "Half", "Recall"], "topk": [5, 20]}
    settings |= {"valid_metric": "Again@20", "eval_args": {"order": "TO", "mode": mode}}
    result = run(model, "cut", config_dict=settings, saved=False)
    test = result["test_result"]
    assert list(test)[:4] == ["again@5", "again@20", "mrr@5", "mrr@20"]
    for k in (5, 20):
        assert test[f"again@{k}"] == pytest.approx(test[f"mrr@{k}"], abs=2e-8)
        assert test[f"half@{k}"] == pytest.approx(test[f"recall@{k}"], abs=2e-8)
    assert result["history"][0]["valid_score"] == result["history"][0]["valid_result"]["again@20"]


def test_classes_of_recbole_and_a_smaller_value_that_is_better(own_code: Path, ml100k_cut: Path) -> None:
    @metrics.register("Ranked", summary="")
    class Ranked(Hit):
        def calculate_metric(self, dataobject: Any) -> Any:
            return {key.replace("hit", "ranked"): value for key, value in super().calculate_metric(dataobject).items()}

    @metrics.register("Whole", summary="users that are tested")
    class Whole(AbstractMetric):
        metric_type, metric_need = EvaluatorType.RANKING, ["rec.topk"]

        def calculate_metric(self, dataobject: Any) -> dict[str, float]:
            return {"whole": float(len(dataobject.get("rec.topk")))}

    metrics.register("Missed", summary="", smaller_is_better=True)(lambda hits, n: (~hits.any(1)).float())
    settings = {**QUICK, "data_path": str(ml100k_cut), "metrics": ["Hit", "Ranked", "Whole", "Missed"]}
    result = run("BPR", "cut", config_dict={**settings, "valid_metric": "Missed@10"}, saved=False)
    test = result["test_result"]
    assert test["ranked@10"] == test["hit@10"]
    assert test["whole"] == 45
    assert test["missed@10"] == pytest.approx(1 - test["hit@10"])
    assert not result["valid_score_bigger"]
    assert Config("BPR", "cut", None, {**settings, "valid_metric": "Whole"})["valid_metric"] == "Whole"
    with pytest.raises(RequestError, match="valid_metric=Whole@10: Whole has no cut-off"):
        Config("BPR", "cut", None, {**settings, "valid_metric": "Whole@10"})
    assert [is_compared(name) for name in ("Ranked", "Whole", "Missed", "NDCG")] == [False] * 4
    assert issubclass(Ranked, TopkMetric)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (lambda hits, n: hits.float(), r"shape \[3, 2\] for 3 rows with 2 items"),
        (lambda hits, n: hits.float().mean(), r"shape \[\] for 3"),
        (lambda hits, n: n / 0, "values that are no finite numbers"),
    ],
)
def test_what_a_function_gives_is_a_number_a_row(own_code: Path, values: Any, what: str) -> None:
    metrics.register("Odd", summary="")(values)
    hits = torch.tensor([[1, 0, 0, 1], [0, 0, 0, 2], [0, 1, 1, 2]])
    with pytest.raises(RequestError, match=rf"metric 'Odd' \(.*test_own_metrics.py, line \d+\) gives {what}"):
        row_values("Odd", hits, 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ndcg", r"metric 'NDCG' of .*my_metric.py, line 3 is RecBole's: give it another name"),
        ("Mine", r"metric 'Mine' \(my_metric.py, line 3\): make it a function or a subclass of RecBole's TopkMetric"),
        ("Mein", r"no metric named 'Mein' - did you mean Mine\?"),
        ("NDGC", r"no metric named 'NDGC' - did you mean NDCG\?"),
    ],
)
def test_names_that_are_refused(
    own_code: Path, capsys: pytest.CaptureFixture[str], name: str, message: str, ml100k_cut: Path
) -> None:
    registered = "NDCG" if name == "ndcg" else "Mine"
    text = (
        f"from recbole_logq.registry import metrics\n\n@metrics.register({registered!r}, summary='')\nclass Mine: ...\n"
    )
    (own_code / "my_metric.py").write_text(text)
    chosen = registered if name == "ndcg" else name
    settings = {
        "plugins": "my_metric.py",
        "metrics": [chosen],
        "valid_metric": f"{name}@10",
        "data_path": str(ml100k_cut),
    }
    with pytest.raises(RequestError, match=message):
        Config("BPR", "cut", None, settings)
    assert main(["--model=BPR", "--dataset=cut", "--plugins=my_metric.py", f"--metrics={chosen}"]) == 2
    assert capsys.readouterr().err.startswith("error: ")

"""The temperature on ml-100k: what `lab --temperature` says of one model, and models trained at several temperatures.

    uv run benchmarks/temperature.py               # all runs that are missing, then the tables
    uv run benchmarks/temperature.py --only=0.2    # one of them
    uv run benchmarks/temperature.py --table       # only the tables of what is stored

TwoTowerCorrectedLogQ with cosine scores, batches of 2,048, leave-one-out in exact time order, one thread; validation
chooses the epoch, and the laboratory looks at 512 of its training rows.
"""

from __future__ import annotations

from typing import Any

from stored_runs import Experiment, mean_and_interval, prints

from recbole_logq.lab import temperatures
from recbole_logq.lab.temperature_report import markdown
from recbole_logq.markup import markdown_table

TRAINED = ("0.05", "0.1", "0.2", "0.4")
SHOWN = "0.2"


def looked_at(result: dict[str, Any]) -> dict[str, Any]:
    """The laboratory's report."""
    return {"temperatures": temperatures(checkpoint=result["checkpoint"])}


EXPERIMENT = Experiment(
    "temperature",
    "ml-100k",
    {
        temperature: {
            "model": "TwoTowerCorrectedLogQ",
            "seeds": [1, 2, 3],
            "settings": {"temperature": float(temperature)},
        }
        for temperature in TRAINED
    },
    {
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
        "metrics": ["Recall", "NDCG"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "learning_rate": 0.003,
        "show_progress": False,
        "epochs": 20,
        "stopping_step": 5,
    },
    looked_at,
)


def one_model() -> str:
    """What the command says of the model at the default temperature, seed 1."""
    runs = EXPERIMENT.stored(SHOWN)
    return markdown(runs[0]["temperatures"]) if runs else "Not measured yet."


def table() -> str:
    """Models by the temperature they were trained at."""
    head = ["trained at T", "seeds", "alignment", "uniformity of items", "entropy H", "exp(H)", "mean P+"]
    head += ["T of least loss", "NDCG@10", "test split"]

    def cells(runs: list[dict[str, Any]]) -> list[str]:
        reports = [entry["temperatures"] for entry in runs]
        own = [report["own"] for report in reports]
        fits = [report["fit"] for report in reports]
        return [
            *(mean_and_interval([report[key] for report in reports]) for key in ("alignment", "uniformity_items")),
            mean_and_interval([entry["entropy"] for entry in own]),
            f"{sum(entry['effective'] for entry in own) / len(own):,.0f}",
            mean_and_interval([entry["p_positive"] for entry in own]),
            mean_and_interval([entry["temperature"] for entry in fits if entry]) if all(fits) else "-",
            mean_and_interval([entry["test_result"]["ndcg@10"] for entry in runs]),
            prints(runs),
        ]

    return markdown_table(head, EXPERIMENT.rows(cells))


if __name__ == "__main__":
    EXPERIMENT.main(__doc__ or "", lambda: f"{one_model()}\n\n{table()}")

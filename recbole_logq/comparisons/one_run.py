"""One run of a comparison in a process of its own: what the table needs, in one JSON file.

    python -m recbole_logq.comparisons.one_run SPEC.json RECORD.json

The process stands in the run's folder, where its log and checkpoints land; with a checkpoint that an earlier process
has left there it goes on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from recbole_logq.children import end_with_parent
from recbole_logq.comparisons.run_record import write_record
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.interruption import interruptible
from recbole_logq.plugins import receive
from recbole_logq.settings import DATA_PATH
from recbole_logq.terminal import visible

DEEPEST = (100, 500)
"""Cut-offs of measures beside ``topk``."""


def execute(spec: dict[str, Any]) -> dict[str, Any]:
    """Train and test; returns the record.

    Args:
        spec: ``name``, ``model``, ``dataset``, ``seed``, ``settings``, ``sources``, ``command`` of a planned run, and
            ``data_path``: where the data lies on this machine; ``mlflow_uri``, where MLflow keeps runs in a file here.
    """
    from recbole_logq.experiment.run import run

    receive(spec["sources"])
    watched: dict[str, Any] = {}

    def watch(trainer: Any, loaders: Any) -> None:
        watched.update(trainer=trainer, training=loaders[0], test=loaders[2])
        trainer.watch_ranking = lambda loader, ranked: watched.update(ranked=ranked) if loader is loaders[2] else None

    interrupted = sorted(Path("saved").glob("*-last.pth"))
    places = {key: spec[key] for key in ("data_path", "mlflow_uri") if key in spec}
    settings = {"show_progress": False, **_name(spec), **spec["settings"], **places}
    resume = str(interrupted[-1]) if interrupted else None
    result = run(spec["model"], spec["dataset"], config_dict=settings, resume=resume, callback=watch)
    # A record goes to others: it says where the data was as the plan does, not where this machine has it.
    data_path = str(spec["settings"].get("data_path", DATA_PATH))
    result["parameters"]["data_path"], result["given"]["data_path"] = str(Path(data_path) / spec["dataset"]), data_path
    if "mlflow_uri" in places:
        result["parameters"]["mlflow_uri"] = result["given"]["mlflow_uri"] = spec["settings"].get("mlflow_uri")
    for file in Path("saved").glob("*-last.pth"):
        file.unlink()  # the run is over, and its best epoch is kept
    record = {key: spec[key] for key in ("name", "model", "dataset", "seed", "command")}
    return {**record, "status": "done", "error": None, "result": result, **_measured(**watched)}


def _name(spec: dict[str, Any]) -> dict[str, str]:
    """Name of the run for trackers, where there are some."""
    has_tracker = spec["settings"].get("log_mlflow") or spec["settings"].get("log_wandb")
    return {"run_name": f"{spec['name']} on {spec['dataset']}, seed {spec['seed']}"} if has_tracker else {}


def _measured(trainer: Any, training: Any, test: Any, ranked: Any = None) -> dict[str, Any]:
    """Measures of the test ranking, and values by user; where a model cannot be ranked in blocks, why.

    Args:
        trainer: Trainer with the best model.
        training: Its loader.
        test: The loader of the test part.
        ranked: The ranking that the run's metrics were made of; None where RecBole's evaluation made them. The order of
            equal scores depends on how many items are asked for, so another ranking has other metrics.
    """
    from recbole_logq.comparisons.user_values import users_and_values
    from recbole_logq.data.dataset.item_counts import item_counts
    from recbole_logq.evaluation.measures import measures, per_user
    from recbole_logq.own_metrics import is_compared, row_values
    from recbole_logq.training import ranking

    if (reason := ranking.why_not_ranked(trainer.config, test)) is not None:
        return {"measures": {}, "unranked": reason, "users": [], "per_user": {}}
    part, depth, cutoff = training.dataset, max(trainer.config["topk"]), min(trainer.config["topk"])
    model = trainer.model.eval()
    ranking_of_test = ranked or ranking.rank(model, test, depth)
    (rows, items), counts = test.targets, item_counts(part)
    near = sorted({*trainer.config["topk"], *(k for k in DEEPEST if k <= depth)})
    measured = measures(ranking_of_test.items, ranking_of_test.hits, rows, items, counts, near)
    if far := [k for k in DEEPEST if depth < k < part.item_num]:
        deeper = ranking.rank(model, test, far[-1])
        measured |= measures(deeper.items, deeper.hits, rows, items, counts, far)
    by_row = per_user(ranking_of_test.items, ranking_of_test.hits, cutoff)
    values = {f"{name}@{cutoff}": by_row[name] for name in ("ndcg", "recall")}
    for name in filter(is_compared, trainer.config["metrics"]):
        values[f"{name.lower()}@{cutoff}"] = row_values(name, ranking_of_test.hits, cutoff)
    users, by_user = users_and_values(values, test.users, part.field2id_token[part.uid_field])
    return {"measures": measured, "unranked": None, "users": users, "per_user": by_user}


def main(words: list[str]) -> int:
    """Read, run, write; failures are one line, as on the command line."""
    end_with_parent()
    try:
        with interruptible():
            write_record(words[1], execute(json.loads(Path(words[0]).read_text(encoding="utf-8"))))
    except (RequestError, WorkError) as error:
        print(f"error: {visible(' '.join(str(error).split()))}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Metrics of the user's own beside RecBole's: how they are found, computed and compared.

A metric is a function of which of the best k items of each row are targets, best first (bool ``[rows, k]``), and of how
many targets each row has (int64 ``[rows]``). It gives a value for each row, whose mean is reported for every k of
``topk``. Or it is a metric class of RecBole's, which may look at more.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest
from recbole_logq.registry import metrics


def row_values(name: str, hits: Tensor, k: int) -> Tensor:
    """A registered function's values, float64 ``[rows]``.

    Args:
        name: Name of the metric.
        hits: Whether each of the best items is a target, and the number of targets, int64 ``[rows, K + 1]``.
        k: Length of the list.

    Raises:
        RequestError: The metric gives something else than a finite value for each row.
    """
    result = metrics.get(name)(hits[:, :k] > 0, hits[:, -1])
    values = torch.as_tensor(result, dtype=torch.float64)
    if values.shape != hits.shape[:1] or not bool(torch.isfinite(values).all()):
        fault = f"shape {list(values.shape)}" if values.shape != hits.shape[:1] else "values that are no finite numbers"
        raise RequestError(
            f"metric {name!r} ({metrics.place(name)}) gives {fault} for {len(hits)} rows with {k} items each: one "
            "finite number a row is asked for"
        )
    return values


def is_compared(name: str) -> bool:
    """Whether a comparison tests a metric: it has a value for each row, and a larger one is better."""
    entry = metrics.get(name) if name in metrics else type
    return not isinstance(entry, type) and not getattr(entry, "smaller", False)


def is_of_whole_lists(name: str) -> bool:
    """Whether a registered metric has no cut-off."""
    from recbole.evaluator.base_metric import TopkMetric

    entry = metrics.get(name) if name in metrics else None
    return isinstance(entry, type) and not issubclass(entry, TopkMetric)


def put_into_tables(names: Any) -> None:
    """Make RecBole's evaluator find the registered metrics among these names.

    Its configuration, collector and evaluator look metrics up in tables that it builds of its own module once. A
    registered metric is added to them under its name, when it is asked for; nothing of RecBole's is replaced.

    Args:
        names: The setting ``metrics``; one that is no text is left to the check of its type.

    Raises:
        RequestError: There is no such metric, or a registered one has the name of one of RecBole's.
    """
    from recbole.evaluator.register import metric_information, metric_types, metrics_dict, smaller_metrics

    for name in [names] if isinstance(names, str) else names or []:
        if not isinstance(name, str):
            continue
        key = name.lower()
        if key in metrics_dict and not hasattr(metrics_dict[key], "registered_by"):
            if name in metrics:
                raise RequestError(f"metric {name!r} of {metrics.place(name)} is RecBole's: give it another name")
            continue
        try:
            entry = metrics.get(name)
        except RequestError:
            raise
        except ValueError as error:
            near = nearest(name, {metric.__name__ for metric in metrics_dict.values()} | set(metrics.names()))
            raise RequestError(f"no metric named {name!r}{near} (your own comes in with --plugins=FILE.py)") from error
        adapted = _adapted(name, entry)
        metrics_dict[key], metric_information[key] = adapted, adapted.metric_need
        metric_types[key] = adapted.metric_type
        if adapted.smaller and key not in smaller_metrics:
            smaller_metrics.append(key)


def _adapted(name: str, entry: Any) -> Any:
    """A class as RecBole's evaluator takes it."""
    from recbole.evaluator.base_metric import AbstractMetric, TopkMetric

    if isinstance(entry, type):
        complete = all(hasattr(entry, key) for key in ("metric_need", "metric_type"))
        if not issubclass(entry, AbstractMetric) or not complete:
            place = metrics.place(name)
            raise RequestError(f"metric {name!r} ({place}): make it a function or a subclass of RecBole's TopkMetric")
        return type(entry.__name__, (entry,), {"registered_by": name, "__module__": entry.__module__})

    class OfRows(TopkMetric):  # type: ignore[misc, unused-ignore]
        registered_by = name
        smaller = bool(getattr(entry, "smaller", False))

        def calculate_metric(self, dataobject: Any) -> dict[str, float]:
            hits = dataobject.get("rec.topk")
            means = {k: float(row_values(name, hits, k).mean()) for k in self.topk}
            return {f"{name.lower()}@{k}": round(value, self.decimal_place) for k, value in means.items()}

    return OfRows

"""MLflow: a run of an experiment on a tracking server or in a file."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.tracking_settings import SQLITE, tracking_uri
from recbole_logq.training.trackers import Outcome

_PARAMETERS, _METRICS = 100, 1000
"""Numbers of each that one request may hold."""
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
_LONGEST = 500
"""Characters of a parameter, on any server."""


def reach(config: Any) -> tuple[Any, str]:
    """A client of the place where runs are kept, and the id of the experiment, made where it is missing.

    Raises:
        RequestError: The place cannot be reached.
    """
    # Nothing about this machine goes to MLflow's makers, and a server that is away is not waited for for minutes.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    from mlflow.tracking import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.WARNING)  # that it makes tables is no news
    name, uri = config["mlflow_experiment"], tracking_uri(config["mlflow_uri"])
    _check_folder(uri)
    try:
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return client, str(client.create_experiment(name))
            except Exception:  # another run has made it meanwhile
                experiment = client.get_experiment_by_name(name)
                if experiment is None:
                    raise
    except Exception as error:  # of a database or of a connection: any
        raise RequestError(f"log_mlflow=true: MLflow cannot be reached: {_short(error)}; set mlflow_uri") from error
    if experiment.lifecycle_stage != "active":
        raise RequestError(f"mlflow_experiment={name!r} was deleted: restore it, or name another one")
    return client, str(experiment.experiment_id)


def _check_folder(uri: str) -> None:
    # MLflow would make the folders of a slip of the pen, and try for minutes where it cannot.
    file = Path(uri.removeprefix(SQLITE))
    if uri.startswith(SQLITE) and not (
        file.parent.is_dir() and os.access(file if file.exists() else file.parent, os.W_OK)
    ):
        raise RequestError(
            f"log_mlflow=true: {file} cannot be written; set mlflow_uri={SQLITE}FILE in an existing folder"
        )


class MlflowTracker:
    """One run there.

    Args:
        config: Settings of the run.
        name: Name of the run.
        parameters: Settings to keep with it, as texts.
        tags: Further texts.
    """

    name = "MLflow"

    def __init__(self, config: Any, name: str, parameters: Mapping[str, str], tags: Mapping[str, str]) -> None:
        self._client, experiment = reach(config)
        self._run = self._client.create_run(experiment, run_name=name, tags=dict(tags)).info.run_id
        from mlflow.entities import Param

        params = [Param(_key(key), value[:_LONGEST]) for key, value in parameters.items()]
        for part in _parts(params, _PARAMETERS):
            self._client.log_batch(self._run, params=part)

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        """See :class:`recbole_logq.training.trackers.Tracker`."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_key(key), value, now, epoch) for key, value in values.items()]
        for part in _parts(metrics, _METRICS):
            self._client.log_batch(self._run, metrics=part)

    def summarise(self, values: Mapping[str, float]) -> None:
        """See :class:`recbole_logq.training.trackers.Tracker`."""
        self.log(values, 0)

    def end(self, outcome: Outcome) -> None:
        """See :class:`recbole_logq.training.trackers.Tracker`."""
        self._client.set_terminated(self._run, _STATUS[outcome])


def _key(name: str) -> str:
    """A name that MLflow accepts: ``ndcg_at_10``."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))


def _parts(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    remaining = iter(values)
    while part := list(islice(remaining, size)):
        yield part


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]

"""Settings of experiment trackers and of the meter of energy: whether what they need is there, without importing it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from recbole_logq.errors import RequestError

DEFAULT_URI = "sqlite:///mlflow.db"
"""Where MLflow keeps runs unless ``mlflow_uri`` or the environment variable MLFLOW_TRACKING_URI says another place."""
_PACKAGES = {
    "log_wandb": ("wandb", "wandb"),
    "log_mlflow": ("mlflow", "mlflow"),
    "log_energy": ("codecarbon", "energy"),
}
SQLITE = "sqlite:///"
_SCHEMES = ("sqlite", "http", "https", "databricks", "postgresql", "mysql", "mssql")


def check_tracking(values: Mapping[str, Any]) -> None:
    """Refuse a tracker that is not installed, a place of runs that cannot be one, and a country that nobody knows.

    Args:
        values: The final settings.

    Raises:
        RequestError: One of these; the message says what to do.
    """
    for key, (package, extra) in _PACKAGES.items():
        if values.get(key) and importlib.util.find_spec(package) is None:
            raise RequestError(f"{key}=true needs {package}: run `pip install 'recbole-logq[{extra}]'`")
    if values.get("log_mlflow") and values.get("mlflow_uri") is not None:
        _check_uri(values["mlflow_uri"])
    if values.get("log_energy") and values.get("country_iso_code") is not None:
        _check_country(values["country_iso_code"])


def tracking_uri(uri: str | None) -> str:
    """Where MLflow keeps runs, as a place that is the same from every folder.

    Args:
        uri: Setting ``mlflow_uri``.
    """
    uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI
    if not uri.startswith(SQLITE):
        return uri
    return SQLITE + str(Path(uri.removeprefix(SQLITE)).absolute())


def local_uri(settings: Mapping[str, Any]) -> dict[str, str]:
    """``mlflow_uri`` for a process that stands in another folder; nothing where no file of this machine is meant.

    A place out of the environment, which may hold a password, is left there: a process inherits it.

    Args:
        settings: Settings of the user.
    """
    uri = tracking_uri(settings.get("mlflow_uri")) if settings.get("log_mlflow") else ""
    return {"mlflow_uri": uri} if uri.startswith(SQLITE) else {}


def _check_uri(uri: str) -> None:
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if "@" in parts.netloc or parts.query:
        raise RequestError(
            "mlflow_uri holds a user or a password, which would stand in every record: set the environment variable "
            "MLFLOW_TRACKING_URI, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    if scheme not in _SCHEMES or (scheme == "sqlite" and not uri.removeprefix(SQLITE).strip("/")):
        raise RequestError(f"mlflow_uri={uri!r}: an address such as https://HOST or {DEFAULT_URI}")


def _check_country(code: str) -> None:
    spec = importlib.util.find_spec("codecarbon")
    folder = Path(next(iter(spec.submodule_search_locations or [""]))) if spec else Path()
    countries = json.loads((folder / "data" / "private_infra" / "global_energy_mix.json").read_text(encoding="utf-8"))
    if not re.fullmatch("[A-Z]{3}", code) or code not in countries:
        raise RequestError(f"country_iso_code={code!r}: three letters of a country that CodeCarbon knows, such as DEU")

"""Which runs a comparison is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.experiment.files import folder_name
from recbole_logq.parsing import nest, read_yaml
from recbole_logq.settings import nearest

PLAN_KEYS = frozenset({"title", "models", "dataset", "datasets", "seeds", "reference", "settings"})
# One protocol for all models, unless the settings say another one: RecBole's own differ between kinds of models.
PROTOCOL: dict[str, Any] = {
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
    "filter_history": True,
}


@dataclass(frozen=True)
class PlannedRun:
    """One model on one dataset with one seed.

    Attributes:
        name: How tables call the model with its settings.
        settings: Everything that is set, the seed included.
    """

    name: str
    model: str
    dataset: str
    seed: int
    settings: dict[str, Any] = field(hash=False)

    @property
    def key(self) -> str:
        """Names the run's files; other settings are another run."""
        content = json.dumps([self.model, self.dataset, self.settings], sort_keys=True)
        label = folder_name(self.name)
        return f"{label}-{self.dataset}-{self.seed}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    @property
    def command(self) -> str:
        """The run by hand, but for the folder it writes to."""
        words = [f"--model={self.model}", f"--dataset={self.dataset}"]
        for key, value in self.settings.items():
            words.append(f"--{key}={value}" if isinstance(value, str) else f"--{key}='{json.dumps(value)}'")
        return " ".join(["run_recbole_logq.py", *words])


@dataclass(frozen=True)
class Plan:
    """A whole comparison.

    Attributes:
        title: Of the report.
        runs: In the order in which they start: all models of a seed before the next seed, so that an early look at
            the results compares like with like.
        reference: Name of the model that the others are tested against.
    """

    title: str
    runs: list[PlannedRun]
    reference: str


def read_plan(
    files: Sequence[str], options: dict[str, Any], keys: frozenset[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is asked for under ``keys``, and the settings that hold for every model, the protocol among them.

    Args:
        files: YAML, later ones win.
        options: Win over the files; what is none of ``keys`` is a setting.
        keys: That a file may have.

    Raises:
        RequestError: A file has another key.
    """
    given: dict[str, Any] = {}
    for file in files:
        content = read_yaml(file)
        for key in content:
            if key not in keys:
                known = nearest(key, set(keys))
                raise RequestError(f"{file}: unknown key {key}{known} (what holds for all models goes under settings)")
        given |= {**content, "settings": over(given.get("settings", {}), nest(content.get("settings") or {}))}
    options = nest(options)
    given |= {key: value for key, value in options.items() if key in keys and key != "settings"}
    shared = over(PROTOCOL, given.get("settings", {}))
    return given, over(shared, {key: value for key, value in options.items() if key not in keys})


def make_plan(files: Sequence[str], options: dict[str, Any]) -> Plan:
    """A plan from YAML files, later ones win, and options that win over them.

    Args:
        files: With the keys of ``PLAN_KEYS``.
        options: The same, and any setting, which then holds for all models. Lists may be text, separated by commas.

    Raises:
        RequestError: Nothing to compare, a name twice, or keys that do not belong there.
    """
    given, shared = read_plan(files, options, PLAN_KEYS)
    entries = [entry_of(one) for one in listed(given.get("models"))]
    datasets = [str(name) for name in listed(given.get("datasets") or given.get("dataset"))]
    seeds = _seeds(given.get("seeds", 3))
    if not entries or not datasets:
        raise RequestError(
            "compare needs models and a dataset: --models=A,B --dataset=NAME, or --config_files=FILE.yaml"
        )
    names = [name for name, _, _ in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise RequestError(f"models: {min(twice)} stands there twice; give one of them another name")
    reference = str(given.get("reference") or names[0])
    if reference not in names:
        raise RequestError(f"reference={reference}: one of {', '.join(names)}")
    runs = [
        PlannedRun(name, model, dataset, seed, {**over(shared, own), "seed": seed})
        for dataset in datasets
        for seed in seeds
        for name, model, own in entries
    ]
    return Plan(str(given.get("title") or "-".join(datasets)), runs, reference)


def over(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """Settings with others on top; sections such as ``negatives`` are merged, but not two ways to split."""
    merged = {**low, **high}
    for key in low.keys() & high.keys():
        if isinstance(low[key], dict) and isinstance(high[key], dict):
            merged[key] = {**low[key], **high[key]}
    return merged


def listed(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value or [])


def entry_of(one: Any) -> tuple[str, str, dict[str, Any]]:
    """Name, model and settings of an entry under ``models``."""
    if isinstance(one, str):
        return one, one, {}
    if not isinstance(one, dict) or "model" not in one:
        raise RequestError(f"models: {one!r} is neither a name nor a mapping with model: NAME and its settings")
    own = nest({key: value for key, value in one.items() if key not in {"name", "model"}})
    return str(one.get("name") or one["model"]), str(one["model"]), own


def _seeds(value: Any) -> list[int]:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return list(range(1, value + 1))
    seeds = listed(value) if isinstance(value, list) else []
    if not seeds or not all(isinstance(seed, int) and seed >= 0 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise RequestError(f"seeds={value!r}: how many, or a list of different whole numbers")
    return seeds

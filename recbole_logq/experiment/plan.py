"""Which runs a comparison is made of."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from recbole_logq.allowed_values import Allowed
from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan_layers import entry_of, listed, read_plan, refuse_reserved, text, with_protocol
from recbole_logq.files import folder_name
from recbole_logq.flags import Flags
from recbole_logq.layers import over
from recbole_logq.numerals import as_whole
from recbole_logq.parsing import parse_value
from recbole_logq.plugins import sources_of


class ComparisonKeys(Flags):
    """What a plan of a comparison says, in a file or on the command line."""

    models: Annotated[Any, Allowed("A,B")] = Field(
        None, description="models to compare; in a file also with a name and settings of their own"
    )
    dataset: Annotated[Any, Allowed("NAME")] = Field(None, description="dataset")
    datasets: Annotated[Any, Allowed("A,B")] = Field(None, description="datasets, in place of one")
    seeds: Annotated[Any, Allowed("N, [A,B]")] = Field(3, description="how many seeds, or a list of them")
    reference: Annotated[Any, Allowed("NAME")] = Field(
        None, description="model that the others are tested against; the first by default"
    )
    title: Annotated[Any, Allowed("TEXT")] = Field(None, description="heading of the report and name of its folder")
    settings: Annotated[Any, Allowed("VALUE")] = Field(None, description="settings of all models, as a section")


PLAN_KEYS = frozenset(ComparisonKeys.model_fields)
RESERVED = frozenset({"model", "dataset", "seed", "config_files"})
MAX_SEEDS = 10_000


@dataclass(frozen=True)
class PlannedRun:
    """One model on one dataset with one seed.

    Attributes:
        name: Name of the model with its settings in tables.
        settings: Everything that is set, the seed included.
        sources: Text of the plug-ins' files, for the process that runs it.
    """

    name: str
    model: str
    dataset: str
    seed: int
    settings: dict[str, Any] = field(hash=False)
    sources: list[dict[str, str]] = field(default_factory=list, hash=False)

    @property
    def key(self) -> str:
        """Names the run's files; other settings are another run."""
        texts = [sent["source"] for sent in self.sources]  # a plug-in that has changed makes another run too
        content = json.dumps([self.model, self.dataset, self.settings, *texts], sort_keys=True)
        label = folder_name(self.name)
        return f"{label}-{self.dataset}-{self.seed}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"

    @property
    def command(self) -> str:
        """The run by hand, but for the folder it writes to."""
        words = [f"--model={self.model}", f"--dataset={self.dataset}"]
        for key, value in self.settings.items():
            words.append(f"--{key}={shlex.quote(value if isinstance(value, str) else json.dumps(value))}")
        return " ".join(["run_recbole_logq.py", *words])


@dataclass(frozen=True)
class Plan:
    """A whole comparison.

    Attributes:
        title: Title of the report.
        runs: Runs in the order in which they start: all models of a seed before the next seed, so that an early look at
            the results compares like with like.
        reference: Name of the model that the others are tested against.
    """

    title: str
    runs: list[PlannedRun]
    reference: str


def make_plan(files: Sequence[str] | None, options: dict[str, Any]) -> Plan:
    """A plan from YAML files, later ones win, and options that win over them.

    Args:
        files: YAML with the keys of ``PLAN_KEYS``.
        options: The same keys, and any setting, under ``settings`` or without it, which then holds for all models.
            Lists may be text, separated by commas.

    Raises:
        RequestError: Nothing to compare, a name twice, or what does not belong there.
    """
    chosen, shared = read_plan(files, options, PLAN_KEYS)
    refuse_reserved(shared, RESERVED)
    entries = [entry_of(entry, RESERVED) for entry in listed("models", chosen.get("models"))]
    key = "dataset" if chosen.get("datasets") is None else "datasets"
    datasets = [text(key, name) for name in listed(key, chosen.get(key))]
    seeds = _seeds(chosen.get("seeds", 3))
    if not entries or not datasets:
        raise RequestError(
            "compare needs models and a dataset: --models=A,B --dataset=NAME, or --config_files=FILE.yaml"
        )
    names = [name for name, _, _ in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise RequestError(f"models: {min(twice)} stands there twice; give one of them another name")
    if twice := {name for name in datasets if datasets.count(name) > 1}:
        raise RequestError(f"{key}: {min(twice)} stands there twice; keep one")
    shared = with_protocol(shared, [(name, settings) for name, _, settings in entries])
    reference = names[0] if chosen.get("reference") is None else str(chosen["reference"])
    if reference not in names:
        raise RequestError(f"reference={reference}: one of {', '.join(names)}")
    sources = {name: sources_of(over(shared, settings).get("plugins")) for name, _, settings in entries}
    runs = [
        PlannedRun(name, model, dataset, seed, {**over(shared, settings), "seed": seed}, sources[name])
        for dataset in datasets
        for seed in seeds
        for name, model, settings in entries
    ]
    _refuse_one_file(runs)
    title = chosen.get("title")
    return Plan("-".join(datasets) if title is None else text("title", title), runs, reference)


def _refuse_one_file(runs: Sequence[PlannedRun]) -> None:
    by_key: dict[str, PlannedRun] = {}
    for run in runs:
        earlier = by_key.setdefault(run.key, run)
        if earlier is not run:
            raise RequestError(f"models: {earlier.name!r} and {run.name!r} are the same run; keep one")


def _seeds(value: Any) -> list[int]:
    parsed = parse_value("seeds", value) if isinstance(value, str) else value
    count = as_whole(parsed)
    if count is not None and count > 0:
        if count > MAX_SEEDS:
            raise RequestError(f"seeds={count}: how many, {MAX_SEEDS:,} at most; one seed is a list, seeds=[{count}]")
        return list(range(1, count + 1))
    listed = parsed.split(",") if isinstance(parsed, str) and "," in parsed else parsed
    seeds = [as_whole(seed) for seed in listed] if isinstance(listed, list | tuple) else []
    numbers = [seed for seed in seeds if seed is not None and 0 <= seed < 2**32]
    if not seeds or len(set(numbers)) < len(seeds):
        raise RequestError(f"seeds={value!r}: how many, or a list of different whole numbers")
    return numbers

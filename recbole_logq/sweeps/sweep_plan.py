"""What a sweep is asked to do, read from YAML, a range file and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from recbole_logq.allowed_values import Allowed
from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan_layers import entry_of, listed, read_plan, refuse_reserved, text, with_protocol
from recbole_logq.files import folder_name
from recbole_logq.layers import Layer, over
from recbole_logq.parsing import nest
from recbole_logq.plugins import sources_of
from recbole_logq.setting_types import Count, CountOrZero, Positive, PositiveOrZero
from recbole_logq.sweeps.parameter import Parameter
from recbole_logq.sweeps.params_file import read_params_file
from recbole_logq.sweeps.space import grid, merged_space, parse_space


def _named_scheduler(value: Any) -> Any:
    """``asha`` and ``none`` stand for a scheduler with its defaults and for none."""
    if value == "asha":
        return {}
    return None if value == "none" else value


class Asha(BaseModel):
    """Successive halving: at epoch ``grace_period`` times a power of ``reduction_factor``, only the best go on."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["asha"] = Field(default="asha", description="kind of scheduler")
    grace_period: Count = Field(default=1, description="epochs that every trial gets")
    reduction_factor: Annotated[int, Field(ge=2)] = Field(
        default=3, description="number of trials of which one goes on"
    )


class SweepSettings(BaseModel):
    """How to search, as opposed to what is trained."""

    model_config = ConfigDict(extra="forbid")

    trials: Count = Field(10, description="points of the space to try")
    search: Literal["random", "grid", "optuna"] = Field(
        "random", description="random points, every combination of choices, or Optuna's guesses"
    )
    search_seed: CountOrZero = Field(1, description="seed of the search; trials train with the setting `seed`")
    scheduler: Annotated[Asha | None, BeforeValidator(_named_scheduler), Allowed("asha, none")] = Field(
        Asha(), description="ends trials early that fall behind; its parts are grace_period and reduction_factor"
    )
    cpus: Positive = Field(1.0, description="processors that Ray reserves for a trial")
    gpus: PositiveOrZero = Field(0.0, description="accelerators that Ray reserves for a trial; a share is allowed")
    concurrent: Count | None = Field(None, description="trials at a time, at most")
    max_cpu_seconds: Positive | None = Field(
        None, description="budget of training in CPU seconds, all trials of a model together"
    )


class SweepKeys(SweepSettings):
    """What a plan of a sweep says, in a file or on the command line."""

    model: Annotated[Any, Allowed("NAME")] = Field(None, description="model whose settings are searched")
    models: Annotated[Any, Allowed("A,B")] = Field(None, description="models, in place of one; searched in turn")
    dataset: Annotated[Any, Allowed("NAME")] = Field(None, description="dataset")
    space: Annotated[Any, Allowed("VALUE", "space.SETTING.KIND=VALUES")] = Field(
        None, description="what to vary, such as --space.learning_rate.loguniform=[0.001,0.1]; docs/sweeps.md has more"
    )
    title: Annotated[Any, Allowed("TEXT")] = Field(None, description="heading of the report and name of its folder")
    settings: Annotated[Any, Allowed("VALUE")] = Field(None, description="settings of all trials, as a section")


PLAN_KEYS = frozenset(SweepKeys.model_fields)
RESERVED = frozenset({"model", "dataset", "config_files"})
PROTOCOL = ("valid_metric", "filter_history", "request_time", "recbole_order", "benchmark_filename", "eval_args")
"""Settings that say how a model is chosen and tested."""
TEST_SET = frozenset(
    {"metrics", "topk", "valid_metric_bigger", "repeatable", "grade_field", "threshold", "rm_dup_inter", "val_interval"}
    | {"user_inter_num_interval", "item_inter_num_interval", "filter_inter_by_user_or_item"}
)
"""Further ones that change what a score is of."""


@dataclass(frozen=True)
class Search:
    """The sweep of one model.

    Attributes:
        name: Label of the search, and name of its folder.
        settings: What all its trials share.
        space: What they differ in.
        sources: Text of the plug-ins' files, for the processes that run them.
    """

    name: str
    model: str
    dataset: str
    settings: dict[str, Any]
    space: list[Parameter] = field(hash=False)
    sources: list[dict[str, str]] = field(default_factory=list, hash=False)


@dataclass(frozen=True)
class SweepPlan:
    """Searches that follow each other, with the same budget each."""

    title: str
    searches: list[Search]
    settings: SweepSettings

    def content(self) -> dict[str, Any]:
        """The plan as plain values; an unfinished sweep goes on only under the same."""
        return {
            "title": self.title,
            "how": self.settings.model_dump(),
            "searches": [_content(search) for search in self.searches],
        }


def _content(search: Search) -> dict[str, Any]:
    content = asdict(search)
    plugins = {sent["name"]: sha256(sent["source"].encode()).hexdigest() for sent in content.pop("sources")}
    return content | ({"plugins": plugins} if plugins else {})


def make_sweep(files: Sequence[str] | None, options: dict[str, Any], params_file: str | None = None) -> SweepPlan:
    """A plan from YAML files, later ones win, a range file, and options that win over both.

    Args:
        files: YAML files with the keys of :data:`PLAN_KEYS`.
        options: The same keys, and any setting of what is trained.
        params_file: The space in RecBole's form.

    Raises:
        RequestError: Something is missing, unknown, or makes no sense.
    """
    ranges = None if params_file is None else {"space": read_params_file(params_file)}
    sections = {"space": merged_space, "scheduler": over}
    given, shared = read_plan(files, options, PLAN_KEYS, more=ranges, sections=sections)
    refuse_reserved(shared, RESERVED)
    settings = _checked_settings({key: value for key, value in given.items() if key in SweepSettings.model_fields})
    space = given.get("space") or {}
    key = "model" if given.get("models") is None else "models"
    entries = listed(key, given.get(key))
    if not entries or given.get("dataset") is None:
        raise RequestError(
            "sweep needs a model, a dataset and a space: --config_files=FILE.yaml, or --model=NAME --dataset=NAME "
            "--params_file=FILE"
        )
    dataset = text("dataset", given["dataset"])
    models = [_model(entry) for entry in entries]
    shared = with_protocol(shared, [(name, own) for name, _, own, _ in models])
    searches = [_search(*model, dataset, shared, space, settings) for model in models]
    names = [search.name for search in searches]
    if twice := {name for name in names if names.count(name) > 1}:
        raise RequestError(f"models: {min(twice)} stands there twice; give one of them another name")
    folders = [folder_name(name).casefold() for name in names]
    if shared_by := [name for name, folder in zip(names, folders, strict=True) if folders.count(folder) > 1]:
        raise RequestError(f"models: {' and '.join(map(repr, shared_by))} would share a folder; rename one of them")
    if settings.search == "grid" and (unread := {"trials", "search_seed"} & given.keys()):
        raise RequestError(f"{min(unread)}: a grid tries every combination, in its order; leave it out")
    title = given.get("title")
    return SweepPlan(f"{'-'.join(names)}-{dataset}" if title is None else text("title", title), searches, settings)


def _checked_settings(values: dict[str, Any]) -> SweepSettings:
    try:
        return SweepSettings.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        path = ".".join(str(part) for part in problem["loc"] if part != "Asha")
        message = problem["msg"].removeprefix("Value error, ")
        if path.startswith("scheduler"):
            message += f"; scheduler is asha, none, or a mapping of {', '.join(Asha.model_fields)}"
        raise RequestError(f"{path}={problem['input']!r}: {message[0].lower()}{message[1:]}") from error


def _model(entry: Any) -> tuple[str, str, Layer, Any]:
    """Name, model, settings and space of an entry under ``models``."""
    own_space: Any = {}
    if isinstance(entry, dict) and "space" in entry:
        own_space = entry["space"] or {}
        entry = {key: value for key, value in entry.items() if key != "space"}
    return (*entry_of(entry, RESERVED), own_space)


def _search(
    name: str,
    model: str,
    own: Layer,
    own_space: Any,
    dataset: str,
    shared: Layer,
    space: Layer,
    search_settings: SweepSettings,
) -> Search:
    if not isinstance(space, dict) or not isinstance(own_space, dict):
        raise RequestError("space: names of settings, each with what it can be")
    parameters = parse_space(merged_space(space, own_space), f"{name}: space" if own_space else "space")
    for parameter in parameters:
        key = parameter.name.partition(".")[0]
        if key in ("model", "dataset", "seed", "data_path", "plugins"):
            raise RequestError(f"space.{parameter.name}: it is not searched; set it once for all trials")
        if key in PROTOCOL or key in TEST_SET:
            raise RequestError(
                f"space.{parameter.name}: its trials would be measured differently, and are ranked together; set {key} "
                "once, under settings"
            )
    settings = over(shared, own)
    flat = _dotted(settings)
    for parameter in parameters:
        if parameter.name in flat:
            raise RequestError(f"{parameter.name} stands in settings and in space: keep one")
    if search_settings.search == "grid":
        grid(parameters)
    return Search(name, model, dataset, settings, parameters, sources_of(settings.get("plugins")))


def _dotted(settings: dict[str, Any], prefix: str = "") -> set[str]:
    names = set()
    for key, value in settings.items():
        names.add(f"{prefix}{key}")
        if isinstance(value, dict):
            names |= _dotted(value, f"{prefix}{key}.")
    return names


def merged(settings: dict[str, Any], point: dict[str, Any]) -> dict[str, Any]:
    """Settings with the values of a point, sections such as ``negatives`` merged."""
    return over(settings, nest(point))

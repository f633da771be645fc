"""The schema of the configuration: which settings exist, of which type, and which combinations make no sense."""

from __future__ import annotations

import math
import sys
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from recbole_logq.data.dataset.intervals import parse_intervals
from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest as nearest
from recbole_logq.numerals import as_number

DATA_PATH = "datasets"
"""Where datasets lie, one folder each, unless ``data_path`` says another place."""


def _number(value: Any) -> Any:
    # bool is an int to Python, but `epochs: yes` is a mistake.
    if isinstance(value, bool):
        raise ValueError("expected a number, not true/false")
    return as_number(value)


def _none(value: Any) -> Any:
    # The word and YAML's null are the same wish.
    return None if value == "none" else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _interval(value: Any) -> Any:
    parse_intervals(value)
    return value


def _three_parts(names: list[str]) -> list[str]:
    if len(names) != 3:
        raise ValueError(
            "three names, of the training, the validation and the test part (a part's file may hold no rows)"
        )
    return names


def _level(value: Any) -> Any:
    if value is not None and str(value).upper() not in LEVELS:
        raise ValueError(f"one of {', '.join(LEVELS)}")
    return value


LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""What ``state`` may be, in any case; another word would be taken for INFO."""

# Beyond 2^53 no size of anything is meant, and torch would say so in the middle of the work.
Count = Annotated[int, BeforeValidator(_number), Field(ge=1, le=2**53)]
CountOrZero = Annotated[int, BeforeValidator(_number), Field(ge=0, le=2**53)]
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False)]
PositiveOrZero = Annotated[float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]
Interval = Annotated[str, BeforeValidator(_interval)]
Share = Annotated[float, BeforeValidator(_number), Field(ge=0, lt=1)]


class ClipSettings(BaseModel):
    """Arguments of torch's ``clip_grad_norm_``."""

    model_config = ConfigDict(extra="forbid")

    max_norm: Positive
    norm_type: Positive = 2.0
    error_if_nonfinite: bool = False


class CommonSettings(BaseModel):
    """Settings of every model, RecBole's own included. Other RecBole keys pass through untouched."""

    model_config = ConfigDict(extra="allow", strict=False, protected_namespaces=())

    seed: Annotated[int, BeforeValidator(_number), Field(ge=0, lt=2**32)]
    epochs: Count
    train_batch_size: Count
    eval_batch_size: Count
    learning_rate: Positive
    learner: Annotated[Literal["adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam"], BeforeValidator(_lower)]
    weight_decay: PositiveOrZero
    eval_step: CountOrZero
    stopping_step: CountOrZero
    clip_grad_norm: ClipSettings | None = None
    topk: Count | Annotated[list[Count], Field(min_length=1)]
    metrics: str | Annotated[list[str], Field(min_length=1)]
    valid_metric: str
    metric_decimal_place: CountOrZero
    eval_args: dict[str, Any]
    show_progress: bool
    shuffle: bool
    use_gpu: bool
    reproducibility: bool
    enable_amp: bool
    log_wandb: bool
    data_path: str
    # RecBole's own default is what the machine likes best.
    encoding: Annotated[str, BeforeValidator(lambda value: "utf-8" if value is None else value)] = "utf-8"
    checkpoint_dir: str
    worker: CountOrZero
    state: Annotated[str | None, BeforeValidator(_level)]
    load_col: dict[str, list[str] | Literal["*"] | None] | None = None
    unload_col: dict[str, list[str]] | None = None
    threshold: dict[str, Any] | None = None
    rm_dup_inter: Literal["first", "last"] | None = None
    user_inter_num_interval: Interval | None = None
    item_inter_num_interval: Interval | None = None
    val_interval: dict[str, Any] | None = None
    benchmark_filename: Annotated[list[str], AfterValidator(_three_parts)] | None = None
    filter_inter_by_user_or_item: bool | None = None
    train_neg_sample_args: dict[str, Any] | None = None
    MAX_ITEM_LIST_LENGTH: Count = 50
    nproc: Count = 1
    recbole_order: bool = False
    filter_history: bool | None = None
    request_time: Literal["unknown", "known"] = "unknown"
    max_train_cpu_seconds: Positive | None = None
    plugins: list[str] | None = None


class RecentPopSettings(CommonSettings):
    """Settings of what was popular lately."""

    recent_days: Positive = 30.0


class NegativesSettings(BaseModel):
    """Where the negatives of a step come from; further keys are options of that source, which checks them itself."""

    model_config = ConfigDict(extra="allow")

    source: str
    count: Count | None = None
    own: Annotated[Literal["window", "history"] | None, BeforeValidator(_none)] = None


class RetrievalSettings(CommonSettings):
    """Settings of this package's models, whatever the encoder."""

    loss: str
    loss_options: dict[str, Any] | None = None
    negatives: NegativesSettings
    hits: Literal["masked", "kept"] | None = None
    allow_crossed: bool = False
    mask: Literal["target", "query", "history"] = "target"
    weight_field: str | None = None
    segment_field: str | None = None
    similarity: Literal["dot", "cosine"]
    temperature: Positive
    temperature_mode: Literal["fixed", "learned", "scheduled"] = "fixed"
    temperature_end: Positive | None = None
    temperature_steps: Count | None = None
    diagnostics: bool = True
    embedding_size: Count
    gradient_cache: Count | None = None
    pools: Count = 1
    sparse_embeddings: bool | Literal["auto"] = "auto"
    user_features: list[str] | None = None
    item_features: list[str] | None = None
    context_features: list[str] | None = None
    use_item_id: bool = True
    id_dropout: Share = 0.0
    lr_schedule: Literal["constant", "linear", "cosine"]
    warmup_steps: CountOrZero


class TwoTowerSettings(RetrievalSettings):
    """Settings of the two-tower encoder."""

    mlp_sizes: list[Count]
    dropout: Share
    user_tower: Literal["id", "history"] = "id"
    max_history: Count | None = None
    history_pooling: Literal["mean", "attention"] = "mean"
    use_user_id: bool = True


class SASRecSettings(RetrievalSettings):
    """Settings of the SASRec-style encoder."""

    n_layers: Count
    n_heads: Count
    inner_size: Count
    dropout: Share
    block: Literal["classic", "ligr", "hstu"]
    norm: Literal["pre", "post"]
    feed_forward: Literal["gelu", "relu", "swiglu"]
    positions: Literal["learned", "rotary", "relative", "none"]
    time: Literal["none", "gaps", "bias", "both"] = "none"
    time_buckets: Annotated[int, BeforeValidator(_number), Field(ge=3, le=1024)] = 64
    bias_weights: Literal["layers", "shared"] = "layers"
    input_norm: bool
    scale_embedding: bool
    initializer_range: Positive


ACCUMULATION = frozenset({"accumulation_steps", "gradient_accumulation_steps", "accumulate_grad_batches"})


def check_keys(given: dict[str, Any], known: set[str]) -> None:
    """Refuse keys that nothing reads.

    Raises:
        RequestError: Naming the key and the nearest known one.
    """
    for key in given:
        if key in ACCUMULATION:
            raise RequestError(
                f"{key}: summing the gradients of small batches leaves each its own small pool of negatives; set "
                "--gradient_cache=N, which encodes N at a time and has the gradient of the whole batch"
            )
        if key not in known:
            raise RequestError(f"unknown setting {key}{nearest(key, known)}")


# Texts that may look like numbers to YAML.
NAMES = frozenset({"model", "dataset", "gpu_id"})


def check_magnitudes(given: Any, path: str = "") -> None:
    """Refuse whole numbers that no float holds, wherever they stand: arithmetic would overflow in the middle of work.

    Raises:
        RequestError: Naming the setting.
    """
    parts = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list | tuple) else ()
    for key, value in parts:
        check_magnitudes(value, f"{path}.{key}" if path else str(key))
    if isinstance(given, int) and abs(given) > sys.float_info.max:
        raise RequestError(f"{path}: a whole number of more than 300 digits; give a smaller one")


def check_kinds(given: dict[str, Any], defaults: dict[str, Any], checked: set[str]) -> None:
    """Hold what RecBole's own models read, which has no schema, against the kind of its default.

    Args:
        given: What the user set.
        defaults: Of all settings.
        checked: Settings that a schema has checked.

    Raises:
        RequestError: Naming the key and its default.
    """
    for key, value in given.items():
        default = defaults.get(key)
        if key in checked:
            continue
        if value is None:
            if isinstance(default, int | float) and not isinstance(default, bool):
                raise RequestError(f"{key}=null: a number, such as its default {default}")
            continue
        number = isinstance(value, int | float) and math.isfinite(value)
        if isinstance(default, bool):
            if value not in (True, False):
                raise RequestError(f"{key}={value!r}: true or false")
        elif isinstance(default, str) and key not in NAMES and not isinstance(value, str):
            raise RequestError(f"{key}={value!r}: a text, such as its default {default!r}")
        elif isinstance(default, int | float) and (isinstance(value, bool) or not number):
            raise RequestError(f"{key}={value!r}: a number, such as its default {default}")


def whole_numbers(given: dict[str, Any], defaults: dict[str, Any], checked: set[str]) -> dict[str, Any]:
    """Of what :func:`check_kinds` takes, whole numbers that are written as floats: RecBole's models count with them.

    Returns:
        Those of which the default is a whole number, or a list of them: ``1.0`` becomes 1.
    """
    return {
        key: [int(part) for part in value] if isinstance(value, list) else int(value)
        for key, value in given.items()
        if key not in checked and _is_whole(value) and _is_whole(defaults.get(key), floats=False)
    }


def _is_whole(value: Any, floats: bool = True) -> bool:
    parts = value if isinstance(value, list) else [value]
    numbers = [
        part for part in parts if isinstance(part, int | float if floats else int) and not isinstance(part, bool)
    ]
    return bool(parts) and len(numbers) == len(parts) and all(float(part).is_integer() for part in numbers)


def check_types(values: dict[str, Any], schema: type[BaseModel]) -> dict[str, Any]:
    """Check types and ranges; returns the checked values of the schema's own fields (``1.0`` for a count becomes 1).

    Raises:
        RequestError: One line naming the key, what was found and what is expected.
    """
    try:
        checked = schema.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        where = [part for part in problem["loc"] if isinstance(part, str)]
        # Unions report one problem per branch with the branch's type in the path; the key is what the user knows.
        path = ".".join(part for part in where if part.isidentifier() or part == where[0])
        path = path.removesuffix(".int").removesuffix(".str")
        if problem["type"] == "extra_forbidden":
            section, _, key = path.rpartition(".")
            field = schema.model_fields[section].annotation
            known = set(getattr(field, "model_fields", {}))
            raise RequestError(
                f"unknown setting {path}{nearest(key, known)} ({section} has {', '.join(sorted(known))})"
            ) from error
        if problem["type"] == "missing":
            raise RequestError(f"{path} is not set: give --{path}=VALUE") from error
        message = problem["msg"].removeprefix("Value error, ")
        raise RequestError(f"{path}={problem['input']!r}: {message[0].lower()}{message[1:]}") from error
    own = {name: getattr(checked, name) for name in schema.model_fields}
    return {
        name: value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value
        for name, value in own.items()
    }

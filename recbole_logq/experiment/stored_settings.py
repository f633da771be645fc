"""Which settings of a checkpoint are followed: those that make the model, its data and its protocol, and no others.

A checkpoint may come from a stranger. Where this computer logs to, writes to and reads from is the business of who runs
the command; so is how many processes and which device. A list of what is taken cannot forget a setting.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import ValidationError

from recbole_logq.compat import recbole_folder
from recbole_logq.data.source.known_datasets import PACKAGED, address_of
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.experiment.earlier import earlier_given
from recbole_logq.models.resolve import own_fields, recbole_name, resolve_model, settings_of, source_files, split_name
from recbole_logq.settings import DATA_PATH
from recbole_logq.training.checkpoint import DAMAGE, damaged
from recbole_logq.training.checkpoint_content import has_control_characters

DATA = frozenset(
    {"encoding", "field_separator", "seq_separator", "load_col", "unload_col", "unused_col", "additional_feat_suffix"}
    | {"USER_ID_FIELD", "ITEM_ID_FIELD", "RATING_FIELD", "TIME_FIELD", "LABEL_FIELD", "NEG_PREFIX", "LIST_SUFFIX"}
    | {"ITEM_LIST_LENGTH_FIELD", "POSITION_FIELD", "MAX_ITEM_LIST_LENGTH", "seq_len", "numerical_features"}
    | {"HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD", "RELATION_ID_FIELD", "ENTITY_ID_FIELD", "kg_reverse_r"}
    | {"alias_of_user_id", "alias_of_item_id", "alias_of_entity_id", "alias_of_relation_id", "preload_weight"}
    | {"threshold", "rm_dup_inter", "val_interval", "filter_inter_by_user_or_item", "benchmark_filename"}
    | {"user_inter_num_interval", "item_inter_num_interval", "entity_kg_num_interval", "relation_kg_num_interval"}
    | {
        "grade_field",
        "normalize_field",
        "normalize_all",
        "discretization",
        "convert_token_to_onehot",
        "token_num_threshold",
    }
)
"""What the data becomes."""

TRAINING = frozenset(
    {"seed", "reproducibility", "epochs", "train_batch_size", "learner", "learning_rate", "weight_decay", "shuffle"}
    | {"eval_step", "stopping_step", "clip_grad_norm", "loss_decimal_place", "train_neg_sample_args", "transform"}
    | {"require_pow", "enable_amp", "enable_scaler", "max_train_cpu_seconds", "recbole_order"}
)
"""How it was trained, which batches of the laboratory repeat."""

PROTOCOL = frozenset(
    {"eval_args", "repeatable", "metrics", "topk", "valid_metric", "valid_metric_bigger", "eval_batch_size"}
    | {"metric_decimal_place", "filter_history", "show_progress", "request_time"}
)
"""How it was tested, and whether with a bar."""

MODEL = frozenset(
    {"loss", "loss_options", "negatives", "hits", "allow_crossed", "mask", "weight_field", "segment_field"}
    | {"similarity", "temperature", "temperature_mode", "temperature_end", "temperature_steps", "diagnostics"}
    | {"embedding_size", "gradient_cache", "pools", "kernel", "sparse_embeddings", "lr_schedule", "warmup_steps"}
    | {"train_batch_tokens", "cuda_graph", "multi_positive", "impression_field"}
    | {"user_features", "item_features", "context_features", "use_item_id", "use_user_id", "id_dropout"}
    | {"user_text", "item_text", "text_buckets", "text_length", "second_histories", "example_age"}
    | {"mlp_sizes", "dropout", "user_tower", "max_history", "history_pooling"}
    | {"n_layers", "n_heads", "inner_size", "block", "norm", "feed_forward", "positions", "input_norm"}
    | {"scale_embedding", "initializer_range", "time", "time_buckets", "time_context", "bias_weights"}
)
"""What makes a model of this package."""

SURROUNDINGS = frozenset(
    {"data_path", "checkpoint_dir", "state", "use_gpu", "worker", "nproc", "plugins", "log_wandb", "wandb_project"}
    | {"log_mlflow", "mlflow_uri", "mlflow_experiment", "run_name", "log_energy", "country_iso_code"}
)
"""Settings with a schema that are never taken (``data_path``: see :func:`folder_of_data`)."""

_OF_THE_COMPUTER = re.compile(
    "path|file|folder|(^|_)dir(_|$)|save|load|pretrain|(^|_)log|_model$|^warm_up$|device|gpu|worker|proc|^local_rank$",
    re.IGNORECASE,
)
SIZES = ("embedding_size", "inner_size", "mlp_sizes")
_READ = re.compile(r"""config\[\s*["'](\w+)["']|["'](\w+)["'] in (?:self\.)?config\b""")


def settings_of_checkpoint(state: dict[str, Any], file: str, model_class: type | None = None) -> dict[str, Any]:
    """The settings that rebuild a checkpoint's model and data; defaults of an own model are those of its time.

    Args:
        state: A checkpoint's content.
        file: Its name, for messages.
        model_class: The model's class, where it was given as one.

    Raises:
        RequestError: A setting has a value that the model's schema does not know, or leads to a file elsewhere.
    """
    check_stored(state, file, model_class)
    stored, model = state["config"], state["config"]["model"]
    own = split_name(model) is not None
    keys_kept = DATA | TRAINING | PROTOCOL | (frozenset() if own else _of_recbole(model, model_class))
    try:
        settings = {key: value for key, value in earlier_given(state).items() if key in keys_kept}
    except DAMAGE as error:
        raise damaged(file, f"its settings, {error}") from error
    if own:
        fields = settings_of(model).model_fields.keys()
        keys = (MODEL & fields) | own_fields(model)
        settings |= {key: stored[key] for key in sorted(keys) if stored.get(key) is not None}
        _check_sizes(settings, state["state_dict"], file)
    _check_parts_of_names(settings, file)
    return settings


def check_stored(state: dict[str, Any], file: str, model_class: type | None = None) -> None:
    """Hold the stored settings against the schema of their model.

    Raises:
        RequestError: A value is not what the schema asks for, or there is no such model.
    """
    model = state["config"]["model"]
    try:
        if split_name(model) is None and model_class is None:
            resolve_model(model)  # there is such a model
        settings_of(model).model_validate(state["config"])
    except RequestError as error:
        raise RequestError(f"{file}: {error}") from error
    except ValidationError as error:
        # A setting that came after the checkpoint is missing in it.
        wrong = [entry for entry in error.errors(include_url=False) if entry["type"] != "missing"]
        if wrong:
            message = wrong[0]["msg"].removeprefix("Value error, ")
            raise damaged(file, f"setting {wrong[0]['loc'][0]}: {message[0].lower()}{message[1:]}") from error


def folder_of_data(state: dict[str, Any], file: str) -> dict[str, str]:
    """``data_path`` of the checkpoint, where this computer has the dataset there; nothing is ever fetched to it.

    Whoever trained a model evaluates it again without saying where its data lies. A stranger gains nothing: files are
    read only where they are data, and have to give the checkpoint's split to the last interaction.

    Args:
        state: A checkpoint's content.
        file: Its name, for messages.

    Raises:
        RequestError: The dataset is not there, or the folder is on another computer.
    """
    stored, dataset = state["given"].get("data_path"), state["config"]["dataset"]
    if stored in (None, DATA_PATH) or dataset == PACKAGED:
        return {}
    elsewhere = f"{file} was trained on data in {stored!r}, which is not here: set --data_path=FOLDER"
    # Two slashes or backslashes name another computer, which would be told who asks.
    if not isinstance(stored, str) or has_control_characters(stored) or re.match(r"[\\/]{2}|\w{2,}:", stored):
        raise RequestError(elsewhere)
    try:
        is_there = address_of(dataset, stored) is None
    except RequestError as error:
        raise RequestError(f"{file}: {error}, or set --data_path=FOLDER") from error
    except (WorkError, OSError, ValueError):
        is_there = False
    if not is_there:
        raise RequestError(elsewhere)
    return {"data_path": stored}


def _of_recbole(model: str, given_class: type | None) -> frozenset[str]:
    """Settings that a model of RecBole's kind has, but for those that name a file."""
    model_class = given_class or resolve_model(model)
    defaults = recbole_folder() / "properties" / "model" / f"{recbole_name(model, model_class)}.yaml"
    keys = set(re.findall(r"^(\w+):", defaults.read_text(encoding="utf-8"), re.MULTILINE) if defaults.is_file() else ())
    for file in source_files(model_class):
        keys.update(first or second for first, second in _READ.findall(file.read_text(encoding="utf-8")))
    return frozenset(key for key in keys - SURROUNDINGS if not _OF_THE_COMPUTER.search(key))


def _check_sizes(settings: dict[str, Any], weights: dict[str, Any], file: str) -> None:
    """A model that is larger than what is to be loaded into it is not even built: it might fill the memory."""
    largest = max((size for tensor in weights.values() for size in getattr(tensor, "shape", ())), default=0)
    # An HSTU block has no inner layer: its default stands there and makes nothing.
    for key in ("embedding_size", "mlp_sizes") if settings.get("block") == "hstu" else SIZES:
        value = settings.get(key)
        if isinstance(value, int | list) and max(value if isinstance(value, list) else [value], default=0) > largest:
            raise damaged(file, f"setting {key} is larger than all its weights")
    if (layers := settings.get("n_layers")) is not None and layers > len(weights):
        raise damaged(file, "setting n_layers is larger than the number of its weights")


def _check_parts_of_names(settings: dict[str, Any], file: str) -> None:
    for key in ("benchmark_filename", "additional_feat_suffix", "load_col", "unload_col"):
        value = settings.get(key)
        for name in value if isinstance(value, dict | list) else [value]:
            if isinstance(name, str) and set(name) & set("/\\\0"):
                raise damaged(file, f"setting {key} has {name!r}, which leads out of the dataset's folder")

"""RecBole's Config with this package's defaults, safe parsing, and validation before any data is loaded."""

from __future__ import annotations

import os
import re
from functools import cache
from logging import getLogger
from typing import Any

from recbole_logq import compat
from recbole_logq.data.dataset.impressions import check_graded
from recbole_logq.data.dataset.labels import check_threshold
from recbole_logq.data.dataset.loaded_columns import columns_to_load
from recbole_logq.data.dataset.ready_made import check_ready_made
from recbole_logq.data.dataset.temporal_split import is_temporal
from recbole_logq.early import model_and_dataset
from recbole_logq.errors import RequestError
from recbole_logq.launcher import launched_local_rank, launched_processes, started_by_launcher
from recbole_logq.layers import over
from recbole_logq.parsing import listed_files, nest, parse_value, read_yaml
from recbole_logq.plugin_errors import described, place_of
from recbole_logq.plugins import load_plugins, plugin_names
from recbole_logq.setting_checks import check_keys, check_kinds, check_magnitudes, check_types
from recbole_logq.settings import DATA_PATH

compat.apply()

import torch  # noqa: E402
from recbole.config import Config as RecBoleConfig  # noqa: E402
from recbole.utils import ModelType  # noqa: E402

from recbole_logq.effects import MISWRITTEN, WORKED_OUT, check_effects, check_worked_out  # noqa: E402
from recbole_logq.evaluation_settings import check_evaluation  # noqa: E402
from recbole_logq.models.resolve import (  # noqa: E402
    model_defaults,
    model_of_class,
    recbole_name,
    resolve_model,
    settings_of,
    source_files,
)
from recbole_logq.own_metrics import put_into_tables  # noqa: E402
from recbole_logq.setting_texts import read_texts  # noqa: E402
from recbole_logq.tracking_settings import check_tracking  # noqa: E402

# A user who sets one key of these keeps the other defaults.
MERGED_KEYS = ("eval_args", "negatives")
PICKLED = ("save_dataset", "dataset_save_path", "save_dataloaders", "dataloaders_save_path")
# In no file of defaults and in no schema; or refused with what to set instead.
ALWAYS_KNOWN = {"model", "dataset", *MISWRITTEN, *WORKED_OUT}


class Config(RecBoleConfig):
    """Settings from packaged defaults, YAML files, a dict, in rising priority; the command line comes in as the dict.

    Unlike RecBole's, it never reads ``sys.argv``, never evaluates text, knows this package's models, and refuses an
    unknown key, a wrong type or an impossible combination.

    Args:
        model: Model name, of this package or RecBole's, or a class; from ``config_dict`` or the files when None.
        dataset: Dataset name, likewise.
        config_file_list: YAML files, later ones win.
        config_dict: Values that win over the files; dotted keys (``negatives.count``) reach into sections.
        training: Whether a model is to be trained: then settings of training that would change nothing are refused.

    Raises:
        RequestError: The request is wrong in one of these ways; the message is one line.
    """

    def __init__(
        self,
        model: str | type | None = None,
        dataset: str | None = None,
        config_file_list: list[str] | None = None,
        config_dict: dict[str, Any] | None = None,
        training: bool = True,
    ) -> None:
        self.for_training = training
        try:
            super().__init__(model, dataset, config_file_list, config_dict)
        except RequestError:
            raise
        except (ValueError, KeyError, TypeError, NotImplementedError, RuntimeError) as error:
            raise RequestError(f"{_refusing(error)} refuses the configuration: {described(error)}") from error

    internal_config_dict: dict[str, Any]
    given_class: str | None
    """Module and name of the model's class, where it was given as one."""
    recbole_name: str
    """Name of the model in RecBole's tables."""

    # --- where values come from -----------------------------------------------------------------------------------

    def compatibility_settings(self) -> None:
        compat.apply()

    def _load_cmd_line(self) -> dict[str, Any]:
        return {}

    def _convert_config_dict(self, config_dict: dict[str, Any]) -> dict[str, Any]:
        # Lists and sections only: what another text stands for is known once the model's settings are.
        is_nested = {
            key: isinstance(value, str) and value.lstrip()[:1] in ("[", "{") for key, value in config_dict.items()
        }
        return nest({key: parse_value(key, value) if is_nested[key] else value for key, value in config_dict.items()})

    def _load_config_files(self, file_list: list[str] | None) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for file in listed_files(file_list):
            merged = over(merged, nest(read_yaml(file)))
        return merged

    def _merge_external_config_dict(self) -> None:
        self.external_config_dict = over(self.file_config_dict, self.variable_config_dict)

    def _get_model_and_dataset(self, model: str | type | None, dataset: str | None) -> tuple[str, type, str]:
        external = self.external_config_dict
        load_plugins(external.get("plugins"))
        put_into_tables(external.get("metrics"))
        model, dataset = model_and_dataset(model or external.get("model"), dataset or external.get("dataset"))
        self.given_class = f"{model.__module__}.{model.__qualname__}" if isinstance(model, type) else None
        name, model_class = (
            model_of_class(model) if isinstance(model, type) else (str(model), resolve_model(str(model)))
        )
        return name, model_class, dataset

    def _load_internal_config_dict(self, model: str, model_class: type, dataset: str) -> None:
        self.recbole_name = recbole_name(model, model_class)
        super()._load_internal_config_dict(self.recbole_name, model_class, dataset)
        self.internal_config_dict["data_path"] = DATA_PATH
        # RecBole's true drops interactions of ids without features; unset, they stay (data/dataset/filters.py).
        self.internal_config_dict["filter_inter_by_user_or_item"] = None
        self.internal_config_dict = over(self.internal_config_dict, model_defaults(model), MERGED_KEYS)

    def _get_final_config_dict(self) -> dict[str, Any]:
        internal, schema = self.internal_config_dict, settings_of(self.model)
        external = self.external_config_dict = read_texts(self.external_config_dict, schema, internal)
        check_keys(external, self.accepted(set(external)))
        check_magnitudes(external)
        final = over(internal, external, MERGED_KEYS)
        final |= {"model": self.model, "dataset": self.dataset}
        if "plugins" in final:
            final["plugins"] = plugin_names(final["plugins"]) or None
        final.update(check_types(final, schema))
        check_kinds(external, internal, set(schema.model_fields))
        self._count_processes(final)
        if is_temporal(final["eval_args"]) and "order" not in (external.get("eval_args") or {}):
            final["eval_args"]["order"] = "TO"  # a split by time has no other
        final["load_col"] = columns_to_load(final, external, _needs_time(final, self.model_class))
        check_worked_out(external, final)
        check_tracking(final)
        _check_combinations(final, self.model_class, external)
        if self.for_training:
            own_check = getattr(self.model_class, "check_training", None)
            if own_check is not None:
                own_check(final, external)
            check_effects(external, final, internal, own_check is not None)
        return final

    def accepted(self, names: set[str] | None = None) -> set[str]:
        """Names of all settings of the model; some of them are refused where they would change nothing.

        Args:
            names: Names at which the search stops once all are among them; None for the whole.
        """
        own = hasattr(self.model_class, "check_settings")
        known = {*self.internal_config_dict, *settings_of(self.model).model_fields, *ALWAYS_KNOWN}
        known |= {key for keys in self.parameters.values() for key in keys}
        if names is None or not names <= known:
            known |= {"tail_ratio"} if own else _keys_read_by(self.model_class)
        return known

    def _count_processes(self, final: dict[str, Any]) -> None:
        if not started_by_launcher():
            return
        started = launched_processes()
        if "nproc" in self.external_config_dict and final["nproc"] != started:
            raise RequestError(f"nproc={final['nproc']}: the launcher has started {started} processes; leave nproc out")
        final["nproc"] = started

    def _set_default_parameters(self) -> None:
        super()._set_default_parameters()
        if self.final_config_dict.get("benchmark_filename") is not None:
            # RecBole puts its own way to split here, which the files have nothing to do with.
            mode = self.final_config_dict["eval_args"]["mode"]
            self.final_config_dict["eval_args"] = {"mode": mode}

    def _set_train_neg_sample_args(self) -> None:
        super()._set_train_neg_sample_args()
        sampling = self.final_config_dict["train_neg_sample_args"]
        if sampling.get("dynamic") and not sampling.get("candidate_num"):
            raise RequestError("train_neg_sample_args.dynamic=true: set train_neg_sample_args.candidate_num=NUMBER too")

    # --- the device -----------------------------------------------------------------------------------------------

    def _init_device(self) -> None:
        values = self.final_config_dict
        values["gpu_id"] = str(values["gpu_id"])
        if values["nproc"] > 1:  # each process takes the device of its number
            local = launched_local_rank()
            on_gpu = bool(values["use_gpu"] and torch.cuda.device_count() >= values["nproc"])
            device = torch.device("cuda", local) if on_gpu else torch.device("cpu")
            values |= {"single_spec": True, "local_rank": 0, "device": device}
            return
        # RecBole overwrites CUDA_VISIBLE_DEVICES; a value that a scheduler has set stands.
        visible = os.environ.setdefault("CUDA_VISIBLE_DEVICES", values["gpu_id"])
        if "gpu_id" in self.external_config_dict and visible != values["gpu_id"]:
            getLogger().warning(f"gpu_id={values['gpu_id']} is not used: CUDA_VISIBLE_DEVICES={visible} is set already")
        on_gpu = bool(values["use_gpu"] and values["gpu_id"] and torch.cuda.is_available())
        values |= {"single_spec": True, "local_rank": 0, "device": torch.device("cuda" if on_gpu else "cpu")}

    # --- what goes into files -------------------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """The final settings as plain values (numbers, text, lists, dicts): safe in a checkpoint or a JSON file."""
        return {key: _plain(value) for key, value in self.final_config_dict.items()}

    def given(self) -> dict[str, Any]:
        """What the user set, as plain values; with model and dataset it rebuilds this configuration."""
        return {key: _plain(value) for key, value in self.external_config_dict.items()}


def _refusing(error: Exception) -> str:
    return "RecBole" if place_of(error) is None else "a plug-in"


def _needs_time(final: dict[str, Any], model_class: type) -> bool:
    if final["MODEL_TYPE"] == ModelType.SEQUENTIAL or getattr(model_class, "reads_time", False):
        return True
    if final.get("example_age") or final.get("time_context"):
        return True
    if final.get("benchmark_filename") is None:
        return bool(final["eval_args"].get("order") == "TO")
    return final.get("user_tower") == "history" or bool(final.get("context_features"))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return str(value)


@cache
def _keys_read_by(model_class: type) -> set[str]:
    """Keys that the code of RecBole's model or RecBole's data and evaluation ask the configuration for.

    What no YAML default lists may still be a setting; what only other models read is a mistake.
    """
    root = compat.recbole_folder()
    files = {*(root / "data").rglob("*.py"), *(root / "evaluator").rglob("*.py")}
    files.update(source_files(model_class))
    files |= {root / "model" / "layers.py", root / "trainer" / "trainer.py"}
    pattern = re.compile(r"""config(?:\.get\(|\[)\s*["'](\w+)["']|["'](\w+)["'] in (?:self\.)?config\b""")
    keys: set[str] = set()
    for file in files:
        keys.update(first or second for first, second in pattern.findall(file.read_text(encoding="utf-8")))
    return keys


def _check_combinations(values: dict[str, Any], model_class: type, external: dict[str, Any]) -> None:
    for key in PICKLED:
        if values.get(key):
            raise RequestError(f"{key}: it stands for a pickle, which can run code when loaded; leave it out")
    sampling = values.get("train_neg_sample_args") or {}
    drawn = sampling.get("sample_num", 1)
    if isinstance(drawn, bool) or not isinstance(drawn, int) or drawn < 1:
        raise RequestError(f"train_neg_sample_args.sample_num={drawn!r}: a whole number, 1 or more")
    check_ready_made(values, external)
    check_evaluation(values)
    check_threshold(values, model_class)
    check_graded(values)
    own = getattr(model_class, "check_settings", None)
    if values["nproc"] > 1 and own is None:
        raise RequestError(f"nproc={values['nproc']}: {values['model']} is RecBole's and runs in one process here")
    if own is not None:
        own(values, external)

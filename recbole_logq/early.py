"""What can be told of a request without torch and RecBole: in half a second, and not after four.

Whatever passes is checked again, and whole, by :class:`recbole_logq.config.Config`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from recbole_logq.compat import recbole_folder
from recbole_logq.declared_options import declared
from recbole_logq.errors import RequestError
from recbole_logq.layers import over
from recbole_logq.models.pair_rules import PAIRS, Request, first_reason, unknown_option
from recbole_logq.models.resolve import check_name, model_defaults, recbole_models, settings_of, split_name
from recbole_logq.nearest import nearest
from recbole_logq.parsing import nest, read_yaml
from recbole_logq.plugins import plugin_names
from recbole_logq.registry import encoders, losses, samplers
from recbole_logq.setting_checks import check_kinds, check_magnitudes, check_some_types
from recbole_logq.setting_texts import read_texts
from recbole_logq.settings import DATA_PATH

_PACKAGE = Path(__file__).parent
_QUOTED = re.compile(r"""["'](\w+)["']""")
_ASKED = re.compile(r"""config(?:\.get\(|\[)\s*["'](\w+)["']|["'](\w+)["'] in (?:self\.)?config\b""")
_KEY = re.compile(r"^(\w+)\s*:", re.MULTILINE)


def check_request(
    model: Any,
    dataset: Any,
    settings: dict[str, Any],
    files: Sequence[str] = (),
    searched: Collection[str] = (),
) -> None:
    """Refuse names that nothing has, values of the wrong kind, and losses on negatives that they do not go with.

    Args:
        model: Name; None for the one in the settings.
        dataset: Name of the dataset; None where the settings have it.
        settings: Settings of the user, which win over the files.
        files: YAML files.
        searched: Names of further settings, whose values are not known yet.

    Raises:
        RequestError: A file is no YAML, no model or dataset is given, there is none of that name, a setting is unknown,
            or a value is wrong.
    """
    merged: dict[str, Any] = {}
    for file in files:
        merged = over(merged, nest(read_yaml(file)))
    merged = over(merged, nest(settings))
    if plugin_names(merged.get("plugins")):
        return  # they may bring whatever is missing here
    name, dataset_name = model_and_dataset(model or merged.get("model"), dataset or merged.get("dataset"))
    check_name(str(name))
    parts = split_name(str(name))
    if parts[0] not in encoders.names() if parts else str(name) not in recbole_models():
        return  # of an installed package, with settings of its own
    schema = settings_of(str(name))
    for key in sorted({*merged, *searched} - schema.model_fields.keys() - _read_somewhere()):
        raise RequestError(f"unknown setting {key}{nearest(key, _known(str(name)))}")
    defaults = model_defaults(str(name)) if parts else _of_recbole(str(name))
    values = read_texts(merged, schema, defaults)
    check_magnitudes(values)
    check_some_types(values, schema)
    if parts:
        if not _check_choices(over(defaults, values, ("negatives",)), set(searched)):
            return
    else:
        own = {key: value for key, value in values.items() if key in defaults}
        check_kinds(own, defaults, set(schema.model_fields))
    from recbole_logq.data.source.known_datasets import address_of

    address_of(dataset_name, Path(values.get("data_path", DATA_PATH)))


def model_and_dataset(model: Any, dataset: Any) -> tuple[Any, str]:
    """What a request is about.

    Raises:
        RequestError: One of the two is missing, or the dataset is a path.
    """
    if not model:
        raise RequestError("no model given: set --model=NAME (`models` lists them)")
    if not dataset:
        raise RequestError("no dataset given: set --dataset=NAME, such as --dataset=ml-100k")
    if set(str(dataset)) & set("/\\"):
        raise RequestError(f"dataset={dataset}: give a name, and its folder's parent as --data_path")
    return model, str(dataset)


def _check_choices(values: dict[str, Any], searched: set[str]) -> bool:
    """Refuse losses and sources that are not there, options that a source has not, and pairs that do not go together.

    Args:
        values: Settings of an own model.
        searched: Names of settings whose values are not known yet.

    Returns:
        Whether loss and source are known here; those of installed packages are not, without importing them.
    """
    if searched & {"loss", "negatives", "hits", "allow_crossed"}:
        return True
    negatives = values["negatives"]
    chosen = []
    for registry, name in ((losses, str(values["loss"])), (samplers, str(negatives["source"]))):
        entries = declared(registry)
        if name not in entries and name in registry.installed():
            return False
        if name not in entries:
            raise RequestError(registry.unknown(name, list(entries)))
        chosen.append(entries[name])
    loss, source = chosen
    options = negatives.keys() - {"source", "count", "own"}
    crossed = bool(values.get("allow_crossed"))
    reason = unknown_option(str(negatives["source"]), options, source.annotations) or first_reason(
        PAIRS, Request(loss.stated, source.stated, values.get("hits"), crossed)
    )
    if reason:
        raise RequestError(reason)
    return True


def _of_recbole(model: str) -> dict[str, Any]:
    return read_yaml(recbole_folder() / "properties" / "model" / f"{model}.yaml")


@cache
def _read_somewhere() -> set[str]:
    """Every name that RecBole or this package reads a setting under: more than any one model takes."""
    root = recbole_folder()
    names: set[str] = set()
    for file in root.rglob("*.py"):
        listed = file.parent.name == "config" or file.name == "argument_list.py"
        text = file.read_text(encoding="utf-8", errors="replace")
        names |= set(_QUOTED.findall(text) if listed else (a or b for a, b in _ASKED.findall(text)))
    for file in (root / "properties").rglob("*.yaml"):
        names |= set(_KEY.findall(file.read_text(encoding="utf-8", errors="replace")))
    for name in ("config", "effects", "evaluation_settings", "settings", "setting_checks"):
        names |= set(_QUOTED.findall((_PACKAGE / f"{name}.py").read_text(encoding="utf-8")))
    return names


def _known(model: str) -> set[str]:
    """Settings to suggest."""
    folder = recbole_folder() / "properties"
    known = set(settings_of(model).model_fields)
    for file in (folder / "overall.yaml", folder / "model" / f"{model}.yaml"):
        if file.is_file():
            known |= (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).keys()
    return known

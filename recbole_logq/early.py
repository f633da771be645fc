"""What can be told of a request without torch and RecBole: in a tenth of a second, and not after five.

Whatever passes is checked again, and whole, by :class:`recbole_logq.config.Config`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from recbole_logq.compat import recbole_folder
from recbole_logq.errors import RequestError
from recbole_logq.models.resolve import check_name, recbole_models, settings_of, split_name
from recbole_logq.nearest import nearest
from recbole_logq.parsing import nest, read_yaml
from recbole_logq.plugins import plugin_names
from recbole_logq.registry import encoders

_PACKAGE = Path(__file__).parent
_QUOTED = re.compile(r"""["'](\w+)["']""")
_ASKED = re.compile(r"""config(?:\.get\(|\[)\s*["'](\w+)["']|["'](\w+)["'] in (?:self\.)?config\b""")
_KEY = re.compile(r"^(\w+)\s*:", re.MULTILINE)


def check_request(model: Any, dataset: Any, settings: dict[str, Any], files: Sequence[str] = ()) -> None:
    """Refuse names that nothing has.

    Args:
        model: Name; None for the one in the settings.
        dataset: Name of the dataset; None where the settings have it.
        settings: Settings of the user, which win over the files.
        files: YAML files.

    Raises:
        RequestError: A file is no YAML, there is no model or dataset, or no such model or setting.
    """
    given: dict[str, Any] = {}
    for file in files:
        given |= nest(read_yaml(file))
    given |= nest(settings)
    if plugin_names(given.get("plugins")):
        return  # they may bring whatever is missing here
    model, dataset = model or given.get("model"), dataset or given.get("dataset")
    if not model:
        raise RequestError("no model given: set --model=NAME (`models` lists them)")
    if not dataset:
        raise RequestError("no dataset given: set --dataset=NAME, such as --dataset=ml-100k")
    if set(str(dataset)) & set("/\\"):
        raise RequestError(f"dataset={dataset}: give a name, and its folder's parent as --data_path")
    check_name(str(model))
    parts = split_name(str(model))
    if parts[0] not in encoders.names() if parts else str(model) not in recbole_models():
        return  # of an installed package, with settings of its own
    for key in sorted(given.keys() - settings_of(str(model)).model_fields.keys() - _read_somewhere()):
        raise RequestError(f"unknown setting {key}{nearest(key, _known(str(model)))}")


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
    for name in ("config", "effects", "evaluation_settings", "settings"):
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

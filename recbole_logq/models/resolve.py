"""From a model name to its class, its default settings and its schema: own models first, then RecBole's."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from recbole_logq.compat import autograd_mode_kept, counting_pop, recbole_folder
from recbole_logq.errors import RequestError
from recbole_logq.parsing import read_yaml
from recbole_logq.settings import SETTINGS, CommonSettings, nearest

PROPERTIES = Path(__file__).parent.parent / "properties"
ENCODERS = {"TwoTower": "recbole_logq.models.two_tower", "SASRec": "recbole_logq.models.sasrec"}


@cache
def recipes() -> dict[str, dict[str, Any]]:
    """Recipe name to its YAML content, ``summary`` included."""
    return {file.stem: read_yaml(file) for file in sorted((PROPERTIES / "recipe").glob("*.yaml"))}


@cache
def recbole_models() -> tuple[str, ...]:
    """Names of RecBole's own models."""
    return tuple(sorted(file.stem for file in (recbole_folder() / "properties" / "model").glob("*.yaml")))


def split_name(model: str) -> tuple[str, str] | None:
    """``TwoTowerCorrectedLogQ`` to ``("TwoTower", "CorrectedLogQ")``; None for a name that is not this package's."""
    for encoder in ENCODERS:
        if model.startswith(encoder) and model.removeprefix(encoder) in recipes():
            return encoder, model.removeprefix(encoder)
    return None


def own_models() -> list[str]:
    """Every encoder x recipe."""
    return [encoder + recipe for encoder in ENCODERS for recipe in recipes()]


def model_defaults(model: str) -> dict[str, Any]:
    """Packaged defaults of an own model (encoder, then recipe); empty for RecBole's."""
    parts = split_name(model)
    if parts is None:
        return {}
    encoder, recipe = parts
    recipe_values = {key: value for key, value in recipes()[recipe].items() if key != "summary"}
    return {**read_yaml(PROPERTIES / "model" / f"{encoder}.yaml"), **recipe_values}


def settings_of(model: str) -> type[BaseModel]:
    """The schema that the settings of ``model`` must satisfy."""
    parts = split_name(model)
    return SETTINGS[parts[0]] if parts else CommonSettings


def resolve_model(model: str) -> type:
    """The class of a model.

    Raises:
        RequestError: No such model (with the nearest name), or it needs a package that is not installed.
    """
    parts = split_name(model)
    if parts is not None:
        encoder, _ = parts
        base = getattr(import_module(ENCODERS[encoder]), encoder)
        return type(model, (base,), {"__module__": base.__module__, "__doc__": base.__doc__})
    if model not in recbole_models():
        known = {*own_models(), *recbole_models()}
        raise RequestError(f"no model named {model!r}{nearest(model, known)} (`models` lists them)")
    from recbole.utils import get_model

    try:
        with autograd_mode_kept():
            found = get_model(model)
        return counting_pop(found) if model == "Pop" else found
    except ImportError as error:
        raise RequestError(f"{model} needs a package that is not installed: {error.name or error}") from error
    except (ValueError, AttributeError) as error:  # its boosted trees are there under another name than their settings
        raise RequestError(f"RecBole ships settings but no code for {model}") from error

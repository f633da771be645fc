"""The class, default settings and schema of a model name: own models first, then RecBole's."""

from __future__ import annotations

import inspect
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from recbole_logq.compat import apply, counting_pop, recbole_folder
from recbole_logq.errors import RequestError
from recbole_logq.models.defaults import PROPERTIES
from recbole_logq.models.encoders import (
    check_encoder_class,
    encoder_class,
    encoder_defaults,
    encoder_settings,
    is_packaged,
)
from recbole_logq.models.general import DeclaredModel
from recbole_logq.nearest import nearest
from recbole_logq.parsing import read_yaml
from recbole_logq.registry import encoders, models, undone_on_error
from recbole_logq.registry import recipes as registered_recipes
from recbole_logq.settings import CommonSettings, RetrievalSettings

RECIPE = "CorrectedLogQ"
"""Recipe of an encoder that is given as a class."""


def recipes() -> dict[str, dict[str, Any]]:
    """Recipe name to its content, ``summary`` included: the packaged YAML files, and those that plug-ins register."""
    _register_packaged()
    names = registered_recipes.names()
    return {name: {"summary": registered_recipes.summary(name), **registered_recipes.get(name)} for name in names}


@cache
def _register_packaged() -> None:
    for file in sorted((PROPERTIES / "recipe").glob("*.yaml")):
        values = read_yaml(file)
        registered_recipes.add(file.stem, values, summary=str(values.pop("summary")))


@cache
def recbole_models() -> tuple[str, ...]:
    """Names of RecBole's own models."""
    return tuple(sorted(file.stem for file in (recbole_folder() / "properties" / "model").glob("*.yaml")))


def split_name(model: str) -> tuple[str, str] | None:
    """``TwoTowerCorrectedLogQ`` to ``("TwoTower", "CorrectedLogQ")``; None for a name that is not this package's.

    Raises:
        RequestError: The name has two meanings, since plug-ins have registered names that make it up in another way.
    """
    _register_packaged()
    readings = _readings(model, encoders.names(), registered_recipes.names())
    if not readings and model not in models and model not in recbole_models():
        known = (encoders, registered_recipes)
        readings = _readings(model, *([*registry.names(), *registry.installed()] for registry in known))
    meanings = [
        f"encoder {encoder} ({encoders.place(encoder)}) with recipe {recipe} ({registered_recipes.place(recipe)})"
        for encoder, recipe in readings
        if len(readings) > 1 or model in models
    ]
    if readings and model in models:
        meanings.append(f"a model of that name ({models.place(model)})")
    if meanings:
        raise RequestError(f"{model} has {len(meanings)} meanings: {', and '.join(meanings)}; give one another name")
    return readings[0] if readings else None


def _readings(model: str, encoder_names: list[str], recipe_names: list[str]) -> list[tuple[str, str]]:
    """Every encoder and recipe whose names make up that of a model."""
    return [
        (encoder, model.removeprefix(encoder))
        for encoder in encoder_names
        if model.startswith(encoder)
        and (recipe := model.removeprefix(encoder)) in recipe_names
        and _goes_with(encoder, recipe)
    ]


def _goes_with(encoder: str, recipe: str) -> bool:
    """Whether a recipe is one of an encoder: of all, unless it names one."""
    return recipe not in registered_recipes or registered_recipes.get(recipe).get("encoder", encoder) == encoder


def own_models() -> list[str]:
    """Every encoder x recipe that goes with it."""
    return [encoder + recipe for encoder in encoders.names() for recipe in recipes() if _goes_with(encoder, recipe)]


def model_defaults(model: str) -> dict[str, Any]:
    """Defaults of an own model (encoder, then recipe); empty for RecBole's."""
    parts = split_name(model)
    if parts is None:
        return {}
    encoder, recipe = parts
    values = {**encoder_defaults(encoder), **registered_recipes.get(recipe)}
    return {key: value for key, value in values.items() if key != "encoder"}


def settings_of(model: str) -> type[BaseModel]:
    """The schema that the settings of ``model`` must satisfy."""
    parts = split_name(model)
    if parts is None and model in models and isinstance(declared := models.get(model), DeclaredModel):
        return declared.settings
    return encoder_settings(parts[0]) if parts else CommonSettings


def own_fields(model: str) -> set[str]:
    """Settings that only the encoder of the user's own that ``model`` has reads."""
    parts = split_name(model)
    if parts is None or is_packaged(parts[0]):
        return set()
    return set(encoder_settings(parts[0]).model_fields.keys() - RetrievalSettings.model_fields.keys())


def source_files(model_class: type) -> list[Path]:
    """Files of a model's code: RecBole's and the user's own."""
    bases = [base for base in model_class.__mro__ if not base.__module__.startswith(("recbole_logq.", "torch."))]
    files = set()
    for base in bases:
        with suppress(OSError, TypeError):  # built in, or typed at a prompt
            files.add(Path(inspect.getfile(base)))
    return sorted(file for file in files if file.is_file())


def check_name(model: str) -> None:
    """Refuse a name that no model has; imports nothing.

    Raises:
        RequestError: No model has the name; the message has the nearest one.
    """
    if split_name(model) is None and not {model} & {*recbole_models(), *models.names(), *models.installed()}:
        known = {*own_models(), *recbole_models(), *models.names()}
        raise RequestError(f"no model named {model!r}{nearest(model, known)} (`models` lists them)")


def resolve_model(model: str) -> type:
    """The class of a model.

    Raises:
        RequestError: No such model (with the nearest name), or it needs a package that is not installed.
    """
    parts = split_name(model)
    if parts is not None:
        encoder, _ = parts
        base = encoder_class(encoder)
        return type(model, (base,), {"__module__": base.__module__, "__doc__": base.__doc__})
    if model in models or (model not in recbole_models() and model in models.installed()):
        entry = models.get(model)
        if isinstance(entry, DeclaredModel):
            return entry.load()
        check_recbole_class(entry)
        model_class: type = entry
        return model_class
    check_name(model)
    apply()
    from recbole.utils import get_model

    try:
        model_class = get_model(model)
        return counting_pop(model_class) if model == "Pop" else model_class
    except ImportError as error:
        raise RequestError(f"{model} needs a package that is not installed: {error.name or error}") from error
    except (ValueError, AttributeError) as error:  # its boosted trees are there under another name than their settings
        raise RequestError(f"RecBole ships settings but no code for {model}") from error


def model_of_class(model_class: type) -> tuple[str, type]:
    """Name and class of a model that is given as a class, as RecBole takes one.

    An encoder is registered under the class's name, if it is not, and stands for the model with :data:`RECIPE`.

    Raises:
        RequestError: The class is neither an encoder nor a recommender of RecBole's, or its name is taken.
    """
    from recbole_logq.models.retrieval import RetrievalMixin

    name = model_class.__name__
    parts = split_name(name)
    if not issubclass(model_class, RetrievalMixin):
        check_recbole_class(model_class)
        if parts is not None:  # its results and checkpoints would be taken for those of the other
            raise RequestError(
                f"model={name}: the class has the name of encoder {parts[0]} with recipe {parts[1]}, and results and "
                "checkpoints go by names; rename the class"
            )
        return name, model_class
    if parts is not None and _made_of(encoder_class(parts[0]), model_class):
        return name, model_class
    check_encoder_class(name, model_class)
    names = [known for known in encoders.names() if encoders.get(known) is model_class]
    if not names:
        _register_class(model_class)
    name = (names or [name])[0] + RECIPE
    return name, resolve_model(name)


def _made_of(encoder: type, model_class: type) -> bool:
    """Whether a class is what :func:`resolve_model` makes of an encoder, and not one that is derived from it."""
    return model_class.__bases__ == (encoder,) and model_class.__module__ == encoder.__module__


def _register_class(encoder: type) -> None:
    name = encoder.__name__
    try:
        with undone_on_error():
            encoders.add(name, encoder, summary=(encoder.__doc__ or "an encoder of one's own").strip().splitlines()[0])
    except ValueError as error:
        raise RequestError(str(error)) from error


def check_recbole_class(model: Any) -> None:
    """Refuse what is no recommender of RecBole's.

    Raises:
        RequestError: The class is no model; the message says what it must be.
    """
    from recbole.model.abstract_recommender import AbstractRecommender

    if not (isinstance(model, type) and issubclass(model, AbstractRecommender) and hasattr(model, "type")):
        raise RequestError(
            f"model={getattr(model, '__name__', model)}: give a name, a subclass of RecBole's recommenders "
            "(GeneralRecommender, SequentialRecommender, or a model), or an encoder of recbole_logq"
        )


def recbole_name(model: str, model_class: type) -> str:
    """Name of a model in RecBole's tables: for a class of the user's, that of the model it is derived from."""
    if model in recbole_models() and model_class.__module__.startswith(("recbole.", "recbole_logq.")):
        return model
    for base in model_class.__mro__:
        if base.__module__.startswith("recbole.model.") and base.__name__ in recbole_models():
            return base.__name__
    return f"own {model}" if model in recbole_models() else model

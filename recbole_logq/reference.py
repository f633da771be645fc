"""Every setting with its meaning, default and allowed values, for `recbole-logq settings` and docs/settings.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from recbole_logq.allowed_values import allowed_values, value_text
from recbole_logq.compat import recbole_folder
from recbole_logq.declared_options import Declared, Option, declared
from recbole_logq.errors import RequestError
from recbole_logq.models.encoders import encoder_defaults, encoder_settings, is_sequential
from recbole_logq.models.resolve import model_defaults, own_models, recbole_models, recipes, settings_of, split_name
from recbole_logq.nearest import nearest
from recbole_logq.parsing import read_yaml
from recbole_logq.registry import encoders, losses, models, samplers
from recbole_logq.settings import DATA_PATH, ClipSettings, CommonSettings, NegativesSettings, RetrievalSettings

DEEPENED: dict[str, type[BaseModel]] = {"negatives": NegativesSettings, "clip_grad_norm": ClipSettings}
"""Sections whose parts are listed too."""
_QUICK_START = {"sequential": "sequential", "context_aware": "context-aware", "knowledge_aware": "knowledge_base"}
_QUICK_START_OF_MODEL = {"DIN": "sequential_DIN", "DIEN": "sequential_DIN"}
_QUICK_START_OF_MODEL |= {"GRU4RecKG": "sequential_embedding_model", "KSR": "sequential_embedding_model"}


class Section(NamedTuple):
    """Settings under a heading."""

    title: str
    settings: list[Option]
    note: str = ""


def all_settings() -> list[Section]:
    """Settings of every model, of own models, of each encoder, and options of losses and sources of negatives."""
    recipes()
    base = default_values(None)
    every = Section("Every model", _rows(CommonSettings, base), "RecBole's own models included.")
    own = Section(
        "Own models", _rows(RetrievalSettings, base, CommonSettings), "Whatever the encoder; recipes set some."
    )
    sections = [every, own]
    for name in encoders.names():
        schema, defaults = encoder_settings(name), encoder_defaults(name)
        changes = {key: value for key, value in defaults.items() if base.get(key, value) != value or key not in base}
        shared = changes.keys() & RetrievalSettings.model_fields.keys()
        common = [f"{key}={value_text(value)}" for key, value in changes.items() if key in shared]
        rows = _rows(schema, defaults, RetrievalSettings)
        sections.append(Section(f"Encoder {name}", rows, f"Its defaults of settings above: {', '.join(common)}."))
    for name in models.names():
        sections += _section_of_model(name, base)
    sections += _sections_of_options("Loss", declared(losses), "loss_options")
    return sections + _sections_of_options("Negatives from", declared(samplers), "negatives")


def settings_of_model(model: str) -> list[Section]:
    """What a model reads, with the defaults that hold for it.

    Raises:
        RequestError: There is no such model; the message has the nearest name.
    """
    recipes()
    parts, values = split_name(model), default_values(model)
    if parts is None:
        listed = set(CommonSettings.model_fields)
        values_alone = {key: value for key, value in _of_recbole(model).items() if key not in listed}
        further = [Option(key, value_text(value), "", "") for key, value in values_alone.items()]
        more = [Section(f"{model} alone", further, "RecBole's documentation describes them.")] if further else []
        own = _section_of_model(model, values)
        return [*own, Section(f"Every model, as it is for {model}", _rows(CommonSettings, values)), *more]
    schema = encoder_settings(parts[0])
    loss, source = values["loss"], values["negatives"]["source"]
    chosen = {loss: declared(losses)[loss]}, {source: declared(samplers)[source]}
    return [
        Section(f"Encoder {parts[0]}", _rows(schema, values, RetrievalSettings)),
        Section("Own models", _rows(RetrievalSettings, values, CommonSettings)),
        *_sections_of_options("Loss", chosen[0], "loss_options", values.get("loss_options")),
        *_sections_of_options("Negatives from", chosen[1], "negatives", values["negatives"]),
        Section("Every model", _rows(CommonSettings, values)),
    ]


def _section_of_model(model: str, values: dict[str, Any]) -> list[Section]:
    """Settings that a model without encoder and recipe declares; none for RecBole's."""
    rows = _rows(settings_of(model), values, CommonSettings)
    return [Section(f"Model {model}", rows)] if rows else []


def default_values(model: str | None) -> dict[str, Any]:
    """Defaults as a run of `model` has them, on a dataset that brings none of its own; those of all models for None.

    Raises:
        RequestError: There is no such model.
    """
    folder = recbole_folder() / "properties"
    values = read_yaml(folder / "overall.yaml")
    parts = None if model is None else split_name(model)
    if model is not None and parts is None:
        values |= _of_recbole(model)
    values |= read_yaml(folder / "dataset" / "sample.yaml")
    if model is not None and (start := _quick_start(model)) is not None:
        values |= read_yaml(folder / "quick_start_config" / f"{start}.yaml")
    # See Config._load_internal_config_dict.
    values |= {"data_path": DATA_PATH, "filter_inter_by_user_or_item": None}
    return values | (model_defaults(model) if model is not None and parts is not None else {})


def _of_recbole(model: str) -> dict[str, Any]:
    if model in models:  # of a plug-in: RecBole has no file of defaults for it
        return {}
    if model not in recbole_models():
        known = {*own_models(), *recbole_models(), *models.names()}
        raise RequestError(f"no model named {model!r}{nearest(model, known)} (`models` lists them)")
    return read_yaml(recbole_folder() / "properties" / "model" / f"{model}.yaml")


def _quick_start(model: str) -> str | None:
    if (parts := split_name(model)) is not None:
        return "sequential" if is_sequential(parts[0]) else None
    if model in _QUICK_START_OF_MODEL:
        return _QUICK_START_OF_MODEL[model]
    folders = [recbole_folder() / "model" / f"{kind}_recommender" for kind in _QUICK_START]
    kinds = [kind for kind, folder in zip(_QUICK_START, folders, strict=True) if _has(folder, model)]
    return _QUICK_START[kinds[0]] if kinds else None


def _has(folder: Path, model: str) -> bool:
    return (folder / f"{model.lower()}.py").is_file()


def _rows(schema: type[BaseModel], values: dict[str, Any], without: type[BaseModel] | None = None) -> list[Option]:
    """Rows of a schema's fields.

    Args:
        schema: Schema of the settings.
        values: Defaults that hold in place of the schema's.
        without: Schema whose fields are left out, unless the other one gives them another meaning.
    """
    hidden = {} if without is None else without.model_fields
    rows = []
    for name, field in schema.model_fields.items():
        if name in hidden and hidden[name].description == field.description:
            continue
        value = values.get(name, "" if field.is_required() else field.get_default(call_default_factory=True))
        rows.append(Option(name, value_text(value), allowed_values(field), field.description or ""))
        if name in DEEPENED:
            inner = value if isinstance(value, dict) else {}
            rows += [row._replace(name=f"{name}.{row.name}") for row in _rows(DEEPENED[name], inner)]
    return rows


def _sections_of_options(
    title: str, entries: dict[str, Declared], key: str, values: dict[str, Any] | None = None
) -> list[Section]:
    sections = []
    for name, entry in entries.items():
        chosen = values or {}
        rows = [
            option._replace(
                name=f"{key}.{option.name}",
                default=value_text(chosen[option.name]) if option.name in chosen else option.default,
            )
            for option in entry.options
        ]
        if rows:
            sections.append(Section(f"{title} {name}", rows, f"{entry.summary}."))
    return sections

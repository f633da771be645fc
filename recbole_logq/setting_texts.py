"""What a text in a configuration stands for: itself where the setting is a text, and else the value that it writes.

Texts come from Python (``config_dict={"epochs": "3"}``, as RecBole takes it), from quotation marks in YAML, and from
the command line, which has read its arguments once (:mod:`recbole_logq.parsing`). Nothing that is a name becomes a
number or a truth value, and nothing that is to be a number stays a text.
"""

from __future__ import annotations

import re
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from recbole_logq.declared_options import annotations_of, declared
from recbole_logq.numerals import as_number
from recbole_logq.parsing import is_text, parse_value
from recbole_logq.registry import Registry, losses, samplers

_WITH_NUMBERS = frozenset({"negatives", "loss_options", "eval_args", "train_neg_sample_args", "threshold"})
"""Sections whose texts may be numbers; the others hold names, or have a schema."""


def read_texts(settings: dict[str, Any], schema: type[BaseModel], defaults: dict[str, Any]) -> dict[str, Any]:
    """The settings of a user, each text read as its setting wants it.

    Args:
        settings: What the user set.
        schema: Schema of the model's settings.
        defaults: Defaults of all settings; those of RecBole's models have no schema.
    """
    values = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            values[key] = _section(key, value, _options_of(key, settings, defaults))
        elif (field := schema.model_fields.get(key)) is not None:
            values[key] = _read(key, value, _kinds_of(field.annotation))
        else:
            values[key] = _read(key, value, _kinds_of_value(defaults.get(key)))
    return values


def _read(key: str, value: Any, types: set[type]) -> Any:
    if isinstance(value, list) and str not in types and types & {int, float}:
        return [_fitting(as_number(part), types) for part in value]
    if not isinstance(value, str):
        return _fitting(value, types)
    if is_text(key) or str in types:
        # `metrics` is a name or a list of names; "None" is how RecBole's documentation writes that nothing is set.
        return parse_value(key, value) if value == "None" or (list in types and value.lstrip()[:1] == "[") else value
    parsed = parse_value(key, value)
    return _fitting(as_number(parsed) if types & {int, float} else parsed, types)


def _fitting(value: Any, types: set[type]) -> Any:
    """A whole number written as 1e3 or 64.0, where whole numbers alone are wanted."""
    whole = isinstance(value, float) and value.is_integer() and int in types and float not in types
    return int(value) if whole else value


def _section(key: str, section: dict[str, Any], options: dict[str, set[type]]) -> dict[str, Any]:
    if key.partition(".")[0] not in _WITH_NUMBERS:
        return section
    return {
        name: _section(f"{key}.{name}", value, {})
        if isinstance(value, dict)
        else read_option(f"{key}.{name}", value, options.get(name, set()))
        for name, value in section.items()
    }


def read_option(key: str, value: Any, types: set[type]) -> Any:
    """One option of a section.

    Args:
        key: Its dotted name.
        value: Value that a user gave, perhaps as a text.
        types: Plain types that it may have, empty where they are not known.
    """
    if str in types:
        return value
    return _fitting(as_number(parse_value(key, value) if isinstance(value, str) else value), types)


def _options_of(key: str, settings: dict[str, Any], defaults: dict[str, Any]) -> dict[str, set[type]]:
    """The plain types of a section's options: those of the source of negatives or the loss, or of the defaults."""
    default = defaults.get(key)
    default = default if isinstance(default, dict) else {}
    registry: Registry[Any] = losses
    name = settings.get("loss", defaults.get("loss"))
    if key == "negatives":
        registry, name = samplers, settings[key].get("source", default.get("source"))
    elif key != "loss_options":
        return {option: _kinds_of_value(value) for option, value in default.items()}
    try:
        return {**option_kinds(registry, str(name)), "source": {str}}
    except ValueError:  # there is no such loss or source, which is said later
        return {"source": {str}}


def option_kinds(registry: Registry[Any], name: str) -> dict[str, set[type]]:
    """The plain types that the options of a loss or a source of negatives may have, by their annotations.

    Raises:
        ValueError: There is none of that name.
    """
    entry = declared(registry).get(name)
    annotations = annotations_of(registry.get(name)) if entry is None else entry.annotations
    return {
        option: {kind for kind in (int, float, str) if re.search(rf"\b{kind.__name__}\b", text)}
        for option, text in annotations.items()
    }


def _kinds_of(annotation: Any) -> set[type]:
    """The plain types that an annotation allows, whatever stands around them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds_of(get_args(annotation)[0])
    if origin is Literal:
        return {type(value) for value in get_args(annotation)}
    if origin is list:
        return {list} | _kinds_of(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return set().union(*map(_kinds_of, get_args(annotation)))
    kind = origin or annotation
    return {kind} if isinstance(kind, type) else {str}


def _kinds_of_value(default: Any) -> set[type]:
    if isinstance(default, list):
        return {list}.union(*(_kinds_of_value(part) for part in default))
    return {str} if default is None else {type(default)}

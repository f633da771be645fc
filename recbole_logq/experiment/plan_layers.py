"""What a comparison or a sweep is asked for: YAML files and options, in layers that are put on top of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.files import folder_name
from recbole_logq.layers import Layer, over
from recbole_logq.nearest import nearest
from recbole_logq.parsing import listed_files, nest, parse_value, read_yaml

Merge = Callable[[Any, Any], Any]
# One protocol for all models, unless the settings say another one: RecBole's own differ between kinds of models.
PROTOCOL: Layer = {
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
    "filter_history": True,
}
_ONE_OF = (("model", "models"), ("dataset", "datasets"))


def read_plan(
    files: Sequence[str] | None,
    options: Layer,
    keys: frozenset[str],
    *,
    more: Layer | None = None,
    sections: Mapping[str, Merge] | None = None,
) -> tuple[Layer, Layer]:
    """What is asked for under ``keys``, and the settings that hold for every model.

    Args:
        files: YAML, later ones win.
        options: Values that win over the files; what is none of ``keys`` is a setting.
        keys: Names that a file may have.
        more: Content of another file, which wins over ``files``.
        sections: Keys of which a layer may give a part, and how that is put on top of what is below.

    Raises:
        RequestError: A file has another key, ``settings`` is no mapping, or something is given twice in one place.
    """
    plan: Layer = {}
    settings: Layer = {}
    options = nest(options)
    own = {key: value for key, value in options.items() if key in keys}
    for place, layer in [
        *((str(file), _content(file, keys)) for file in listed_files(files)),
        ("", more or {}),
        ("", own),
    ]:
        settings = over(settings, _settings(layer.get("settings"), place))
        plan = _on_top(plan, {key: value for key, value in layer.items() if key != "settings"}, place, sections or {})
    bare = {key: value for key, value in options.items() if key not in keys}
    _refuse_two_values(_settings(options.get("settings"), ""), bare)
    return plan, over(settings, bare)


def with_protocol(settings: Layer, entries: Sequence[tuple[str, Layer]]) -> Layer:
    """The settings of all models on top of one protocol: a ready-made split that all name, or else :data:`PROTOCOL`.

    Args:
        settings: Settings of all models.
        entries: Name and settings of each; a ready-made split may stand here too, as long as it is one for all.

    Raises:
        RequestError: Models name different ready-made splits, so that they would be tested on different rows.
    """
    parts = {name: _parts(over(settings, own).get("benchmark_filename")) for name, own in entries}
    (first, split), *further = parts.items()
    for name, files in further:
        if files != split:
            raise RequestError(
                f"{first} and {name} would be tested on different rows: benchmark_filename is {split} and {files}; set "
                "one for all models, under settings"
            )
    # The files are the split.
    return over(PROTOCOL if split is None else {**PROTOCOL, "eval_args": {"mode": "full"}}, settings)


def _parts(value: Any) -> Any:
    return parse_value("benchmark_filename", value) if isinstance(value, str) else value


def _content(file: str | Path, keys: frozenset[str]) -> Layer:
    content = nest(read_yaml(file))
    for key in content:
        if key not in keys:
            hint = nearest(key, set(keys))
            raise RequestError(f"{file}: unknown key {key}{hint} (what holds for all models goes under settings)")
    return content


def _settings(value: Any, place: str) -> Layer:
    if value is not None and not isinstance(value, dict):
        raise RequestError(f"{_at(place)}settings={value!r}: names of settings, each with its value")
    return nest(value or {})


def _at(place: str) -> str:
    return f"{place}: " if place else ""


def _on_top(low: Layer, high: Layer, place: str, sections: Mapping[str, Merge]) -> Layer:
    low = dict(low)
    for pair in _ONE_OF:
        present = [key for key in pair if high.get(key) is not None]
        if len(present) == 2:
            raise RequestError(f"{_at(place)}{present[0]} and {present[1]} say the same thing: keep one")
        if present:  # either wins over both below it
            low = {key: value for key, value in low.items() if key not in pair}
    merged = {**low, **high}
    for key, merge in sections.items():
        if isinstance(low.get(key), dict) and isinstance(high.get(key), dict):
            merged[key] = merge(low[key], high[key])
    return merged


def _refuse_two_values(settings: Layer, bare: Layer, path: str = "") -> None:
    for key in settings.keys() & bare.keys():
        value, direct = settings[key], bare[key]
        if isinstance(value, dict) and isinstance(direct, dict):
            _refuse_two_values(value, direct, f"{path}{key}.")
        elif value != direct:
            raise RequestError(f"{path}{key} is given twice, as {direct!r} and, under settings, as {value!r}: keep one")


def listed(key: str, value: Any) -> list[Any]:
    """The entries of a list, which may be text with commas between them; none of None.

    Raises:
        RequestError: The value is neither a list nor text.
    """
    if value is None:
        return []
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise RequestError(f"{key}={value!r}: a list, or names with commas between them")
    return list(value)


def text(key: str, value: Any) -> str:
    """A name; a number is one too.

    Raises:
        RequestError: The value is something else, or cannot name a folder.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not folder_name(str(value)).strip("."):
        raise RequestError(f"{key}={value!r}: a name, with a letter or a digit in it")
    return str(value)


def entry_of(entry: Any, reserved: frozenset[str]) -> tuple[str, str, Layer]:
    """Name, model and settings of an entry under ``models``.

    Args:
        entry: A model's name, or a mapping.
        reserved: Settings that an entry cannot have: see :func:`refuse_reserved`.

    Raises:
        RequestError: The entry is neither, or has a setting that nothing would read.
    """
    if isinstance(entry, str):
        return text("models", entry), entry, {}
    if isinstance(model_class := entry.get("model") if isinstance(entry, dict) else entry, type):
        raise RequestError(
            f"models: {model_class.__name__} is a class, and each run has a process of its own: register it in a file, "
            f'@models.register("{model_class.__name__}", summary="..."), and give its name and --plugins=FILE.py'
        )
    if not isinstance(entry, dict) or not isinstance(entry.get("model"), str):
        raise RequestError(f"models: {entry!r} is neither a name nor a mapping with model: NAME and its settings")
    own = nest({key: value for key, value in entry.items() if key not in {"name", "model"}})
    name, model = entry.get("name"), entry["model"]
    name = model if name is None else text("name", name)
    refuse_reserved(own, reserved, f"models: {name}: ")
    return name, model, own


def refuse_reserved(settings: Layer, reserved: frozenset[str], place: str = "") -> None:
    """Refuse settings that the plan itself sets, so that they would be ignored.

    Raises:
        RequestError: The settings hold one of the reserved ones.
    """
    for key in reserved & settings.keys():
        raise RequestError(
            f"{place}{key}={settings[key]!r} is no setting of a single model here: give models, dataset and seeds of "
            "the whole plan"
        )

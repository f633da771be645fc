"""The search space: parameters, what they can be, and when they exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest
from recbole_logq.sweeps.choice import Choice, checked_options
from recbole_logq.sweeps.parameter import Parameter, Point
from recbole_logq.sweeps.range import RANGES, Range, checked_range

KINDS = {"choice", *RANGES}


def parse_space(mapping: Any, where: str = "space") -> list[Parameter]:
    """Parameters from YAML: ``name: {kind: values}``, with ``when: {choice: value or values}`` where it depends.

    Args:
        mapping: The mapping.
        where: Name of the mapping in errors.

    Raises:
        RequestError: A kind that is none, a range that is empty or upside down, a condition on what is no choice.
    """
    if not isinstance(mapping, dict) or not mapping:
        raise RequestError(f"{where}: what to vary, such as learning_rate: {{loguniform: [0.0001, 0.1]}}")
    parameters: dict[str, Parameter] = {}
    for name, content in _flat(mapping):
        if name in parameters:
            raise RequestError(f"{where}.{name} stands there twice: keep one")
        parameter = _parameter(f"{where}.{name}", name, content)
        for choice, allowed in parameter.when:
            _check_condition(f"{where}.{name}", choice, allowed, parameters, set(dict(_flat(mapping))))
        parameters[name] = parameter
    return list(parameters.values())


def merged_space(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """A space with another one on top, parameter by parameter, however their names are written."""
    if twice := [name for space in (low, high) for name in _twice(space)]:
        raise RequestError(f"space.{twice[0]} stands there twice: keep one")
    return {**dict(_flat(low)), **dict(_flat(high))}


def _twice(mapping: dict[str, Any]) -> list[str]:
    names = [name for name, _ in _flat(mapping)]
    return [name for name in names if names.count(name) > 1]


def _flat(mapping: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names with dots, whether they were written so or nested."""
    for key, content in mapping.items():
        nested = isinstance(content, dict) and content and not set(content) & (KINDS | {"when"})
        if nested and all(_is_parameter(*inner) for inner in content.items()):
            yield from _flat(content, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", content


def _is_parameter(name: Any, content: Any) -> bool:
    """Whether this is what a parameter can be, and not the values of a kind whose name is mistyped."""
    return isinstance(content, dict) or (isinstance(content, list) and not nearest(str(name), KINDS))


def _parameter(label: str, name: str, content: Any) -> Parameter:
    if isinstance(content, list):
        content = {"choice": content}
    if not isinstance(content, dict):
        raise RequestError(f"{label}={content!r}: {{KIND: values}}, where KIND is one of {', '.join(sorted(KINDS))}")
    kinds = [key for key in content if key != "when"]
    if len(kinds) != 1 or kinds[0] not in KINDS:
        kinds_text = f" {kinds[0]}{nearest(str(kinds[0]), KINDS)}" if len(kinds) == 1 else f"s {kinds}" if kinds else ""
        raise RequestError(f"{label}: unknown kind{kinds_text}; give one of {', '.join(sorted(KINDS))}")
    when = content.get("when") or {}
    if not isinstance(when, dict):
        raise RequestError(f"{label}: when={when!r}: a choice and its value, such as when: {{similarity: cosine}}")
    conditions = [(key, tuple(value) if isinstance(value, list) else (value,)) for key, value in when.items()]
    kind, values = kinds[0], content[kinds[0]]
    if kind == "choice":
        return Choice(name, kind, checked_options(label, values), tuple(conditions))
    return Range(name, kind, checked_range(label, kind, values), tuple(conditions))


def _check_condition(
    label: str, choice: str, allowed: tuple[Any, ...], known: Mapping[str, Parameter], names: set[str]
) -> None:
    if choice not in known:
        raise RequestError(
            f"{label}: when {choice}: "
            + ("put it above" if choice in names else f"is not in the space{nearest(choice, names)}")
        )
    if not known[choice].options:
        raise RequestError(f"{label}: when {choice}: that is {known[choice].kind}, a condition needs a choice")
    for value in allowed:
        if value not in known[choice].options:
            raise RequestError(f"{label}: when {choice}={value!r}: its choice has {list(known[choice].options)!r}")


def grid(space: list[Parameter]) -> list[Point]:
    """Every combination, once.

    Raises:
        RequestError: A range has no steps.
    """
    axes = []
    for parameter in space:
        values = parameter.every()
        if values is None:
            raise RequestError(f"search=grid: {parameter.name} is {parameter.kind}; list its values with choice")
        axes.append([(parameter.name, value) for value in values])
    points: list[Point] = []
    for combination in product(*axes):
        point = resolved(space, dict(combination))
        if point not in points:
            points.append(point)
    return points


def resolved(space: list[Parameter], values: Mapping[str, Any]) -> Point:
    """The values of parameters that exist, given the choices among them."""
    point: Point = {}
    for parameter in space:
        if parameter.exists(point):
            point[parameter.name] = values[parameter.name]
    return point

"""The search space: parameters, what they can be, and when they exist."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.numerals import as_number, as_whole
from recbole_logq.settings import nearest

Point = dict[str, Any]
"""A value for every parameter that exists under the others, by dotted name."""

# Kind -> how many numbers it takes.
RANGES = {"uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3, "randint": 2, "lograndint": 2}
KINDS = {"choice", *RANGES}
_FINITE = {"choice", "quniform", "randint"}


@dataclass(frozen=True)
class Parameter:
    """One setting that a sweep varies.

    Attributes:
        name: Dotted name of the setting.
        kind: One of :data:`KINDS`.
        values: Options of a choice; ``low, high`` or ``low, high, step`` of a range, both ends included.
        when: The parameter exists where each of these choices has one of the values.
    """

    name: str
    kind: str
    values: tuple[Any, ...]
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def exists(self, point: Mapping[str, Any]) -> bool:
        """Whether it has a value, given those before it."""
        return all(name in point and point[name] in allowed for name, allowed in self.when)

    def every(self) -> list[Any] | None:
        """All values in order; None of a range without steps."""
        if self.kind == "choice":
            return list(self.values)
        if self.kind not in _FINITE:
            return None
        low, high, step = self.values if self.kind == "quniform" else (*self.values, 1)
        return [self.rounded(low + i * step) for i in range(round((high - low) / step) + 1)]

    def typical(self) -> list[Any]:
        """All options of a choice, both ends of a range: what a check looks at."""
        return list(self.values) if self.kind == "choice" else [self.rounded(value) for value in self.values[:2]]

    def rounded(self, value: Any) -> Any:
        """A drawn value as a setting: on its step, and a whole number where the range has only those."""
        if self.kind == "choice":
            return value
        low, high, *step = self.values
        if step:
            value = min(max(round(value / step[0]) * step[0], low), high)
        if all(isinstance(one, int) for one in self.values) and (step or self.kind.endswith("randint")):
            return round(value)
        return float(f"{value:.12g}")  # 0.3, not 0.30000000000000004


def parse_space(given: Any, where: str = "space") -> list[Parameter]:
    """Parameters from YAML: ``name: {kind: values}``, with ``when: {choice: value or values}`` where it depends.

    Args:
        given: The mapping.
        where: Name of the mapping in errors.

    Raises:
        RequestError: A kind that is none, a range that is empty or upside down, a condition on what is no choice.
    """
    if not isinstance(given, dict) or not given:
        raise RequestError(f"{where}: what to vary, such as learning_rate: {{loguniform: [0.0001, 0.1]}}")
    known: dict[str, Parameter] = {}
    for name, content in _flat(given):
        if name in known:
            raise RequestError(f"{where}.{name} stands there twice: keep one")
        parameter = _parameter(f"{where}.{name}", name, content)
        for choice, allowed in parameter.when:
            _check_condition(f"{where}.{name}", choice, allowed, known, set(dict(_flat(given))))
        known[name] = parameter
    return list(known.values())


def merged_space(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    """A space with another one on top, parameter by parameter, however their names are written."""
    if twice := [name for space in (low, high) for name in _twice(space)]:
        raise RequestError(f"space.{twice[0]} stands there twice: keep one")
    return {**dict(_flat(low)), **dict(_flat(high))}


def _twice(given: dict[str, Any]) -> list[str]:
    names = [name for name, _ in _flat(given)]
    return [name for name in names if names.count(name) > 1]


def _flat(given: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names with dots, whether they were written so or nested."""
    for key, content in given.items():
        nested = isinstance(content, dict) and content and not set(content) & (KINDS | {"when"})
        if nested and all(_is_parameter(*inner) for inner in content.items()):
            yield from _flat(content, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", content


def _is_parameter(name: Any, content: Any) -> bool:
    """Whether this is what a parameter can be, and not the values of a kind whose name is mistyped."""
    return isinstance(content, dict) or (isinstance(content, list) and not nearest(str(name), KINDS))


def _parameter(where: str, name: str, content: Any) -> Parameter:
    if isinstance(content, list):
        content = {"choice": content}
    if not isinstance(content, dict):
        raise RequestError(f"{where}={content!r}: {{KIND: values}}, where KIND is one of {', '.join(sorted(KINDS))}")
    kinds = [key for key in content if key != "when"]
    if len(kinds) != 1 or kinds[0] not in KINDS:
        said = f" {kinds[0]}{nearest(str(kinds[0]), KINDS)}" if len(kinds) == 1 else f"s {kinds}" if kinds else ""
        raise RequestError(f"{where}: unknown kind{said}; give one of {', '.join(sorted(KINDS))}")
    kind, values = kinds[0], content[kinds[0]]
    if kind == "choice":
        if not isinstance(values, list) or not values:
            raise RequestError(f"{where}: choice={values!r}: a list of one value or more")
        if any(one == two for i, one in enumerate(values) for two in values[:i] if type(one) is type(two)):
            raise RequestError(f"{where}: choice={values!r}: a value stands there twice")
    else:
        values = as_number(values)
        if kind.endswith("randint") and isinstance(values, list):
            values = [value if as_whole(value) is None else as_whole(value) for value in values]
        _check_range(where, kind, values)
    when = content.get("when") or {}
    if not isinstance(when, dict):
        raise RequestError(f"{where}: when={when!r}: a choice and its value, such as when: {{similarity: cosine}}")
    conditions = [(key, tuple(value) if isinstance(value, list) else (value,)) for key, value in when.items()]
    return Parameter(name, kind, tuple(values), tuple(conditions))


def _check_range(where: str, kind: str, values: Any) -> None:
    need = "[low, high, step]" if RANGES[kind] == 3 else "[low, high]"
    numbers = isinstance(values, list) and all(
        isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in values
    )
    if not numbers or len(values) != RANGES[kind]:
        raise RequestError(f"{where}: {kind}={values!r}: {need}, numbers")
    low, high, *step = values
    if low >= high:
        raise RequestError(f"{where}: {kind}={values!r}: low must be below high")
    if "log" in kind and low <= 0:
        raise RequestError(f"{where}: {kind}={values!r}: a logarithm needs low above 0")
    if kind.endswith("randint") and not all(isinstance(one, int) for one in values):
        raise RequestError(f"{where}: {kind}={values!r}: whole numbers")
    if step and (step[0] <= 0 or any(abs(end / step[0] - round(end / step[0])) > 1e-9 for end in (low, high))):
        raise RequestError(f"{where}: {kind}={values!r}: low and high must be multiples of a step above 0")


def _check_condition(
    where: str, choice: str, allowed: tuple[Any, ...], known: Mapping[str, Parameter], names: set[str]
) -> None:
    if choice not in known:
        raise RequestError(
            f"{where}: when {choice}: "
            + ("put it above" if choice in names else f"is not in the space{nearest(choice, names)}")
        )
    if known[choice].kind != "choice":
        raise RequestError(f"{where}: when {choice}: that is {known[choice].kind}, a condition needs a choice")
    for value in allowed:
        if value not in known[choice].values:
            raise RequestError(f"{where}: when {choice}={value!r}: its choice has {list(known[choice].values)!r}")


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
    found: list[Point] = []
    for combination in product(*axes):
        point = resolved(space, dict(combination))
        if point not in found:
            found.append(point)
    return found


def resolved(space: list[Parameter], values: Mapping[str, Any]) -> Point:
    """The values of parameters that exist, given the choices among them."""
    point: Point = {}
    for parameter in space:
        if parameter.exists(point):
            point[parameter.name] = values[parameter.name]
    return point

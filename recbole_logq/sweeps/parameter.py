"""One setting that a sweep varies: what a choice and a range have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Point = dict[str, Any]
"""A value for every parameter that exists under the others, by dotted name."""


@dataclass(frozen=True)
class Parameter(ABC):
    """One setting that a sweep varies.

    Attributes:
        name: Dotted name of the setting.
        kind: Its kind in a file, such as ``choice`` or ``loguniform``.
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

    @property
    @abstractmethod
    def log(self) -> bool:
        """Whether its values are spread evenly over a logarithm."""

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers alone."""
        return False

    @property
    @abstractmethod
    def options(self) -> tuple[Any, ...]:
        """Values that differ by name; none of a range."""

    @property
    @abstractmethod
    def limits(self) -> tuple[float, float]:
        """Ends of an axis on which every value has its position."""

    @abstractmethod
    def position(self, value: Any) -> float:
        """Place of a value between :attr:`limits`."""

    @abstractmethod
    def every(self) -> list[Any] | None:
        """All values in order; None of a range without steps."""

    @abstractmethod
    def typical(self) -> list[Any]:
        """All options of a choice, both ends of a range: what a check looks at."""

    @abstractmethod
    def middle(self) -> Any:
        """The middle option of a choice; the middle of a range, of its logarithm where it is logarithmic."""

    @abstractmethod
    def draw(self, state: Any) -> Any:
        """A value drawn by Tune's distribution with numpy's random ``state``."""

    @abstractmethod
    def distribution(self) -> Any:
        """Optuna's distribution of what :meth:`encoded` gives."""

    @abstractmethod
    def encoded(self, value: Any) -> Any:
        """A value as Optuna stores it."""

    @abstractmethod
    def suggest(self, trial: Any) -> Any:
        """The value that an Optuna trial suggests."""

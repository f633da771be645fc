"""Names for things a user chooses: losses and samplers. (Recipes are YAML files, encoders a table in `models`.)

An entry registers itself with a decorator in the file that defines it, so adding one touches no list::

    @losses.register("my_loss", summary="one line for `recbole-logq models`")
    class MyLoss(Loss): ...
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from recbole_logq.nearest import close_names

if TYPE_CHECKING:
    from recbole_logq.losses.base import Loss
    from recbole_logq.samplers.base import Sampler

T = TypeVar("T")
Entry = TypeVar("Entry")


class Registry(Generic[T]):
    """A table from name to entry, with error messages that help.

    Args:
        kind: What one entry is called in messages, singular ("loss").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._summaries: dict[str, str] = {}

    def register(self, name: str, summary: str) -> Callable[[Entry], Entry]:
        """Decorator that stores the decorated object under `name` and returns it unchanged.

        Raises:
            ValueError: `name` is taken.
        """

        def store(entry: Any) -> Any:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is already registered, by {self._entries[name]!r}")
            self._entries[name] = entry
            self._summaries[name] = summary
            return entry

        return store

    def get(self, name: str) -> T:
        """The entry called `name`.

        Raises:
            ValueError: No such entry; the message names the nearest one and all known ones.
        """
        self._require(name)
        return self._entries[name]

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._entries)

    def summary(self, name: str) -> str:
        """The one-line description that `name` was registered with.

        Raises:
            ValueError: As for `get`.
        """
        self._require(name)
        return self._summaries[name]

    def _require(self, name: str) -> None:
        if name in self._entries:
            return
        near = close_names(str(name), self._entries)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        raise ValueError(f"no {self.kind} named {name!r}{hint} known: {', '.join(self.names())}")


def import_submodules(package_name: str) -> None:
    """Imports every module that lies directly in a package, so that their decorators run.

    Args:
        package_name: Dotted name of the package; usually `__name__` in its own `__init__.py`.
    """
    package = importlib.import_module(package_name)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package_name}.{module.name}")


losses: Registry[type[Loss]] = Registry("loss")
samplers: Registry[type[Sampler]] = Registry("sampler")

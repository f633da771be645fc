"""Names for things a user chooses: losses, samplers, encoders, recipes, models of RecBole's kind, and metrics.

An entry registers itself with a decorator in the file that defines it, so adding one touches no list::

    @losses.register("my_loss", summary="one line for `recbole-logq models`")
    class MyLoss(Loss): ...

A name that nothing has registered is looked for among the entry points of installed packages
(:mod:`recbole_logq.entry_points`), and only then.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from recbole_logq import entry_points
from recbole_logq.nearest import close_names

if TYPE_CHECKING:
    from recbole_logq.losses.loss import Loss
    from recbole_logq.samplers.sampler import Sampler

__all__ = ["MetricRegistry", "Registry", "encoders", "losses", "metrics", "models", "recipes", "samplers"]

T = TypeVar("T")
Entry = TypeVar("Entry")
PACKAGE = Path(__file__).parent


class _Record(NamedTuple):
    """What is kept of an entry: itself, its line in listings, and the file and line that registered it."""

    name: str
    entry: Any
    summary: str
    file: str
    line: int

    @property
    def place(self) -> str:
        """File and line, short."""
        for folder in (PACKAGE.parent, Path.cwd()):
            if Path(self.file).is_relative_to(folder):
                return f"{os.path.relpath(self.file, folder)}, line {self.line}"
        return f"{self.file}, line {self.line}"

    @property
    def packaged(self) -> bool:
        """Whether it is one of this package."""
        return Path(self.file).is_relative_to(PACKAGE)


class Registry(Generic[T]):
    """A table from name to entry, with error messages that help.

    Args:
        kind: What one entry is called in messages, singular ("loss").
        group: Group of entry points that installed packages may have for it.
        base: ``module:Class`` that an entry is a subclass of; None for anything.
    """

    def __init__(self, kind: str, group: str | None = None, base: str | None = None) -> None:
        self.kind = kind
        self.group = group
        self._base = base
        self._entries: dict[str, _Record] = {}

    def register(self, name: str, summary: str) -> Callable[[Entry], Entry]:
        """Decorator that stores the decorated object under `name` and returns it unchanged.

        Raises:
            ValueError: `name` is taken, or the object is not of the kind.
        """

        def store(entry: Any) -> Any:
            self._store(name, entry, summary, sys._getframe(1))
            return entry

        return store

    def add(self, name: str, entry: Any, summary: str) -> None:
        """The same as a statement.

        Raises:
            ValueError: As for :meth:`register`.
        """
        self._store(name, entry, summary, sys._getframe(1))

    def _store(self, name: str, entry: Any, summary: str, frame: Any) -> None:
        record = _Record(name, entry, summary, os.path.abspath(frame.f_code.co_filename), frame.f_lineno)
        earlier = self._entries.get(self.key(name))
        if earlier is not None and not _redefined(earlier.entry, entry):
            raise ValueError(
                f"{self.kind} {name!r} is already registered, by {earlier.place}; give the one of {record.place} "
                "another name"
            )
        self.check(name, entry)
        self._entries[self.key(name)] = record

    def check(self, name: str, entry: Any) -> None:
        """Refuse what cannot be of this kind.

        Raises:
            ValueError: The entry is none that can be registered; the message says what it should be.
        """
        if self._base is None:
            return
        module, _, base = self._base.partition(":")
        if not (isinstance(entry, type) and issubclass(entry, getattr(importlib.import_module(module), base))):
            raise ValueError(f"{self.kind} {name!r} is {entry!r}: make it a subclass of {module}.{base}")

    def key(self, name: str) -> str:
        """Key that a name is stored under."""
        return str(name)

    def get(self, name: str) -> T:
        """The entry called `name`.

        Raises:
            ValueError: No such entry; the message names the nearest one and all known ones.
        """
        return self._record(name).entry

    def names(self) -> list[str]:
        """All names that are registered in this process, sorted."""
        return sorted(record.name for record in self._entries.values())

    def installed(self) -> list[str]:
        """Names that entry points of installed packages offer; nothing is imported."""
        return entry_points.names(self.group) if self.group else []

    def load_installed(self) -> list[str]:
        """Register what installed packages offer; returns a line for each that cannot be used."""
        problems, names = [], self.installed()
        if names and self._base is not None:  # the packaged ones keep their names
            importlib.import_module(self._base.partition(":")[0])
        for name in names:
            if self.key(name) in self._entries:
                continue
            try:
                self._record(name)
            except ValueError as error:
                problems.append(str(error))
        return problems

    def summary(self, name: str) -> str:
        """The one-line description that `name` was registered with.

        Raises:
            ValueError: As for `get`.
        """
        return self._record(name).summary

    def packaged(self, name: str) -> bool:
        """Whether `name` is one of this package.

        Raises:
            ValueError: As for `get`.
        """
        return self._record(name).packaged

    def place(self, name: str) -> str:
        """File and line that registered `name`.

        Raises:
            ValueError: As for `get`.
        """
        return self._record(name).place

    def __contains__(self, name: object) -> bool:
        return self.key(str(name)) in self._entries

    def _record(self, name: str) -> _Record:
        if self.key(name) not in self._entries and self.group and entry_points.has(self.group, name):
            with undone_on_error():
                entry_points.load(self.group, name)
                if self.key(name) not in self._entries:
                    raise entry_points.unusable(self.group, name, f"it registers no {self.kind} of that name")
        record = self._entries.get(self.key(name))
        if record is not None:
            return record
        raise ValueError(self.unknown(name, self.names()))

    def unknown(self, name: str, names: Sequence[str]) -> str:
        """What is said of a name that nothing has.

        Args:
            name: The name.
            names: Names that there are, beside those of installed packages.
        """
        near = close_names(str(name), [*names, *self.installed()])
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        advice = " (your own comes in with --plugins=FILE.py)" if self.group else ""
        return f"no {self.kind} named {name!r}{hint} known: {', '.join(names)}{advice}"


class MetricRegistry(Registry[Any]):
    """Metrics by their names in any case, as RecBole has them."""

    def key(self, name: str) -> str:
        """Key in lower case."""
        return str(name).lower()

    def check(self, name: str, entry: Any) -> None:
        """Refuse what cannot be called, and names that a result could not have.

        Raises:
            ValueError: The metric cannot be called, or its name is none; the message says what it should be.
        """
        if not callable(entry):
            raise ValueError(f"metric {name!r} is {entry!r}: make it a function or a metric class of RecBole's")
        if not str(name).isidentifier():
            raise ValueError(f"metric {name!r}: a name of letters, digits and underscores")

    def register(self, name: str, summary: str, smaller_is_better: bool = False) -> Callable[[Entry], Entry]:
        """Decorator that stores a metric; see :mod:`recbole_logq.own_metrics` for what one is.

        Raises:
            ValueError: `name` is taken, or the object cannot be called.
        """

        def store(entry: Any) -> Any:
            self._store(name, entry, summary, sys._getframe(1))
            if smaller_is_better:
                entry.smaller = True  # as on a metric class of RecBole's
            return entry

        return store


def _redefined(earlier: Any, entry: Any) -> bool:
    """Whether an interactive session has run a cell again."""
    name, module = getattr(entry, "__qualname__", None), getattr(entry, "__module__", None)
    same = (getattr(earlier, "__qualname__", None), getattr(earlier, "__module__", None)) == (name, module)
    return same and name is not None and module == "__main__"


def import_submodules(package_name: str) -> None:
    """Imports every module that lies directly in a package, so that their decorators run.

    Args:
        package_name: Dotted name of the package; usually `__name__` in its own `__init__.py`.
    """
    package = importlib.import_module(package_name)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package_name}.{module.name}")


losses: Registry[type[Loss]] = Registry("loss", "recbole_logq.losses", "recbole_logq.losses:Loss")
samplers: Registry[type[Sampler]] = Registry("sampler", "recbole_logq.samplers", "recbole_logq.samplers:Sampler")
encoders: Registry[Any] = Registry("encoder", "recbole_logq.encoders")
recipes: Registry[Any] = Registry("recipe", "recbole_logq.recipes")
models: Registry[Any] = Registry("model", "recbole_logq.models")
metrics = MetricRegistry("metric", "recbole_logq.metrics")

EVERY: tuple[Registry[Any], ...] = (losses, samplers, encoders, recipes, models, metrics)
"""What a plug-in can add to."""


@contextmanager
def undone_on_error() -> Iterator[None]:
    """What was registered within is forgotten where an error ends it: half a plug-in is none."""
    before = [dict(registry._entries) for registry in EVERY]
    try:
        yield
    except BaseException:
        for registry, entries in zip(EVERY, before, strict=True):
            registry._entries = entries
        raise


def registered() -> set[tuple[str, str]]:
    """Kind and name of everything that is registered in this process."""
    return {(registry.kind, name) for registry in EVERY for name in registry.names()}

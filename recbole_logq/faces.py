"""Public faces: what a package shows, imported when it is asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def face(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package: RecBole, pandas and torch take seconds to import.

    Args:
        package: Dotted name of the package, which has an ``__all__``.
        names: Module below the package, by the name that it defines; one that begins with a dot lies beside the
            package.
    """

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f".{names[name]}", package), name)

    def listed() -> list[str]:
        content = vars(sys.modules[package])
        return sorted({*content, *content["__all__"]})

    return get, listed

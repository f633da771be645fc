"""Public faces: what a package shows, imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def shown(package: str, names: Mapping[str, str], name: str) -> Any:
    """A name of a package's face, for its ``__getattr__``: RecBole, pandas and torch take seconds to import.

    Args:
        package: Dotted name of the package.
        names: Module below the package, by the name that it defines.
        name: Name that is asked for.

    Raises:
        AttributeError: The face has no such name.
    """
    if name not in names:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{package}.{names[name]}"), name)

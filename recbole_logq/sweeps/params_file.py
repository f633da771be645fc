"""RecBole's range files, such as ``hyper.test``: a line ``name kind values`` for each parameter, never evaluated."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.numerals import as_number
from recbole_logq.parsing import parse_value, read_text


def read_params_file(path: str | Path) -> dict[str, Any]:
    """The space that a range file describes, in the form of :func:`recbole_logq.sweeps.space.parse_space`.

    ``loguniform -8,0`` means e^-8 to e^0, as in RecBole. Text among the options of a choice is read as a setting on the
    command line would be, so ``'[64,64]'`` is a list.

    Raises:
        RequestError: The file or a line cannot be read.
    """
    lines = read_text(path, "range file").splitlines()
    space: dict[str, Any] = {}
    for number, line in enumerate(lines, 1):
        words = line.split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        label = f"{path}, line {number}"
        if len(words) < 3:
            raise RequestError(f"{label}: {line.strip()!r}: a line is `name kind values`")
        name, kind, text = words
        if name in space:
            raise RequestError(f"{label}: {name} stands there twice")
        space[name] = _content(label, name, kind, text.strip())
    if not space:
        raise RequestError(f"{path}: there is no parameter in it")
    return space


def _content(label: str, name: str, kind: str, text: str) -> dict[str, Any]:
    if kind == "choice":
        options = parse_value("choice", text)
        if not isinstance(options, list):
            raise RequestError(f"{label}: choice {text!r}: a list, such as [64,128]")
        return {"choice": [parse_value(name, option) if isinstance(option, str) else option for option in options]}
    if kind not in {"uniform", "loguniform", "quniform"}:
        raise RequestError(f"{label}: unknown kind {kind!r}; RecBole has choice, uniform, loguniform, quniform")
    parts = as_number(text.split(","))
    if any(isinstance(part, str) for part in parts):
        raise RequestError(f"{label}: {kind} {text!r}: numbers, separated by commas")
    numbers = [float(part) for part in parts]
    if kind == "loguniform":
        if any(number > 700 for number in numbers):
            raise RequestError(f"{label}: loguniform {text!r}: e to that power is no number; give logarithms")
        return {kind: [math.exp(number) for number in numbers]}
    whole = kind == "quniform" and all(number.is_integer() for number in numbers)
    return {kind: [int(number) for number in numbers] if whole else numbers}

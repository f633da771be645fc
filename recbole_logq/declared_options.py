"""Options of losses and sources of negatives, read from the code that declares them; torch is not imported for it.

Their meaning stands in the docstring of the class, under ``Args:``, their types and defaults in its constructor.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from recbole_logq.allowed_values import shown
from recbole_logq.registry import Registry

PACKAGE = Path(__file__).parent
FOLDERS = {"loss": "losses", "sampler": "samplers"}
"""Folder of this package by the kind of a registry."""
_NOT_OPTIONS = {"self", "counts", "count", "catalogue_size"}
_TYPES = {"int": "whole number", "float": "number", "bool": "true or false", "str": "text"}


class Option(NamedTuple):
    """An option as help shows it: its name, default and allowed values in words, and its meaning."""

    name: str
    default: str
    allowed: str
    description: str


class Declared(NamedTuple):
    """A loss or a source: its line in listings and its options."""

    summary: str
    options: list[Option]


def declared(registry: Registry[Any]) -> dict[str, Declared]:
    """Everything of a kind by name: this package's, and what plug-ins have registered in this process."""
    found = dict(_packaged(registry.kind))
    for name in registry.names():
        if name not in found:
            found[name] = Declared(registry.summary(name), _options_of_class(registry.get(name), registry.kind))
    return dict(sorted(found.items()))


@cache
def _packaged(kind: str) -> dict[str, Declared]:
    classes: dict[str, ast.ClassDef] = {}
    names: dict[str, tuple[str, str]] = {}
    for file in sorted((PACKAGE / FOLDERS[kind]).glob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name] = node
                if (registered := _registered(node)) is not None:
                    names[registered[0]] = (node.name, registered[1])
    return {name: Declared(summary, _options(classes[own], classes, kind)) for name, (own, summary) in names.items()}


def _registered(node: ast.ClassDef) -> tuple[str, str] | None:
    """Name and summary of a class under ``@losses.register("name", summary="...")``."""
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "register":
            summary = next(part.value for part in call.keywords if part.arg == "summary")
            return ast.literal_eval(call.args[0]), ast.literal_eval(summary)
    return None


def _options(node: ast.ClassDef, classes: dict[str, ast.ClassDef], kind: str) -> list[Option]:
    """Options of a class or, where it has no constructor, of the first base that has one."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return _parameters(part, ast.get_docstring(node) or "", kind)
    bases = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
    return next((found for base in bases if (found := _options(base, classes, kind))), [])


def _options_of_class(entry: type, kind: str) -> list[Option]:
    owner = next((base for base in entry.__mro__ if "__init__" in vars(base)), entry)
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    except (OSError, TypeError, ValueError, SyntaxError):  # typed at a prompt
        return []
    return _options(node, {}, kind) if isinstance(node, ast.ClassDef) else []


def _parameters(function: ast.FunctionDef, docstring: str, kind: str) -> list[Option]:
    meanings = _meanings(docstring)
    arguments = function.args
    positional = list(zip(reversed(arguments.args), reversed(arguments.defaults), strict=False))[::-1]
    defaults = {argument.arg: value for argument, value in positional}
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    defaults |= {argument.arg: value for argument, value in keywords if value is not None}
    hidden = _NOT_OPTIONS | ({"seed"} if kind == "sampler" else set())
    return [
        Option(
            argument.arg,
            shown(ast.literal_eval(defaults[argument.arg])) if argument.arg in defaults else "",
            _in_words(argument.annotation),
            meanings.get(argument.arg, ""),
        )
        for argument in (*arguments.args, *arguments.kwonlyargs)
        if argument.arg not in hidden
    ]


def _in_words(annotation: ast.expr | None) -> str:
    if isinstance(annotation, ast.BinOp):  # a union
        return f"{_in_words(annotation.left)}; or {_in_words(annotation.right)}"
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        values = ast.literal_eval(annotation.slice)
        return ", ".join(map(shown, values if isinstance(values, tuple) else (values,)))
    text = ast.unparse(annotation) if annotation is not None else ""
    return "None" if text == "None" else _TYPES.get(text, "any value")


def _meanings(docstring: str) -> dict[str, str]:
    """The entries under ``Args:`` of a docstring of Google's style."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)*)", docstring, re.MULTILINE)
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}

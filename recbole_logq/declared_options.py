"""Losses and sources of negatives as the code declares them, read without importing torch.

The meaning of an option stands in the docstring of the class, under ``Args:``, its type and default in the constructor;
what a class states of itself are attributes of it.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from recbole_logq.allowed_values import value_text
from recbole_logq.loss_and_source import DeclaredLoss, DeclaredSource
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
    """A loss or a source: its line in listings, its options, and what it states of itself.

    Attributes:
        summary: Line in listings.
        options: Options that a user may set.
        annotations: Types of all parameters of the constructor as they are written, by name.
        stated: What it states; the class itself, where it is one of a plug-in.
    """

    summary: str
    options: list[Option]
    annotations: dict[str, str]
    stated: Any


def declared(registry: Registry[Any]) -> dict[str, Declared]:
    """Everything of a kind by name: this package's, and what plug-ins have registered in this process."""
    entries = dict(_packaged(registry.kind))
    for name in registry.names():
        if name not in entries:
            entry = registry.get(name)
            constructor = _constructor_of_class(entry)
            options = _parameters(*constructor, registry.kind) if constructor else []
            entries[name] = Declared(registry.summary(name), options, annotations_of(entry), entry)
    return dict(sorted(entries.items()))


def annotations_of(entry: type) -> dict[str, str]:
    """Types of a constructor's parameters as text, by name."""
    return {name: str(parameter.annotation) for name, parameter in inspect.signature(entry).parameters.items()}


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
    return {name: _of_class(classes[of], classes, kind, summary) for name, (of, summary) in names.items()}


def _of_class(node: ast.ClassDef, classes: dict[str, ast.ClassDef], kind: str, summary: str) -> Declared:
    function, docstring = _constructor(node, classes) or (None, "")
    parameters = [] if function is None else [*function.args.args[1:], *function.args.kwonlyargs]
    annotations = {part.arg: ast.unparse(part.annotation) for part in parameters if part.annotation is not None}
    attributes = _attributes(node, classes)
    form: Any = {"loss": DeclaredLoss, "sampler": DeclaredSource}[kind]
    stated = form(**{name: attributes[name] for name in form._fields})
    options = [] if function is None else _parameters(function, docstring, kind)
    return Declared(summary, options, annotations, stated)


def _attributes(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> dict[str, Any]:
    """Attributes of a class and its bases in this package whose values are plain."""
    attributes: dict[str, Any] = {}
    for base in reversed(node.bases):
        if isinstance(base, ast.Name) and base.id in classes:
            attributes |= _attributes(classes[base.id], classes)
    for part in node.body:
        if isinstance(part, ast.Assign | ast.AnnAssign) and part.value is not None:
            target = part.targets[0] if isinstance(part, ast.Assign) else part.target
            with suppress(ValueError):  # of what is computed, nothing is listed
                attributes[ast.unparse(target)] = ast.literal_eval(part.value)
    return attributes


def _registered(node: ast.ClassDef) -> tuple[str, str] | None:
    """Name and summary of a class under ``@losses.register("name", summary="...")``."""
    for call in node.decorator_list:
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "register":
            summary = next(part.value for part in call.keywords if part.arg == "summary")
            return ast.literal_eval(call.args[0]), ast.literal_eval(summary)
    return None


def _constructor(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> tuple[ast.FunctionDef, str] | None:
    """Constructor and docstring of a class or, where it has no constructor, of the first base that has one."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return part, ast.get_docstring(node) or ""
    bases = [classes[base.id] for base in node.bases if isinstance(base, ast.Name) and base.id in classes]
    return next((constructor for base in bases if (constructor := _constructor(base, classes))), None)


def _constructor_of_class(entry: type) -> tuple[ast.FunctionDef, str] | None:
    owner = next((base for base in entry.__mro__ if "__init__" in vars(base)), entry)
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    except (OSError, TypeError, ValueError, SyntaxError):  # typed at a prompt
        return None
    return _constructor(node, {}) if isinstance(node, ast.ClassDef) else None


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
            value_text(ast.literal_eval(defaults[argument.arg])) if argument.arg in defaults else "",
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
        return ", ".join(map(value_text, values if isinstance(values, tuple) else (values,)))
    text = ast.unparse(annotation) if annotation is not None else ""
    return "None" if text == "None" else _TYPES.get(text, "any value")


def _meanings(docstring: str) -> dict[str, str]:
    """The entries under ``Args:`` of a docstring of Google's style."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)*)", docstring, re.MULTILINE)
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section[1] if section else "", re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}

"""Text to values: command-line arguments and YAML files, parsed as YAML and never evaluated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from recbole_logq.errors import RequestError

# Values that are text even where they look like something else: "[5,inf)" is an interval, "0,1" a list of GPUs.
TEXT_KEYS = frozenset(
    {"model", "dataset", "data_path", "checkpoint_dir", "gpu_id", "wandb_project", "encoding", "field_separator"}
    | {"seq_separator", "user_inter_num_interval", "item_inter_num_interval", "entity_kg_num_interval"}
    | {"relation_kg_num_interval", "valid_metric"}
    | {"checkpoint", "estimators", "stage"}  # of lab
    | {"input", "format", "user", "item", "time", "separator", "quote"}  # of convert
    | {"folder", "address", "params_file", "title"}  # of sweep and compare
    | {"users", "history", "context", "index", "item_title_field"}  # of export and recommend
)

# Questions that are asked by name alone: `lab --folding`, `sweep --resume`.
FLAGS = frozenset({"folding", "sample-weights", "resume"})


# Settings whose values are compared with the text of a file: YAML would make false of NO, 8 of 010 and 1000.0 of 1e3.
AS_WRITTEN = "val_interval"


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads 1e-3 as a number (YAML 1.1 asks for a dot), no dates, and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str | int | float) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            if isinstance(key, str | int | float):
                seen.add(key)
        for key_node, value_node in node.value:
            if _is_as_written(key_node.value):
                _keep_text(value_node)
        return super().construct_mapping(node, deep)


# YAML turns 2020-01-01 into a date; configuration knows only text and numbers.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][-+]?\d+)$"),
    list("-+0123456789."),
)


def _is_as_written(key: Any) -> bool:
    return isinstance(key, str) and (key == AS_WRITTEN or key.startswith(f"{AS_WRITTEN}."))


def _keep_text(node: yaml.Node | None) -> None:
    """Make texts of all scalars of a node, as they stand there; a null in the place of the whole stays one."""
    todo, done = [] if node is None or node.tag == "tag:yaml.org,2002:null" else [node], set()
    while todo:
        node = todo.pop()
        if id(node) in done:  # an alias
            continue
        done.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            node.tag = "tag:yaml.org,2002:str"
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value
        elif isinstance(node, yaml.MappingNode):
            todo += [part for pair in node.value for part in pair]


def parse_value(key: str, text: str) -> Any:
    """Read one value as YAML; text that is no YAML (``[5,inf)``) stays text."""
    if key in TEXT_KEYS:
        return text
    if text == "None":  # what RecBole's documentation writes for "not set"
        return None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if _is_as_written(key):
            _keep_text(node)
        return None if node is None else loader.construct_document(node)
    except yaml.YAMLError:
        return text


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        RequestError: The file is missing, is not YAML (with line and column), or is not a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"cannot read the configuration file {path}: {getattr(error, 'strerror', error)}") from error
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise RequestError(f"{place}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise RequestError(f"{path}: expected `key: value` lines, found {type(content).__name__}")
    return content


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """Turn dotted keys into nested ones: ``{"negatives.count": 64}`` to ``{"negatives": {"count": 64}}``.

    A section may be given in parts, ``negatives.count`` beside ``negatives``; what is given stays as it is.

    Raises:
        RequestError: A name is no text, or has two values.
    """
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        if not isinstance(key, str):
            raise RequestError(f"{key!r}: the name of a setting is a text")
        *path, last = key.split(".")
        branch = nested
        for step in path:
            inner = branch.setdefault(step, {})
            if not isinstance(inner, dict):
                raise RequestError(f"{key} cannot be set: {step} is already given as {inner!r}")
            branch = inner
        _put(branch, last, value, key)
    return nested


def _put(branch: dict[str, Any], last: str, value: Any, key: str) -> None:
    if isinstance(value, dict) and isinstance(branch.get(last, {}), dict):
        section = branch.setdefault(last, {})
        for name, inner in value.items():
            _put(section, name, inner, f"{key}.{name}")
    elif last in branch:
        raise RequestError(f"{key} is given twice, as {branch[last]!r} and {value!r}: keep one")
    else:
        branch[last] = value


def parse_arguments(arguments: Sequence[str]) -> dict[str, Any]:
    """Parse RecBole's ``--key=value`` arguments into a dict.

    Raises:
        RequestError: An argument is not of that form, or a key is given twice with different values.
    """
    parsed: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument[2:].partition("=")
        if not argument.startswith("--") or not key:
            raise RequestError(f"cannot read the argument {argument!r}: write --key=value")
        if not equals and key in FLAGS:
            equals, text = "=", "true"
        if not equals or not text:
            raise RequestError(f"--{key} has no value: write --{key}=VALUE, with an equals sign (None for none)")
        key = key if "." in key or "_" in key else key.replace("-", "_")
        value = parse_value(key, text)
        if key in parsed and parsed[key] != value:
            raise RequestError(f"--{key} is given twice, as {parsed[key]!r} and {value!r}: keep one")
        parsed[key] = value
    return nest(parsed)

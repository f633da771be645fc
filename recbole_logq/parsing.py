"""Text to values: command-line arguments and YAML files, parsed as YAML and never evaluated."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from recbole_logq.errors import RequestError
from recbole_logq.yaml_loader import DEEPEST, BoundedLoader, TooLarge

# Settings that are text even where it looks like something else: "[5,inf)" is an interval, "0,1" a list of GPUs, and a
# dataset or a column may be called 010, 1e3 or NO. A configuration file has them as they are written, too.
TEXT_SETTINGS = frozenset(
    {"model", "dataset", "data_path", "checkpoint_dir", "gpu_id", "wandb_project", "encoding", "field_separator"}
    | {"seq_separator", "user_inter_num_interval", "item_inter_num_interval", "entity_kg_num_interval"}
    | {"relation_kg_num_interval", "valid_metric", "segment_field", "weight_field", "NEG_PREFIX", "LIST_SUFFIX"}
    | {"USER_ID_FIELD", "ITEM_ID_FIELD", "RATING_FIELD", "TIME_FIELD", "LABEL_FIELD", "POSITION_FIELD"}
    | {"ITEM_LIST_LENGTH_FIELD", "HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD", "RELATION_ID_FIELD"}
    | {"ENTITY_ID_FIELD", "impression_field", "grade_field"}
    | {"mlflow_uri", "mlflow_experiment", "run_name", "country_iso_code"}
)
# Flags of commands that are text, likewise.
_TEXT_FLAGS = frozenset(
    {"checkpoint", "estimators", "stage"}  # of lab, whose items are a number and are read as one
    | {"input", "format", "user", "item", "time", "separator", "quote"}  # of convert
    | {"folder", "address", "params_file", "title"}  # of sweep and compare
    | {"users", "history", "items", "by", "context", "index", "item_title_field"}  # of export and recommend
)

LARGEST_FILE = 256 * 1024
"""Bytes of a configuration file; the reader takes a second for them."""

# Questions that are asked by name alone: `lab --folding`, `sweep --resume`.
FLAGS = frozenset({"folding", "sample-weights", "temperature", "resume"})


# Settings that hold names: YAML would make false of NO, 8 of 010 and 1000.0 of 1e3.
AS_WRITTEN = frozenset(
    {"val_interval", "user_features", "item_features", "context_features", "user_text", "item_text", "second_histories"}
    | {"numerical_features", "benchmark_filename"}
)
# A text that may be missing: the word None, which RecBole's documentation writes for that, is no name there.
_MAY_BE_NONE = frozenset({"segment_field", "weight_field", "impression_field", "grade_field"})


class _Loader(BoundedLoader):
    """Refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:  # before what `<<` merges stands among them
            key = getattr(key_node, "value", None)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: Any) -> None:
        """See PyYAML's SafeConstructor; what is to be read as written becomes text, merged or not."""
        super().flatten_mapping(node)
        for place, (key, value) in enumerate(node.value):
            if is_as_written(key.value) or (isinstance(key.value, str) and _last_name(key.value) in TEXT_SETTINGS):
                text = copy.deepcopy(value)  # an alias may stand for something else elsewhere
                _keep_text(text)
                node.value[place] = (key, text)


def is_as_written(key: Any) -> bool:
    """Whether all values within a setting are read as written; ``settings.val_interval.country`` is one too."""
    return isinstance(key, str) and not AS_WRITTEN.isdisjoint(key.split("."))


def is_text(key: str) -> bool:
    """Whether a setting of RecBole or this package, or a flag of a command, is text whatever it looks like."""
    return key in TEXT_SETTINGS or key in _TEXT_FLAGS


def _last_name(key: str) -> str:
    """The setting that a key names: ``settings.dataset`` of a plan is ``dataset``."""
    return key.removeprefix("settings.")


def _keep_text(node: yaml.Node | None) -> None:
    """Make texts of all values in a node, as they stand there; a null in the place of the whole stays one."""
    todo, seen = [] if node is None or node.tag == "tag:yaml.org,2002:null" else [node], set()
    while todo:
        node = todo.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            node.tag = "tag:yaml.org,2002:str"
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value
        elif isinstance(node, yaml.MappingNode):
            todo += [value for _, value in node.value]


def parse_value(key: str, text: str) -> Any:
    """Read one value as YAML; text that is no YAML (``[5,inf)``) stays text."""
    name = _last_name(key)
    if text == "None" and (not is_text(name) or name in _MAY_BE_NONE or name.endswith("_num_interval")):
        return None  # what RecBole's documentation writes for "not set"
    if is_text(name):
        return text
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None or (isinstance(node, yaml.ScalarNode) and _lost_some(node, text)):
            return text
        if is_as_written(key):
            _keep_text(node)
        return loader.construct_document(node)
    except TooLarge as error:
        raise RequestError(f"--{key}: {error.problem}") from error
    except yaml.YAMLError:
        return text


def _lost_some(node: yaml.ScalarNode, text: str) -> bool:
    """Whether YAML reads less than there is: ``>3`` begins a block to it, ``a #b`` ends in a comment."""
    written_plainly = node.style is None and not text.lstrip().startswith("!!str")
    return node.style in ("|", ">") or (written_plainly and node.value != text.strip())


def listed_files(files: Any) -> list[str | Path]:
    """Paths of YAML files, of one path or several; none for None.

    Raises:
        RequestError: It is something else.
    """
    if isinstance(files, str | Path):
        return [files]
    if files is None or isinstance(files, Sequence):
        return list(files or [])
    raise RequestError(f"config_file_list={files!r}: paths of YAML files; settings themselves go into config_dict")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises:
        RequestError: The file is missing, is not YAML (with its line), is no mapping, or is far too large for one.
    """
    text = read_text(path)
    try:
        content = yaml.load(text, Loader=_Loader)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RequestError(f"{path}, line {line}: a control character, {chr(error.character)!r}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise RequestError(f"{place}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise RequestError(f"{path}: expected `key: value` lines, found {type(content).__name__}")
    if strange := [key for key in content if not re.match(r"[^\W\d]", str(key))]:
        raise RequestError(f"{path}: expected `key: value` lines, found {strange[0]!r} for a key")
    return content


def read_text(path: str | Path, kind: str = "configuration file") -> str:
    """Read a file of settings.

    Args:
        path: Path of the file.
        kind: Kind of file, for errors.

    Raises:
        RequestError: The file is missing, is not UTF-8 text (with the line), or is far too large.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise RequestError(f"cannot read the {kind} {path}: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise RequestError(f"{path} is larger than {LARGEST_FILE // 1024} KB: that is no {kind}")
    try:
        return content.decode("utf-8-sig")  # the mark at the beginning is that of some editors
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RequestError(f"cannot read the {kind} {path}: line {line} is not UTF-8 text") from error


def read_json(path: str | Path) -> Any:
    """Read a JSON file that somebody may have written by hand.

    Raises:
        RequestError: The file is missing, is not JSON (with line and column), or is nested without end.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from error
    except RecursionError as error:
        raise RequestError(f"cannot read {path}: nested too deep") from error
    except ValueError as error:
        raise RequestError(f"cannot read {path}: {error}") from error


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
        if len(path) > DEEPEST:
            raise RequestError(f"{key[:60]}...: nested deeper than {DEEPEST} levels")
        branch = nested
        for step in path:
            inner = branch.setdefault(step, {})
            if not isinstance(inner, dict):
                raise RequestError(f"{key} cannot be set: {step} is already given as {inner!r}")
            branch = inner
        _insert(branch, last, value, key)
    return nested


def _insert(branch: dict[str, Any], last: str, value: Any, key: str) -> None:
    if isinstance(value, dict) and isinstance(branch.get(last, {}), dict):
        section = branch.setdefault(last, {})
        for name, inner in value.items():
            _insert(section, name, inner, f"{key}.{name}")
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

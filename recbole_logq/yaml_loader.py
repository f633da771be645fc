"""YAML as settings need it: bounded in size, no tags, and numbers that mean what a reader takes them for."""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from recbole_logq.numerals import LONGEST, YAML_DECIMAL, YAML_WHOLE

DEEPEST = 30
"""Levels of nesting; settings have five."""
LARGEST = 100_000
"""Values in a document, those that an alias stands for counted wherever it stands."""
_TAG = "tag:yaml.org,2002:"


class BoundedLoader(yaml.SafeLoader):
    """SafeLoader for text that anybody may have written.

    * ``&a [*b, *b]``, repeated, is small to read and endless to build: counted as it would be built, and refused;
    * a tag asks for another type (``!!binary``, ``!!set``, ``!!python/name:os.abort``): refused, but for ``!!str``;
    * ``010`` and ``1:30`` stay text, which YAML 1.1 takes for 8 and 90; ``1e-3`` is a number, which it is not there;
    * no dates: ``2020-01-01`` stays text;
    * ``no`` and ``on`` in a list stay text: a list has names, and NO is one;
    * keys are text as written: a column may be called ``2020`` or ``on``.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._depth = self._size = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """See PyYAML's Composer; called for every node and every alias."""
        event = self.peek_event()
        mark = event.start_mark
        tag = getattr(event, "tag", None)
        if tag is not None and tag != f"{_TAG}str":
            raise ComposerError(None, None, f"no tags are read here, found {tag.replace(_TAG, '!!')}", mark)
        if self._depth >= DEEPEST:
            raise TooLarge(None, None, f"nested deeper than {DEEPEST} levels", mark)
        before = self._size
        self._depth += 1
        self._size += 1
        alias = isinstance(event, yaml.AliasEvent)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if alias:
            if id(node) not in self._sizes:
                raise ComposerError(None, None, f"*{event.anchor} stands within itself", mark)
            self._size += self._sizes[id(node)]
        else:
            self._sizes[id(node)] = self._size - before
        if self._size > LARGEST:
            raise TooLarge(None, None, f"more than {LARGEST:,} values", mark)
        return node

    def construct_sequence(self, node: Any, deep: bool = False) -> Any:
        """See PyYAML's SafeConstructor."""
        for value in node.value:
            if value.tag == f"{_TAG}bool" and value.value.lower() not in {"true", "false"}:
                value.tag = f"{_TAG}str"
        return super().construct_sequence(node, deep)

    def flatten_mapping(self, node: Any) -> None:
        """See PyYAML's SafeConstructor; here the keys become text, but for the one that merges."""
        super().flatten_mapping(node)
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                key.tag = f"{_TAG}str"

    def construct_yaml_int(self, node: Any) -> Any:
        """See PyYAML's SafeConstructor; Python refuses to read and to print what is much longer."""
        return super().construct_yaml_int(node) if len(node.value) <= LONGEST else node.value

    def construct_scalar(self, node: Any) -> Any:
        """See PyYAML's SafeConstructor."""
        value = super().construct_scalar(node)
        if "\0" in value:
            raise ConstructorError(None, None, "a text with a NUL character", node.start_mark)
        return value


class TooLarge(ComposerError):
    """YAML that is not to be built."""


def _without(*tags: str) -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    names = {f"{_TAG}{tag}" for tag in tags}
    return {
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in names]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


BoundedLoader.add_constructor(f"{_TAG}int", BoundedLoader.construct_yaml_int)
BoundedLoader.yaml_implicit_resolvers = _without("timestamp", "int", "float")
_NUMBERS = {"int": YAML_WHOLE, "float": YAML_DECIMAL}
for _name, _pattern in _NUMBERS.items():
    BoundedLoader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), list("-+0123456789."))

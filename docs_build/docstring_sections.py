"""Docstrings as the API reference wants them: examples as code, labels that stand out, references without marks."""

from __future__ import annotations

import re
from typing import Any

import griffe


class DocstringSections(griffe.Extension):
    """Rewrites what Google's style of docstrings and Markdown read in another way than `help` does."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for everything that has been read."""
        if obj.docstring is None:
            return
        text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
        text = re.sub(r"^(When to use|Goes with):", r"**\1:**", text, flags=re.MULTILINE)
        text = re.sub(r":(?:class|func|meth|data|mod|attr):`~?([^`]+)`", r"`\1`", text)
        obj.docstring.value = re.sub(r"``([^`]+)``", r"`\1`", text)

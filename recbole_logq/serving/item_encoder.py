"""Vectors of items that a folder does not have, from their texts: modules of this package, with weights that fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.modules.fields import Fields
from recbole_logq.modules.text import TextHasher
from recbole_logq.modules.text_items import TextItems
from recbole_logq.modules.tower import layers_on_top
from recbole_logq.serving.description import ItemTextDescription
from recbole_logq.serving.encoder import WithoutValues, plainly, problem_of, token_field
from recbole_logq.serving.tensors import read_tensors, write_tensors


def write_text_items(items: TextItems, file: Path) -> None:
    """Write the weights of what makes vectors of items of which texts alone are known."""
    write_tensors(file, plainly(items).state_dict())


class ItemEncoder:
    """Vectors of items of which texts alone are known.

    Args:
        description: What it is made of.
        file: What :func:`write_text_items` wrote.

    Raises:
        RequestError: The file does not hold exactly the weights that the description asks for.
    """

    def __init__(self, description: ItemTextDescription, file: Path) -> None:
        size = description.size
        with torch.device("meta"), WithoutValues():
            texts = Fields(token_field(text.buckets + 1, size) for text in description.texts)
            layers = layers_on_top(size, description.mlp_sizes, 0.0)
            items = TextItems(texts, torch.empty(size), layers, description.cosine)
        items.load_state_dict(read_tensors(file, items.state_dict()), assign=True)
        if problem := problem_of(items):
            raise RequestError(f"{file}: {problem}; export again")
        self.columns = description.texts
        self._hashers = [TextHasher(text.buckets, text.parts) for text in description.texts]
        self._items = items.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, texts: Sequence[Sequence[str]]) -> Tensor:
        """Vectors ``[rows, d]`` of columns of texts."""
        return self._items([hasher(column) for hasher, column in zip(self._hashers, texts, strict=True)])

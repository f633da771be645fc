"""RecBole's ``other_parameter`` - what a model keeps outside its state dict - as tensors and plain values.

EASE keeps numpy and scipy matrices, ItemKNN sparse ones, SASRecF a whole module; pickled, they would make a checkpoint
that cannot be loaded safely.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import torch

from recbole_logq.errors import WorkError

_KIND = "__kind__"


def encode(parameters: dict[str, Any]) -> dict[str, Any]:
    """Values that a safe checkpoint may hold; modules are left out, their weights are in the state dict.

    Raises:
        WorkError: A value of a kind that cannot be stored safely.
    """
    return {key: _encode(key, value) for key, value in parameters.items() if not isinstance(value, torch.nn.Module)}


def decode(parameters: dict[str, Any]) -> dict[str, Any]:
    """The inverse of :func:`encode`."""
    return {key: _decode(value) for key, value in parameters.items()}


def _encode(key: str, value: Any) -> Any:
    if scipy.sparse.issparse(value):
        table = value.tocsr()
        parts = {name: torch.from_numpy(getattr(table, name)) for name in ("data", "indices", "indptr")}
        return {_KIND: "sparse", "format": value.format, "shape": list(value.shape), **parts}
    if isinstance(value, np.ndarray):
        return {_KIND: "array", "values": torch.from_numpy(np.ascontiguousarray(value))}
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, torch.Tensor | bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return {_KIND: type(value).__name__, "items": [_encode(key, item) for item in value]}
    if isinstance(value, dict):
        return {_KIND: "dict", "items": [[_encode(key, name), _encode(key, item)] for name, item in value.items()]}
    raise WorkError(f"cannot store {key} ({type(value).__name__}) in a safe checkpoint")


def _decode(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value[_KIND] == "array":
        return value["values"].cpu().numpy()
    if value[_KIND] in {"list", "tuple"}:
        items = [_decode(item) for item in value["items"]]
        return items if value[_KIND] == "list" else tuple(items)
    if value[_KIND] == "dict":
        return {_decode(name): _decode(item) for name, item in value["items"]}
    parts = tuple(value[name].cpu().numpy() for name in ("data", "indices", "indptr"))
    return scipy.sparse.csr_matrix(parts, shape=tuple(value["shape"])).asformat(value["format"])

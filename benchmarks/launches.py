"""How many kernels a step launches, counted without a GPU: operators that write on the device."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

NOTHING = frozenset(
    {"view", "_unsafe_view", "unflatten", "flatten", "t", "transpose", "permute", "expand", "select", "slice", "split"}
    | {"split_with_sizes", "unbind", "unsqueeze", "squeeze", "alias", "detach", "as_strided", "unfold", "chunk"}
    | {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "reshape", "_reshape_alias", "view_as"}
    | {"lift_fresh", "_indices", "_values", "_nnz", "sparse_dim", "dense_dim", "is_coalesced", "_coalesced_"}
    | {"_sparse_coo_tensor_unsafe", "_sparse_coo_tensor_with_dims_and_tensors", "resize_", "mT", "real"}
)
"""Operators that only say how memory is looked at, or take some without writing to it."""


class LaunchCounter(TorchDispatchMode):
    """Counts operators; a composite kernel that launches several counts once.

    Attributes:
        counts: Number of calls by operator.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """All of them."""
        return self.counts.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        written = any(getattr(leaf, "device", None) is not None for leaf in tree_leaves(result))
        if name not in NOTHING and (written or name.startswith("_fused_adam")):
            self.counts[name] += 1
        return result

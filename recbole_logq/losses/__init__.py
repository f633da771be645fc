"""Losses of retrieval training: plain tensor functions, one per file, usable from any PyTorch project.

A new loss is a new file in this folder; the decorator in it is enough::

    loss = get_loss("corrected_logq")
    per_row = loss(positive, negatives, positive_log_q=..., negative_log_q=...)
"""

from typing import Any

from recbole_logq.losses.base import Loss
from recbole_logq.losses.pairing import check_pairing
from recbole_logq.losses.reduction import mean_over_rows
from recbole_logq.registry import import_submodules, losses

__all__ = ["Loss", "check_pairing", "get_loss", "mean_over_rows"]


def get_loss(name: str, **options: Any) -> Loss:
    """A loss by its name.

    Args:
        name: One of `recbole_logq.registry.losses.names()`.
        **options: Passed to the loss's constructor; the softmax family takes none.

    Raises:
        ValueError: Unknown name; the message suggests the nearest one.
    """
    return losses.get(name)(**options)


import_submodules(__name__)

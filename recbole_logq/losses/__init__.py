"""Losses of retrieval training: plain tensor functions, one per file, usable from any PyTorch project.

A new loss is a new file in this folder; the decorator in it is enough::

    loss = get_loss("corrected_logq")
    per_row = loss(positive, negatives, positive_log_q=..., negative_log_q=...)

``get_loss`` gives one by the name of the setting ``loss``; the classes below say in their docstrings when to use each
and what it goes with. ``Loss`` and ``SampledSoftmaxLoss`` are the bases of one's own, ``mean_over_rows`` reduces what a
loss returns, and ``check_pairing`` refuses a loss on a pool whose accidental hits are treated in another way than it
needs.
"""

from typing import Any

from recbole_logq.faces import face
from recbole_logq.loss_and_source import check_pairing
from recbole_logq.losses.loss import Loss
from recbole_logq.losses.reduction import mean_over_rows
from recbole_logq.losses.softmax import SampledSoftmaxLoss
from recbole_logq.registry import import_submodules, losses

__all__ = ["Loss", "SampledSoftmaxLoss", "check_pairing", "get_loss", "mean_over_rows"]


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
_CLASSES = [losses.get(name) for name in losses.names() if losses.packaged(name)]
_NAMES = {entry.__name__: entry.__module__.removeprefix(f"{__name__}.") for entry in _CLASSES}
__all__ += sorted(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)

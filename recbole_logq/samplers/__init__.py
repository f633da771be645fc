"""Sources of negatives: each builds a pool of item ids together with the log-probability that belongs to it.

A new sampler is a new file in this folder; the decorator in it is enough::

    sampler = get_sampler("in_batch")(counts, count=256, seed=2024)
    pool = sampler.sample(positives)

``get_sampler`` gives the class of a source by the name of the setting ``negatives.source``; the classes below say in
their docstrings when to use each and what it goes with. ``Sampler`` is the base of one's own and ``Pool`` what it
returns, with another ``Beside`` it where a step has two; ``valid_columns`` makes the mask of a pool, with ``Exclusion``
and ``UserItems`` for what else is never a negative. ``GradedLists`` is what impressions held.
"""

from recbole_logq.faces import face
from recbole_logq.registry import import_submodules, samplers
from recbole_logq.samplers.exclusion import MASKS, Exclusion, exclusion_of, shared_items, target_items, window_items
from recbole_logq.samplers.graded_lists import GradedLists
from recbole_logq.samplers.mask import any_column, group_of_columns, mask_function, valid_columns
from recbole_logq.samplers.pool import Beside, Pool
from recbole_logq.samplers.sampler import Sampler
from recbole_logq.samplers.user_items import UserItems

__all__ = [
    "MASKS",
    "Beside",
    "Exclusion",
    "GradedLists",
    "Pool",
    "Sampler",
    "UserItems",
    "any_column",
    "exclusion_of",
    "get_sampler",
    "group_of_columns",
    "mask_function",
    "shared_items",
    "target_items",
    "valid_columns",
    "window_items",
]


def get_sampler(name: str) -> type[Sampler]:
    """The sampler class of that name.

    Args:
        name: One of `recbole_logq.registry.samplers.names()`.

    Raises:
        ValueError: Unknown name; the message suggests the nearest one.
    """
    return samplers.get(name)


import_submodules(__name__)
_CLASSES = [samplers.get(name) for name in samplers.names() if samplers.packaged(name)]
_NAMES = {entry.__name__: entry.__module__.removeprefix(f"{__name__}.") for entry in _CLASSES}
__all__ += sorted(_NAMES)
__getattr__, __dir__ = face(__name__, _NAMES)

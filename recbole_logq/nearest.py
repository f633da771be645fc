"""What a wrong name may have been meant for."""

from __future__ import annotations

import difflib
from bisect import bisect
from collections.abc import Collection

FEW = 300
"""Names that are compared with a wrong one letter by letter; of more, those that begin or end like it."""
NEIGHBOURS = 50
"""Number of those before it in alphabetical order, and as many after it."""
MANY = 50_000
"""Number of names above which none is suggested: sorting them would be felt."""
LONGEST = 100
"""Letters of a name that is looked up; beyond it is no slip of the pen."""


def nearest(key: str, known: Collection[str]) -> str:
    """`` - did you mean X?`` for the closest known key, or an empty string; takes milliseconds, whatever is known."""
    close = close_names(key, known)
    return f" - did you mean {close[0]}?" if close else ""


def close_names(key: str, known: Collection[str], n: int = 1, cutoff: float = 0.6) -> list[str]:
    """Names that a wrong one may have been meant for.

    Args:
        key: The wrong name.
        known: The existing names, of a catalogue of items as well as of a few settings.
        n: Number of names at most, the closest first.
        cutoff: Smallest similarity of names, up to 1.
    """
    if len(known) > MANY or len(key) > LONGEST:
        return []
    # Names that are so much longer have too little in common.
    names = [name for name in known if len(name) <= 2 * len(key) / cutoff]
    if len(names) > FEW:
        names = [*_around(key, names), *(name[::-1] for name in _around(key[::-1], [name[::-1] for name in names]))]
    same = sorted({name for name in names if name.casefold() == key.casefold()})
    others = difflib.get_close_matches(key, sorted(set(names) - set(same)), n=n, cutoff=cutoff)
    return [*same, *others][:n]


def _around(key: str, names: list[str]) -> list[str]:
    names = sorted(names)
    place = bisect(names, key)
    return names[max(place - NEIGHBOURS, 0) : place + NEIGHBOURS]

"""Encoders behind RecBole's model interface.

* ``HistoryEncoder`` is the base of an encoder of one's own, ``RetrievalMixin`` of one whose rows are something else.
* ``RetrievalSettings`` is the base of its settings; ``Count``, ``Positive``, ``Share`` and their like are types of
  them.
* ``TwoTower`` and ``SASRec`` are those of this package.
"""

from __future__ import annotations

from typing import Any

from recbole_logq.faces import shown

_SETTINGS = (
    "Count",
    "CountOrZero",
    "Positive",
    "PositiveOrZero",
    "RetrievalSettings",
    "SASRecSettings",
    "Share",
    "TwoTowerSettings",
)
_NAMES = {
    "HistoryEncoder": "history_encoder",
    "RetrievalMixin": "retrieval",
    "TwoTower": "two_tower",
    "SASRec": "sasrec",
}
__all__ = [*sorted(_NAMES), *_SETTINGS]


def __getattr__(name: str) -> Any:
    if name in _SETTINGS:
        return shown("recbole_logq", dict.fromkeys(_SETTINGS, "settings"), name)
    return shown(__name__, _NAMES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

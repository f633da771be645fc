"""Encoders behind RecBole's model interface.

* ``HistoryEncoder`` is the base of an encoder of one's own, ``RetrievalMixin`` of one whose rows are something else.
* ``RetrievalSettings`` is the base of its settings; ``Count``, ``Positive``, ``Share`` and their like are types of
  them.
* ``TwoTower`` and ``SASRec`` are those of this package.
"""

from __future__ import annotations

from recbole_logq.faces import face

_NAMES = {
    "HistoryEncoder": "history_encoder",
    "RetrievalMixin": "retrieval",
    "TwoTower": "two_tower",
    "SASRec": "sasrec",
    "Count": ".settings",
    "CountOrZero": ".settings",
    "Positive": ".settings",
    "PositiveOrZero": ".settings",
    "RetrievalSettings": ".settings",
    "SASRecSettings": ".settings",
    "Share": ".settings",
    "TwoTowerSettings": ".settings",
}
__all__ = [*sorted(_NAMES)]
__getattr__, __dir__ = face(__name__, _NAMES)

"""Building blocks of the encoders; torch alone.

* ``SequenceEncoder`` and ``Packing``: a causal transformer over ragged sequences; ``CausalBlock``, ``LiGRBlock``,
  ``LearnedPositions``, ``RotaryPositions`` and ``NoPositions`` are its parts.
* ``Tower`` and ``HistoryTower``: ids, or the items that a user had, as vectors; ``Fields`` and ``EntityFields``:
  columns of features, ``Column`` each.
* ``Scorer``: products or cosines under a temperature.
"""

from __future__ import annotations

from recbole_logq.faces import face

_NAMES = {
    "SequenceEncoder": "transformer",
    "Packing": "packing",
    "CausalBlock": "block",
    "LiGRBlock": "block",
    "LearnedPositions": "positions",
    "NoPositions": "positions",
    "RotaryPositions": "positions",
    "Tower": "tower",
    "HistoryTower": "towers",
    "Column": "fields",
    "EntityFields": "fields",
    "Fields": "fields",
    "FeatureEmbedding": "feature_embedding",
    "Scorer": "scorer",
}
__all__ = [*sorted(_NAMES)]
__getattr__, __dir__ = face(__name__, _NAMES)

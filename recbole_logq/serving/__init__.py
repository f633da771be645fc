"""Recommendations from a checkpoint: export, index of item vectors, retrieval. A folder loads without RecBole.

``recbole_logq.export`` writes a folder; ``Retriever.load(folder)`` opens it, and its ``recommend`` gives
``Recommendations``.
"""

from recbole_logq.serving.recommendations import Recommendations
from recbole_logq.serving.retriever import Retriever

__all__ = ["Recommendations", "Retriever"]

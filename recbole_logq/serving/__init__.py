"""From a checkpoint to recommendations: export, index of item vectors, retrieval. A folder loads without RecBole."""

from recbole_logq.serving.recommendations import Recommendations
from recbole_logq.serving.retriever import Retriever

__all__ = ["Recommendations", "Retriever"]

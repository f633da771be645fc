"""From a checkpoint to recommendations: export, index of item vectors, retrieval. A folder loads without RecBole."""

from recbole_logq.serving.retriever import Recommendations, Retriever

__all__ = ["Recommendations", "Retriever"]

"""Rankings, what models are measured by beside RecBole's metrics, and what differences mean; torch and numpy alone.

* ``Catalogue`` finds the best items of many rows in small memory, ``top_k_of_scores`` those of scores.
* ``per_user``, ``gini``, ``self_information``, ``popularity_deciles`` measure rankings.
* ``compare_with``, ``paired_over_users``, ``paired_over_seeds``, ``holm``, ``interval``: tests and intervals of
  differences.
* ``diagnose``, ``alignment``, ``uniformity``, ``effective_rank`` and the like look at representations.
"""

from __future__ import annotations

from recbole_logq.faces import face

_NAMES = {
    "Catalogue": "top_k",
    "TopK": "top_k",
    "top_k_of_scores": "top_k",
    "per_user": "measures",
    "gini": "measures",
    "self_information": "measures",
    "popularity_deciles": "measures",
    "Comparison": "statistics",
    "Interval": "statistics",
    "Paired": "statistics",
    "compare_with": "statistics",
    "holm": "statistics",
    "interval": "statistics",
    "paired_over_seeds": "statistics",
    "paired_over_users": "statistics",
    "alignment": "diagnostics",
    "diagnose": "diagnostics",
    "effective_rank": "diagnostics",
    "hardest_share": "diagnostics",
    "norm_popularity_correlation": "diagnostics",
    "softmax_entropy": "diagnostics",
    "uniformity": "diagnostics",
}
__all__ = [*sorted(_NAMES)]
__getattr__, __dir__ = face(__name__, _NAMES)

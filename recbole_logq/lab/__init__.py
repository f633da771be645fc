"""The laboratory: what an estimator does to the gradient, before a GPU spends hours on it.

* ``gradients`` measures bias, spread and head mass of estimators, on a synthetic ``World`` or on a checkpoint;
  ``Estimator.parse("CorrectedLogQ")`` is one of them, ``Measured`` what it turned out to do.
* ``sample_weights`` lists the positives of which a model is most and least certain.
* ``temperatures`` shows a model's softmax against the temperature.
* ``fold`` trains the two-language toy, ``fold_impressions`` the same on impressions.
"""

from __future__ import annotations

from recbole_logq.faces import face

_NAMES = {
    "gradients": "command",
    "sample_weights": "command",
    "temperatures": "checkpoint_temperature",
    "Estimator": "estimator",
    "Measured": "measure",
    "World": "problem",
    "Subject": "subject",
    "Folding": "folding",
    "fold": "folding",
    "fold_impressions": "folding",
}
__all__ = [*sorted(_NAMES)]
__getattr__, __dir__ = face(__name__, _NAMES)

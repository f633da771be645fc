"""The laboratory: what an estimator does to the gradient, before a GPU spends hours on it.

* ``gradients`` measures bias, spread and head mass of estimators, on a synthetic ``World`` or on a checkpoint;
  ``Estimator.parse("CorrectedLogQ")`` is one of them, ``Measured`` what it turned out to do.
* ``sample_weights`` lists the positives of which a model is most and least certain.
* ``fold`` trains the two-language toy.
"""

from __future__ import annotations

from typing import Any

from recbole_logq.faces import shown

_NAMES = {
    "gradients": "command",
    "sample_weights": "command",
    "Estimator": "estimator",
    "Measured": "measure",
    "World": "problem",
    "Subject": "subject",
    "Folding": "folding",
    "fold": "folding",
}
__all__ = [*sorted(_NAMES)]


def __getattr__(name: str) -> Any:
    return shown(__name__, _NAMES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

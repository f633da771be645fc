"""Sampled softmax with the right probabilities for RecBole.

What the commands do, from Python (each returns what the command reports):

* ``run(model, dataset, config_dict=...)`` trains and tests, as RecBole's ``run_recbole`` does; ``load(checkpoint)``
  gives the model, its dataset and its loaders, ``evaluate(checkpoint)`` tests it again. ``Config`` is what they read.
* ``compare`` runs several models under one protocol, ``sweep`` searches settings, ``audit`` says what a test set is.
* ``convert`` makes a dataset of a file, ``export`` a folder that serves of a checkpoint, and ``Retriever`` recommends
  from it.

``RequestError`` says that a request was wrong, ``WorkError`` that the work failed. More stands in

* ``recbole_logq.losses``, ``samplers``, ``probability``, ``modules``, ``evaluation``: torch alone, for any project;
* ``recbole_logq.data``, ``models``, ``lab``: datasets, encoders and the laboratory, beside RecBole;
* ``recbole_logq.serving``: an exported folder, without RecBole;
* ``recbole_logq.registry``: where losses, samplers, encoders, recipes, models and metrics of one's own get their names.
"""

from __future__ import annotations

from recbole_logq.faces import face
from recbole_logq.version import __version__

_NAMES = {
    "run": "experiment.run",
    "evaluate": "experiment.evaluate",
    "load": "experiment.load",
    "Loaded": "experiment.load",
    "compare": "comparisons.comparison",
    "sweep": "sweeps.sweep",
    "audit": "audits.time_order_audit",
    "convert": "data.source.convert",
    "export": "serving.export",
    "Retriever": "serving.retriever",
    "RequestError": "errors",
    "WorkError": "errors",
    "Config": "config",
}
__all__ = ["__version__", *sorted(_NAMES)]
__getattr__, __dir__ = face(__name__, _NAMES)

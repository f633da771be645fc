"""Sampled softmax with the right probabilities for RecBole."""

from __future__ import annotations

from typing import Any

from recbole_logq.version import __version__

__all__ = ["Retriever", "__version__", "compare", "evaluate", "export", "load", "run", "sweep"]


def __getattr__(name: str) -> Any:
    # RecBole and pandas take seconds to import; the losses and samplers need neither.
    if name == "run":
        from recbole_logq.experiment.run import run

        return run
    if name == "evaluate":
        from recbole_logq.experiment.evaluate import evaluate

        return evaluate
    if name == "load":
        from recbole_logq.experiment.load import load

        return load
    if name == "compare":
        from recbole_logq.comparisons.comparison import compare

        return compare
    if name == "sweep":
        from recbole_logq.sweeps.sweep import sweep

        return sweep
    if name == "export":
        from recbole_logq.serving.export import export

        return export
    if name == "Retriever":
        from recbole_logq.serving.retriever import Retriever

        return Retriever
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

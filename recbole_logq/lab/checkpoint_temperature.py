"""`recbole-logq lab --temperature`: a checkpoint's softmax at several temperatures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch

from recbole_logq.errors import RequestError
from recbole_logq.evaluation.diagnostics import MAX_ITEMS, alignment, uniformity
from recbole_logq.flags import take_flags
from recbole_logq.lab.checkpoint_subject import training_rows
from recbole_logq.lab.command import of_restoring
from recbole_logq.lab.options import TemperatureOptions
from recbole_logq.lab.temperature import Softmax, advice

FACTORS = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
"""Temperatures that are tried, as factors of the model's own."""


def temperatures(**options: Any) -> dict[str, Any]:
    """Entropy, alignment and uniformity of a trained model's softmax against the temperature.

    Args:
        **options: ``checkpoint``, ``temperatures`` (those to try; seven around the model's own by default), ``rows``
            (training rows to look at), ``seed``, ``data_path``, ``plugins``.

    Returns:
        ``subject``, ``facts``, ``rows``, ``items``, ``similarity``, ``temperature`` (the model's own), ``alignment``,
        ``uniformity_queries`` and ``uniformity_items`` of unit vectors, which do not depend on it, ``at`` (an
        :class:`~recbole_logq.lab.temperature.AtTemperature` for each temperature), ``own`` and ``fit`` (the same at the
        model's own and at that of least loss, None where there is none), and ``advice``.

    Raises:
        RequestError: No checkpoint, or an option is unknown or out of range.
    """
    chosen = take_flags(dict(options), TemperatureOptions)
    if not chosen.checkpoint:
        raise RequestError("--temperature needs a model: set --checkpoint=FILE")
    from recbole_logq.experiment.restore import restore_own

    restored = restore_own(chosen.checkpoint, **of_restoring(chosen))
    network = restored.network.eval()
    scorer, own = network.scorer, network.scorer.temperature
    queries, ids = [], []
    for rows in training_rows(restored, chosen.rows, chosen.seed):
        real = slice(None) if rows.real is None else rows.real
        with torch.no_grad():
            queries.append(scorer.query(rows.query[real]).double() * own)
        ids.append(rows.positives[real])
    query, positives = torch.cat(queries)[: chosen.rows], torch.cat(ids)[: chosen.rows]
    with torch.no_grad():
        items = network.item_vectors(None)[1:].double()
    softmax = Softmax(query, items, positives, scorer.cosine)
    now, fit = softmax.at(own), softmax.fit(own)
    fitted = None if fit is None else softmax.at(fit)
    candidates = sorted(chosen.temperatures or [own * factor for factor in FACTORS])
    sample = torch.linspace(0, len(items) - 1, min(len(items), MAX_ITEMS)).long()
    return {
        "subject": f"{restored.config['model']} on {restored.config['dataset']}",
        "facts": {"training split": restored.fingerprint["train"], "seed": str(restored.config["seed"])},
        "rows": len(query),
        "items": len(items),
        "similarity": "cosine" if scorer.cosine else "dot",
        "temperature": own,
        "alignment": float(alignment(query, items[positives - 1])),
        "uniformity_queries": float(uniformity(query[:MAX_ITEMS])),
        "uniformity_items": float(uniformity(items[sample.to(items.device)])),
        "at": [asdict(softmax.at(temperature)) for temperature in candidates],
        "own": asdict(now),
        "fit": None if fitted is None else asdict(fitted),
        "advice": advice(now, fitted),
    }

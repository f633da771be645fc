"""The softmax of a trained model against the temperature: entropy, parts of the loss, and which T fits; torch only.

Scores are ``s / T`` with s before any temperature, over the whole catalogue. A model's vectors do not depend on the T
that is tried, so what changes with it is the softmax that is made of them, and not the order of the items.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy import optimize
from torch import Tensor

BLOCK = 2**22
"""Scores that are looked at together."""
WIDEST = 64.0
"""How far from the model's own a temperature is looked for, as a factor."""
FITS = 0.1
"""Relative difference of two temperatures below which they count as equal."""
LEVEL = 1e-3
"""Difference of two losses, in nats, below which they count as equal."""


@dataclass(frozen=True)
class AtTemperature:
    """The softmax at one temperature, on average over rows; logarithms are natural.

    Args:
        temperature: T.
        entropy: H of the softmax of s / T, in nats.
        slope: dH/dT, which is ``Var(s) / T^3`` with the variance of s under the softmax, and so never below 0.
        effective: exp(H), mean over rows: items that the softmax is spread over.
        p_positive: Probability of the positive.
        loss: ``-log`` of it.
        alignment: ``|x - y+|^2 / 2T`` of unit vectors of query and positive; None where scores are no cosines.
        uniformity: log of the mean over the catalogue of ``exp(-|x - y|^2 / 2T)``; None likewise. The two and the log
            of the number of items add up to the loss, as in theorem 1 of Wang & Isola (ICML 2020).
    """

    temperature: float
    entropy: float
    slope: float
    effective: float
    p_positive: float
    loss: float
    alignment: float | None
    uniformity: float | None


class Softmax:
    """Rows of a model with the catalogue.

    Args:
        query: ``[rows, d]``, float64, prepared by the scorer but for the temperature.
        items: ``[items, d]``, prepared by the scorer; column j is item j + 1.
        positives: int64 ``[rows]``, ids.
        cosine: Whether scores are cosines.
    """

    def __init__(self, query: Tensor, items: Tensor, positives: Tensor, cosine: bool) -> None:
        self.query, self.items, self.positives, self.cosine = query, items, positives, cosine

    def at(self, temperature: float) -> AtTemperature:
        """What the softmax is like at a temperature."""
        t, n_items = temperature, len(self.items)

        def measured(scores: Tensor, positive: Tensor) -> Tensor:
            log_p = (scores / t).log_softmax(1)  # [rows, items]
            p, log_positive = log_p.exp(), log_p.gather(1, positive)[:, 0]
            entropy = -(p * log_p).sum(1)
            deviation = scores - (p * scores).sum(1, keepdim=True)
            slope = (p * deviation**2).sum(1) / t**3
            of_positive = scores.gather(1, positive)[:, 0]
            alignment = (1 - of_positive) / t
            uniformity = (scores / t).logsumexp(1) - 1 / t - math.log(n_items)
            columns = (entropy, slope, entropy.exp(), log_positive.exp(), -log_positive, alignment, uniformity)
            return torch.stack(columns, dim=1)

        *statistics, alignment, uniformity = self._mean(measured).tolist()
        return AtTemperature(t, *statistics, *((alignment, uniformity) if self.cosine else (None, None)))

    def fit(self, own: float) -> float | None:
        """The temperature of least loss, within a factor of :data:`WIDEST` of the model's own; None if it is not there.

        The loss is convex in 1 / T, and least where the positives' mean score is the mean under the softmax.

        Args:
            own: The model's temperature.
        """

        def slope(log_t: float) -> float:  # of the loss in 1 / T
            def measured(scores: Tensor, positive: Tensor) -> Tensor:
                p = (scores / math.exp(log_t)).softmax(1)
                return (p * scores).sum(1, keepdim=True) - scores.gather(1, positive)

            return float(self._mean(measured))

        low, high = (math.log(own) + sign * math.log(WIDEST) for sign in (-1, 1))
        if slope(low) <= 0 or slope(high) >= 0:
            return None
        return math.exp(optimize.brentq(slope, low, high, xtol=1e-4))

    def _mean(self, measured: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The mean over rows of what is measured of each, ``[values]``."""
        size = max(BLOCK // len(self.items), 1)
        total = torch.zeros(())
        for query, positives in zip(self.query.split(size), self.positives.split(size), strict=True):
            total = total + measured(query @ self.items.T, positives.unsqueeze(1) - 1).sum(0)
        return total / len(self.query)


def advice(own: AtTemperature, fit: AtTemperature | None) -> str:
    """What to do about the temperature, with the reason, in a line.

    Args:
        own: The softmax at the model's temperature.
        fit: The softmax at that of least loss; None where there is none.
    """
    t = f"T = {own.temperature:.3g}"
    if fit is None:
        return (
            f"{t}: no temperature within a factor of {WIDEST:.0f} is best for the loss of these training rows, so they "
            "say nothing about it; choose it by validation."
        )
    losses = f"their loss is {fit.loss:.3f} there and {own.loss:.3f} here"
    if abs(math.log(fit.temperature / own.temperature)) <= FITS:
        return (
            f"{t} fits: the loss of these training rows is least at {fit.temperature:.3g}, where the positives' mean "
            f"score is that of the softmax ({losses}); leave it."
        )
    if own.loss - fit.loss < LEVEL:
        return (
            f"{t} does as well as the best for the loss of these training rows, which hardly changes with it: the "
            f"least, at {fit.temperature:.3g}, is {own.loss - fit.loss:.1g} lower; leave it, or choose by validation."
        )
    flat = fit.temperature < own.temperature
    return (
        f"{t} is {'flatter' if flat else 'sharper'} than these training rows bear out: at {fit.temperature:.3g} the "
        f"positives' mean score is that of the softmax, and {losses}; try a {'lower' if flat else 'higher'} one or "
        "temperature_mode=learned, which goes that way, and let validation judge: other vectors come of another T."
    )

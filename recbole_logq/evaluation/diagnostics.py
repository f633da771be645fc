"""Numbers that say how a representation and its softmax look; torch only.

Alignment and uniformity: Wang & Isola, "Understanding Contrastive Representation Learning through Alignment and
Uniformity on the Hypersphere", ICML 2020. Effective rank: Roy & Vetterli, EUSIPCO 2007.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

MAX_SCORES = 2**22
"""Scores that the diagnostics of an epoch look at, at most: rows x catalogue."""
MAX_ROWS = 256
MAX_ITEMS = 1024
MAX_CATALOGUE = 200_000
"""Above it an epoch is not diagnosed: the item table alone takes longer to walk over than it tells."""


def alignment(query: Tensor, positive: Tensor) -> Tensor:
    """Mean squared distance of unit vectors of queries and positives, both `[rows, d]`; 0 is perfect, 4 the most."""
    return (functional.normalize(query, dim=1) - functional.normalize(positive, dim=1)).square().sum(dim=1).mean()


def uniformity(vectors: Tensor) -> Tensor:
    """log of the mean `exp(-2 |x - y|^2)` over pairs of different rows of `[n, d]`, on unit vectors.

    0 if all point the same way; towards -4 where they are spread over the sphere in many dimensions.
    """
    unit = functional.normalize(vectors.double(), dim=1)
    n = len(unit)
    if n < 2:
        return unit.new_zeros(())
    exponent = 4 * (unit @ unit.T) - 4  # |x - y|^2 = 2 - 2 x.y
    exponent.fill_diagonal_(-torch.inf)
    return torch.logsumexp(exponent.flatten(), 0) - math.log(n * (n - 1))


def norm_popularity_correlation(vectors: Tensor, counts: Tensor) -> Tensor:
    """Pearson's correlation of norms of vectors `[n, d]` with log(1 + training targets) `[n]`; 0 if either is flat."""
    norm, popularity = vectors.norm(dim=1).double(), counts.double().log1p()
    norm, popularity = norm - norm.mean(), popularity - popularity.mean()
    scale = norm.norm() * popularity.norm()
    return torch.where(scale > 0, (norm * popularity).sum() / scale.clamp_min(1e-300), torch.zeros_like(scale))


def hardest_share(scores: Tensor, positive: Tensor, share: float = 0.01) -> Tensor:
    """Part of the negatives' gradient under the full softmax that the hardest of them carry, mean over rows.

    Args:
        scores: `[rows, catalogue]`.
        positive: int64 `[rows]`, the positive's column.
        share: Share of the catalogue that counts as hardest.
    """
    negatives = scores.scatter(1, positive.unsqueeze(1), -torch.inf).softmax(dim=1)
    hardest = max(math.ceil(share * scores.shape[1]), 1)
    return negatives.topk(hardest, dim=1).values.sum(dim=1).mean()


def softmax_entropy(scores: Tensor) -> Tensor:
    """Mean entropy in nats of the softmax over `[rows, catalogue]`; log(catalogue) if it knows nothing."""
    log_p = scores.log_softmax(dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).mean()


def effective_rank(matrix: Tensor) -> Tensor:
    """exp of the entropy of the normalised singular values of `[n, d]`; d if all directions are used alike."""
    # Through the d x d Gram matrix: a catalogue of millions has no other cheap way.
    gram = torch.zeros(matrix.shape[1], matrix.shape[1], dtype=torch.float64, device=matrix.device)
    for block in matrix.split(2**16):
        gram += block.double().mT @ block.double()
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    share = singular / singular.sum().clamp_min(1e-300)
    return torch.exp(-(share * share.clamp_min(1e-300).log()).sum())


def diagnose(query: Tensor, positives: Tensor, items: Tensor, counts: Tensor) -> dict[str, float | None]:
    """All of the above.

    Args:
        query: `[rows, d]`, prepared by the scorer; a few hundred rows say enough, more are left out.
        positives: int64 `[rows]`, ids.
        items: `[n_items, d]`, prepared by the scorer, with the padding row.
        counts: int64 `[n_items]`, training targets.

    Returns:
        ``alignment``, ``uniformity_queries``, ``uniformity_items``, ``norm_popularity``, ``hardest_1pct``, ``entropy``,
        ``effective_rank``; None for what is no finite number.
    """
    catalogue, counts = items[1:].float(), counts[1:]
    rows = min(len(query), MAX_ROWS, max(MAX_SCORES // len(catalogue), 1))
    query, positives = query[:rows].float(), positives[:rows] - 1
    scores = query @ catalogue.T
    sample = torch.linspace(0, len(catalogue) - 1, min(len(catalogue), MAX_ITEMS), device=items.device).long()
    measured = {
        "alignment": alignment(query, catalogue[positives]),
        "uniformity_queries": uniformity(query),
        "uniformity_items": uniformity(catalogue[sample]),
        "norm_popularity": norm_popularity_correlation(catalogue, counts.to(items.device)),
        "hardest_1pct": hardest_share(scores, positives),
        "entropy": softmax_entropy(scores),
        "effective_rank": effective_rank(catalogue),
    }
    return {
        name: round(value, 4) if math.isfinite(value := float(tensor)) else None for name, tensor in measured.items()
    }

"""Means of embeddings over rows of ids of different lengths; torch only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def mean_of_bags(ids: Tensor, table: nn.Embedding) -> Tensor:
    """Mean of the embeddings of ids ``[rows, length]``, zeros left out, on whichever side; 0 where there are none."""
    return (mean_of_real if ids.device.type == "cpu" else mean_by_weight)(ids, table)


def mean_of_real(ids: Tensor, table: nn.Embedding) -> Tensor:
    """The same, summed as it is read: nothing of [rows, length, d] exists, in the backward pass neither.

    Padding is taken out beforehand, because bags of a padding_idx take torch's slow kernel and give it a gradient
    entry.
    """
    real = ids > 0
    size = real.sum(dim=1)
    return F.embedding_bag(ids[real], table.weight, size.cumsum(0) - size, mode="mean", sparse=table.sparse)


def mean_by_weight(ids: Tensor, table: nn.Embedding) -> Tensor:
    """The same with padding as ids of weight 0: more to read, and nobody asks an accelerator how many are real."""
    weight = mean_weights(ids, table.weight.dtype)
    return F.embedding_bag(ids, table.weight, mode="sum", sparse=table.sparse, per_sample_weights=weight)


def mean_weights(ids: Tensor, dtype: torch.dtype) -> Tensor:
    """Weights of ids ``[rows, length]`` whose sum is the mean of a row's: equal, and 0 for zeros."""
    weight = (ids > 0).to(dtype)
    return weight / weight.sum(dim=1, keepdim=True).clamp_min(1.0)

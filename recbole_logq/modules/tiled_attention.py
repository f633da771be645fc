"""Attention with a bias on the CPU, forward and backward in tiles that stay in the cache.

torch's fused attention gives no gradient of its mask there, and its other one goes over all pairs, those included whose
key comes later.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_logq.modules.pair_bias import Bias, Tile


def tiled_attention(heads: Tensor, bias: Bias, longest: int | None = None) -> Tensor:
    """Query, key and value ``[rows, length, 3, heads, d]`` to ``[rows, length, heads, d]``.

    Args:
        heads: Query, key and value, of that shape.
        bias: What is added to the scores.
        longest: None for the softmax of ``score / sqrt(d) + bias``; the longest sequence for ``silu(score + bias) /
            longest``.
    """
    with torch.autocast("cpu", enabled=False):  # sums over pairs in full precision
        heads = heads.to(torch.promote_types(heads.dtype, torch.float32))
        result: Tensor = _TiledAttention.apply(heads, bias.time, bias.distance, bias.tiles, longest)
    return result


class _TiledAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, heads: Tensor, time: Tensor | None, distance: Tensor | None, tiles: list[Tile], longest: int | None
    ) -> Tensor:
        query, key, value = parts = heads.permute(2, 3, 0, 1, 4).contiguous()  # [3, heads, rows, length, d]
        scale = query.shape[-1] ** -0.5 if longest is None else 1.0
        result = torch.empty_like(query)
        needs_grad, kept = any(ctx.needs_input_grad[:3]), []
        for head in range(len(query)):
            for tile in tiles:
                rows, queries, keys = tile.rows, tile.queries, slice(0, tile.queries.stop)
                tile_query, tile_key = query[head, rows, queries], key[head, rows, keys].transpose(1, 2)
                if time is not None and tile.time is not None:
                    scores = time[head].index_select(0, tile.time.flatten()).view_as(tile.time)
                    scores.baddbmm_(tile_query, tile_key, alpha=scale)
                else:
                    scores = torch.bmm(tile_query * scale, tile_key)
                if distance is not None:
                    scores += distance[head, queries, keys]
                weights = _weights(scores, longest)
                result[head, rows, queries] = weights @ value[head, rows, keys]
                if needs_grad:
                    kept.append(weights if longest is None else scores)
        ctx.save_for_backward(parts, result, *kept)
        ctx.tiles, ctx.longest = tiles, longest
        ctx.shapes = [None if table is None else table.shape for table in (time, distance)]
        return result.permute(1, 2, 0, 3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        with torch.autocast("cpu", enabled=False):
            return (*_gradients(ctx, gradient), None, None)


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    (query, key, value), result, *kept = ctx.saved_tensors
    gradient = gradient.to(query.dtype).permute(2, 0, 1, 3).contiguous()  # [heads, rows, length, d]
    of_parts = query.new_empty(3, *query.shape)
    of_query, of_key, of_value = of_parts
    of_parts[1:] = 0.0
    of_time, of_distance = (None if shape is None else query.new_zeros(shape) for shape in ctx.shapes)
    share = (gradient * result).sum(-1, keepdim=True) if ctx.longest is None else None
    scale = query.shape[-1] ** -0.5 if ctx.longest is None else 1.0
    kept = iter(kept)
    for head in range(len(query)):
        for tile in ctx.tiles:
            rows, queries, keys = tile.rows, tile.queries, slice(0, tile.queries.stop)
            tile_gradient, weights = gradient[head, rows, queries], next(kept)
            change = torch.bmm(tile_gradient, value[head, rows, keys].transpose(1, 2))  # [rows, queries, keys]
            if share is None:
                scores, weights = weights, _weights(weights, ctx.longest)
                sigmoid = scores.sigmoid()
                change *= (1 - sigmoid).mul_(scores).add_(1).mul_(sigmoid).div_(ctx.longest)
                change[:, :, queries].tril_()
            else:
                change.sub_(share[head, rows, queries]).mul_(weights)
            of_value[head, rows, keys].baddbmm_(weights.transpose(1, 2), tile_gradient)
            of_query[head, rows, queries] = torch.bmm(change, key[head, rows, keys]).mul_(scale)
            of_key[head, rows, keys].baddbmm_(change.transpose(1, 2), query[head, rows, queries], alpha=scale)
            if of_time is not None and tile.time is not None:
                of_time[head].index_add_(0, tile.time.flatten(), change.flatten())
            if of_distance is not None:
                of_distance[head, queries, keys] += change.sum(0)
    return of_parts.permute(2, 3, 0, 1, 4), of_time, of_distance


def _weights(scores: Tensor, longest: int | None) -> Tensor:
    if longest is None:
        return scores.softmax(-1)
    weights = F.silu(scores).div_(longest)
    weights[:, :, -scores.shape[1] :].tril_()  # the last keys are the queries
    return weights

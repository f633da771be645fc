"""Several targets of a row: the next items of its window, each a positive of the same query."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from recbole_logq.losses.precision import no_autocast, working_dtype
from recbole_logq.losses.score_logsumexp import MASKED_SCORE
from recbole_logq.models.rows import Rows


@dataclass(frozen=True)
class Targets:
    """Pairs of a row and one of its targets.

    Args:
        place: int64 `[rows, k]`, the row whose positive is the row's first, second, ... target.
        inside: bool `[rows, k]`, which of them lie in the row's window.
        row: int64 `[pairs]`, the row of each pair; in order.
        order: int64 `[pairs]`, beside it, which of its targets it is, from 0 up.
    """

    place: Tensor
    inside: Tensor
    row: Tensor
    order: Tensor

    @classmethod
    def of(cls, rows: Rows, k: int) -> Targets:
        """The next k targets of rows, fewer at the end of a window.

        Args:
            rows: Rows with windows, those of a window next to each other in the order of time.
            k: Targets of a row, at most.
        """
        assert rows.windows is not None
        n, device = len(rows.positives), rows.positives.device
        ahead = torch.arange(n, device=device).unsqueeze(1) + torch.arange(k, device=device)  # [rows, k]
        place = ahead.clamp_max(max(n - 1, 0))
        inside = (ahead < n) & (rows.windows[place] == rows.windows.unsqueeze(1))
        if rows.window_sizes is None:
            pairs = inside.nonzero()
        else:  # with their number known, an accelerator need not be asked for it
            pairs = torch.nonzero_static(inside, size=int(_pairs_of(rows.window_sizes, k).sum()))
        return cls(place, inside, *pairs.unbind(1))

    def rows_of(self, rows: Rows) -> Rows:
        """The pairs as rows. All of a row together weigh what the row weighs, and each as its own target does."""
        target, k = self.place[self.row, self.order], self.inside.shape[1]
        share = 1.0 / self.inside.sum(1)[self.row]
        return replace(
            rows,
            query=rows.query[self.row],
            positives=rows.positives[target],
            users=rows.users[self.row],
            weights=share if rows.weights is None else share * rows.weights[target],
            place=None if rows.place is None else rows.place[self.row],
            windows=None if rows.windows is None else rows.windows[self.row],
            rows_of_window=None if rows.window_sizes is None else _pairs_of(rows.window_sizes, k),
        )

    def others_logsumexp(self, query: Tensor, positives: Tensor, vectors: Tensor) -> Tensor:
        """logsumexp of each pair's query with the row's other targets, each item once, `[pairs]`.

        Args:
            query: `[rows, d]`, already divided by the temperature.
            positives: int64 `[rows]`, items.
            vectors: `[rows, d]`, theirs.

        Returns:
            float32 or float64; about `MASKED_SCORE` for a row with one target.
        """
        dtype, items = working_dtype(query, vectors), positives[self.place]  # [rows, k]
        with no_autocast(query):
            scores = (query.to(dtype).unsqueeze(1) * vectors.to(dtype)[self.place]).sum(2)  # [rows, k]
        same = items.unsqueeze(2) == items.unsqueeze(1)  # [rows, k, k]
        repeated = (same & self.inside.unsqueeze(1)).tril(-1).any(2)  # [rows, k]
        kept = ~same & (self.inside & ~repeated).unsqueeze(1)  # [rows, k of the pair, k of the others]
        z_others = scores.unsqueeze(1).masked_fill(~kept, MASKED_SCORE).logsumexp(2)
        return z_others[self.row, self.order]


def _pairs_of(sizes: Tensor, k: int) -> Tensor:
    """Pairs of each window, `[windows]`."""
    return (sizes.unsqueeze(1) - torch.arange(k)).clamp_min(0).sum(1)

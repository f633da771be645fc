"""Items that were shown together, by grade: what lies below a positive is the beginning of a list."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GradedLists(nn.Module):
    """Lists of lower-graded items; a module, so that it moves to a device with the model. It is never in a checkpoint.

    Args:
        start: int64 `[lists]`, where each begins in `items`; lists may share items.
        size: int64 `[lists]`, number of items of each.
        grade: Floating `[lists]`, the grade that all of its items lie below, that of its rows' positives.
        items: int64 `[n]`.
        grades: Floating `[n]`, their grades.

    Raises:
        ValueError: The lists do not lie within the items.

    Attributes:
        top: Highest grade of a positive, scalar; 1 without any.
        longest: Items of the longest list; 1 without any.
    """

    start: Tensor
    size: Tensor
    grade: Tensor
    items: Tensor
    grades: Tensor

    def __init__(self, start: Tensor, size: Tensor, grade: Tensor, items: Tensor, grades: Tensor) -> None:
        super().__init__()
        if not start.shape == size.shape == grade.shape or items.shape != grades.shape:
            raise ValueError("start, size and grade must be [lists], items and grades [n]")
        if len(start) and (int(start.min()) < 0 or int((start + size).max()) > len(items)):
            raise ValueError(f"lists must lie within the {len(items)} items")
        for name, value in {"start": start, "size": size, "grade": grade, "items": items, "grades": grades}.items():
            self.register_buffer(name, value, persistent=False)
        self.top = float(grade.max()) if len(grade) else 1.0
        self.longest = max(int(size.max()), 1) if len(size) else 1

    @classmethod
    def empty(cls) -> GradedLists:
        """No lists."""
        nothing = torch.zeros(0, dtype=torch.int64)
        return cls(nothing, nothing, nothing.float(), nothing, nothing.float())

    def draw(self, lists: Tensor, n: int, uniform: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All items of some lists, or n of a longer one, each of which is kept with the same probability.

        Args:
            lists: int64 `[rows]`, numbers of lists.
            n: Most items of a row.
            uniform: Floating `[rows]` in [0, 1), the random numbers.

        Returns:
            Ids int64 `[rows, n]`, 0 where a list has fewer; their grades, floating `[rows, n]`, 0 there; and the log of
            the probability that an item of the list is among them, float32 `[rows]`.
        """
        size = self.size[lists].unsqueeze(1)
        column = torch.arange(n, device=lists.device).expand(len(lists), n)
        # A systematic sample: equal steps from a random start, so that no item comes twice and all are equally likely.
        step = size.double() / n
        place = torch.where(size > n, ((column + uniform.unsqueeze(1)) * step).long(), column)
        in_list = column < size
        at = self.start[lists].unsqueeze(1) + torch.minimum(place, (size - 1).clamp_min(0))
        if not len(self.items):
            zeros = torch.zeros_like(at)
            return zeros, zeros.float(), torch.zeros(len(lists), device=lists.device)
        at = at.clamp_max(len(self.items) - 1)
        log_share = (n / size.squeeze(1).clamp_min(n)).log().float()
        return self.items[at] * in_list, self.grades[at] * in_list, log_share

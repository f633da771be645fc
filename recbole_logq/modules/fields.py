"""Fields of users, items or interactions as vectors of one size, which are added up; torch only.

The form of LightFM (Kula, "Metadata Embeddings for User and Item Cold-start Recommendations", 2015): an entity is the
sum of what is known of it, so one without a history of its own is the sum of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recbole_logq.modules.bags import mean_of_bags
from recbole_logq.modules.embedding import id_table


class Column(NamedTuple):
    """Values of a field, a row for each entity or interaction.

    Attributes:
        values: Tokens, int64 ``[rows]`` or ``[rows, length]``, 0 for none; or floating numbers of the same shapes.
        n_tokens: Different tokens with the 0; 0 for numbers.
    """

    values: Tensor
    n_tokens: int = 0


class TokenField(nn.Module):
    """A token's embedding; of several the mean, of none the zero vector.

    Tokens that training never sees count as none: their vectors would be what they were drawn as.

    Args:
        known: What each token counts as: itself, or 0 where training never sees it; int32 ``[tokens]``.
        size: Size of the vectors.
        std: Standard deviation of the vectors at the start.
        sparse: Whether the table's gradient holds only the rows that were looked up.
    """

    known: Tensor

    def __init__(self, known: Tensor, size: int, std: float = 1.0, sparse: bool = False) -> None:
        super().__init__()
        self.register_buffer("known", known)
        self.embedding = id_table(len(known), size, std, sparse)

    @classmethod
    def learned(cls, column: Column, seen: Tensor, size: int, std: float, sparse: bool) -> TokenField:
        """The field of a column.

        Args:
            column: Column of all rows.
            seen: Rows that training has, bool ``[rows]``.
            size, std, sparse: As for the class.
        """
        known = torch.zeros(column.n_tokens, dtype=torch.int32)
        tokens = column.values[seen].unique()
        known[tokens] = tokens.to(torch.int32)
        known[0] = 0
        return cls(known, size, std, sparse)

    def prepare(self, values: Tensor) -> Tensor:
        """What :meth:`forward` takes for values of the column, in small memory."""
        return self.known[values]

    def forward(self, prepared: Tensor) -> Tensor:
        """Vectors ``[rows, size]``."""
        tokens = prepared.long()
        return self.embedding(tokens) if tokens.dim() == 1 else mean_of_bags(tokens, self.embedding)


class NumberField(nn.Module):
    """Numbers, each standardised over what training sees, through a linear map.

    What is missing is the mean: a single number that is NaN (RecBole fills it in before), several that are all 0.

    Args:
        mean, scale: What numbers are standardised by, ``[length]``.
        size, std: As for :class:`TokenField`; ``std`` is that of the whole sum.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Tensor, scale: Tensor, size: int, std: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.linear = nn.Linear(len(mean), size)
        nn.init.normal_(self.linear.weight, std=std * max(len(mean), 1) ** -0.5)
        nn.init.zeros_(self.linear.bias)

    @classmethod
    def learned(cls, column: Column, seen: Tensor, size: int, std: float) -> NumberField:
        """The field of a column; arguments as for :meth:`TokenField.learned`."""
        values = column.values[seen].flatten(1) if column.values.dim() > 1 else column.values[seen].double()[:, None]
        length = values.shape[1]
        if length > 1:
            values = values[values.any(1)]
        scale, mean = torch.std_mean(values, dim=0, correction=0)
        usable = scale.isfinite() & (scale > 0)
        return cls(mean.nan_to_num(), torch.where(usable, scale, torch.ones_like(scale)), size, std)

    def prepare(self, values: Tensor) -> Tensor:
        """What :meth:`forward` takes for values of the column: half precision where there are several in a row."""
        if values.dim() == 1:
            return ((values.unsqueeze(1) - self.mean) / self.scale).nan_to_num(0.0).float()
        standard = (values - self.mean) / self.scale
        return (standard * values.any(1, keepdim=True)).clamp(-1e4, 1e4).half()

    def forward(self, prepared: Tensor) -> Tensor:
        """Vectors ``[rows, size]``."""
        return self.linear(prepared.to(self.linear.weight.dtype))


class Fields(nn.Module):
    """Several fields of the same rows.

    Args:
        fields: Fields to sum, at least one.
    """

    def __init__(self, fields: Iterable[TokenField | NumberField]) -> None:
        super().__init__()
        self.fields: Any = nn.ModuleList(fields)

    @classmethod
    def learned(
        cls, columns: Sequence[Column], seen: Tensor, size: int, std: float, sparse: Callable[[int], bool]
    ) -> Fields:
        """The fields of columns.

        Args:
            columns: Columns, at least one.
            seen, size, std: As for :meth:`TokenField.learned`.
            sparse: Function from a number of tokens to whether their table has sparse gradients.
        """
        return cls(_learned(columns, seen, size, std, sparse))

    def forward(self, values: Sequence[Tensor]) -> Tensor:
        """Sums of vectors ``[rows, size]`` of columns as they are in the data, in the order of the fields."""
        return self.of_prepared([field.prepare(column) for field, column in zip(self.fields, values, strict=True)])

    def of_prepared(self, prepared: Sequence[Tensor]) -> Tensor:
        """The same from what the fields' ``prepare`` gives."""
        first, *further = (field(column) for field, column in zip(self.fields, prepared, strict=True))
        for vectors in further:
            first = first + vectors
        return first


class EntityFields(Fields):
    """Fields of numbered entities, whose values are kept: an id is enough to have its vector.

    Args:
        fields: Fields to sum, at least one.
        seen: Entities that training has, bool ``[entities]``; row 0 is padding.
        prepared: Values of all entities in each field, as its ``prepare`` gives them.
    """

    seen: Tensor

    def __init__(self, fields: Iterable[TokenField | NumberField], seen: Tensor, prepared: Sequence[Tensor]) -> None:
        super().__init__(fields)
        self.n_rows = len(seen)
        self.register_buffer("seen", seen)
        for position, values in enumerate(prepared):
            self.register_buffer(f"values_{position}", values)

    @classmethod
    def learned(
        cls, columns: Sequence[Column], seen: Tensor, size: int, std: float, sparse: Callable[[int], bool]
    ) -> EntityFields:
        """The fields of columns; arguments as for :meth:`Fields.learned`, row 0 is padding."""
        fields = _learned(columns, seen, size, std, sparse)
        prepared = [field.prepare(column.values) for field, column in zip(fields, columns, strict=True)]
        for values in prepared:
            values[0] = 0  # nothing is known of who is nobody: no token, and the mean of the numbers
        return cls(fields, seen, prepared)

    def of(self, ids: Tensor) -> Tensor:
        """Vectors ``[rows, size]`` of ids ``[rows]``."""
        return self.of_prepared([getattr(self, f"values_{position}")[ids] for position in range(len(self.fields))])


def _learned(
    columns: Sequence[Column], seen: Tensor, size: int, std: float, sparse: Callable[[int], bool]
) -> list[TokenField | NumberField]:
    return [
        TokenField.learned(column, seen, size, std, sparse(column.n_tokens))
        if column.n_tokens
        else NumberField.learned(column, seen, size, std)
        for column in columns
    ]

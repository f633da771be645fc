"""The query of a request, made from what is known of it, in a model and in its exported folder; torch only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from recbole_logq.modules.example_age import ExampleAge
from recbole_logq.modules.feature_embedding import FeatureEmbedding
from recbole_logq.modules.fields import EntityFields, Fields
from recbole_logq.modules.fixed_packing import FixedPacking
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.scorer import Scorer
from recbole_logq.modules.time_context import TimeContext
from recbole_logq.modules.times import TokenTimes
from recbole_logq.modules.tower import Tower
from recbole_logq.modules.towers import HistoryTower
from recbole_logq.modules.transformer import SequenceEncoder


class Request(NamedTuple):
    """Rows to compute queries of; what the model does not read may be left out.

    Attributes:
        user: Ids, 0 for a visitor; int64 ``[rows]``.
        history: Items that each had, in time order, right-padded with 0; int64 ``[rows, length]``.
        n_items: Number of those items; int64 ``[rows]``.
        context: What else is known, a column ``[rows]`` each.
        times: Times of those items, after the time of the item before the first of them (NaN where there is
            none); float64 ``[rows, length + 1]``.
        request_time: Time of the request, float64 ``[rows]``.
        texts: Texts of visitors, a bag each as :class:`~recbole_logq.modules.text.TextHasher` gives it, int64
            ``[rows, longest]``; those of users are known.
        second: Latest tokens of each second history, their buckets, int64 ``[rows, length]`` each.
        age: Age of a training example, ``[rows]``; None everywhere else, which is an age of 0.
    """

    user: Tensor | None = None
    history: Tensor | None = None
    n_items: Tensor | None = None
    context: Sequence[Tensor] = ()
    times: Tensor | None = None
    request_time: Tensor | None = None
    texts: Sequence[Tensor] = ()
    second: Sequence[Tensor] = ()
    age: Tensor | None = None


class TwoTowerQuery(nn.Module):
    """The user's side of a two-tower model.

    Args:
        user_tower: Tower over ids, or over histories.
        scorer: Scorer of the model.
        item_embedding: The items' own, for a tower over histories. One table for both towers: half the memory, and
            every target teaches what the item means in a history.
        user_fields: What else is known of users, for a tower over histories.
        context: What a request knows.
        time_context: What the time of a request says.
        user_texts: Texts of users: with those of all users for a tower over histories; without, for those of visitors
            alone, where a tower over ids has them.
        second: Second histories, each the mean of its tokens, or nothing.
        age: What training says of the age of an example.
    """

    def __init__(
        self,
        user_tower: Tower | HistoryTower,
        scorer: Scorer,
        item_embedding: nn.Embedding | FeatureEmbedding | None = None,
        user_fields: EntityFields | None = None,
        context: Fields | None = None,
        time_context: TimeContext | None = None,
        user_texts: Fields | None = None,
        second: Fields | None = None,
        age: ExampleAge | None = None,
    ) -> None:
        super().__init__()
        self.user_tower, self.scorer, self.item_embedding = user_tower, scorer, item_embedding
        self.user_fields, self.context, self.time_context = user_fields, context, time_context
        self.user_texts, self.second, self.age = user_texts, second, age

    def vectors(self, request: Request) -> Tensor:
        """Vectors of users, ``[rows, d]``."""
        known = [] if self.context is None else [self.context(request.context)]
        if self.time_context is not None:
            assert request.request_time is not None
            known.append(self.time_context(request.request_time))
        for fields in (self.user_fields, self.user_texts):
            if isinstance(fields, EntityFields):
                assert request.user is not None
                known.append(fields.of(request.user))
        if request.texts:
            assert self.user_texts is not None
            known.append(self.user_texts(request.texts))
        if self.second is not None:
            known.append(self.second(request.second))
        if self.age is not None and request.age is not None:
            known.append(self.age(request.age))
        added = None
        for vectors in known:
            added = vectors if added is None else added + vectors
        if isinstance(self.user_tower, Tower):
            return self.user_tower(request.user, added)
        return self.user_tower(request.history, self.item_embedding, added, request.times, request.request_time)

    def forward(self, request: Request) -> Tensor:
        """Queries ``[rows, d]``, prepared by the scorer: their dot products with item vectors are the scores."""
        return self.scorer.query(self.vectors(request))


class SequenceQuery(nn.Module):
    """The items that a user had, through a transformer.

    Args:
        item_embedding: Embedding of the items.
        encoder: Encoder of their sequences.
        scorer: Scorer of the model.
    """

    def __init__(
        self, item_embedding: nn.Embedding | FeatureEmbedding, encoder: SequenceEncoder, scorer: Scorer
    ) -> None:
        super().__init__()
        self.item_embedding, self.encoder, self.scorer = item_embedding, encoder, scorer

    def states(self, tokens: Tensor, packing: Packing | FixedPacking, times: TokenTimes | None = None) -> Tensor:
        """Item ids ``[tokens]`` in the order of a packing to one state each, ``[tokens, d]``."""
        embedded = self.item_embedding(tokens)
        return self.encoder(embedded, packing, times) if packing.n_tokens else embedded

    def forward(self, request: Request) -> Tensor:
        """See :meth:`TwoTowerQuery.forward`; every row has an item at least."""
        assert request.history is not None
        assert request.n_items is not None
        packing = Packing(request.n_items, request.history.device)
        times = None if self.encoder.buckets is None else token_times(request, packing, self.encoder.knows_request)
        return self.scorer.query(self.states(packing.pack(request.history), packing, times)[packing.last])


def token_times(request: Request, packing: Packing, knows_request: bool) -> TokenTimes:
    """Times of the packed items of requests: each query's now is the next item's time, and the last's the request's.

    Args:
        request: Request with ``times``, and with ``request_time`` where that is known.
        packing: Packing of its items.
        knows_request: Whether the time of a request is known.
    """
    assert request.times is not None
    before, event = packing.pack(request.times[:, :-1]), packing.pack(request.times[:, 1:])
    if not knows_request:
        return TokenTimes(before, event, event)
    assert request.request_time is not None
    query = event.roll(-1).index_copy(0, packing.last, request.request_time)
    return TokenTimes(before, event, query)

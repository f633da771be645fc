"""The user encoder of a folder: modules of this package, made from a checked description, with weights that fit it."""

from __future__ import annotations

import copy
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from recbole_logq.data.dataset.event_times import UNITS
from recbole_logq.errors import RequestError
from recbole_logq.modules.dropout import Dropout
from recbole_logq.modules.feature_embedding import FeatureEmbedding
from recbole_logq.modules.fields import EntityFields, Fields, NumberField, TokenField
from recbole_logq.modules.history_times import HistoryTimes
from recbole_logq.modules.positions import RotaryPositions
from recbole_logq.modules.query import Request, SequenceQuery, TwoTowerQuery
from recbole_logq.modules.scorer import Scorer
from recbole_logq.modules.time_context import TimeContext
from recbole_logq.modules.times import TimeBuckets
from recbole_logq.modules.tower import Tower
from recbole_logq.modules.towers import HistoryTower
from recbole_logq.modules.transformer import SequenceEncoder
from recbole_logq.serving import description as describes
from recbole_logq.serving.description import Description, HistoryDescription, SequenceDescription, UserDescription
from recbole_logq.serving.tensors import read_tensors, tensor_shapes, write_tensors

Query = TwoTowerQuery | SequenceQuery


def write_encoder(query: Query, file: Path) -> None:
    """Write the weights of what computes a model's queries, on the CPU, in evaluation mode."""
    write_tensors(file, plainly(query).state_dict())


@torch.no_grad()
def plainly(query: nn.Module) -> nn.Module:
    """The same without dropout, and with a table for ids with features: once a model is trained, theirs are fixed."""
    memo = {id(tensor): tensor for tensor in chain(query.parameters(), query.buffers())}
    query = copy.deepcopy(query, memo)  # tensors are shared with the model
    if isinstance(query, TwoTowerQuery):
        query.age = None  # an input of training alone
    for parent in list(query.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, FeatureEmbedding):
                setattr(parent, name, nn.Embedding.from_pretrained(child.whole(), padding_idx=0))
            elif isinstance(child, nn.Sequential):
                setattr(parent, name, nn.Sequential(*(layer for layer in child if not isinstance(layer, Dropout))))
    return query


class Encoder:
    """Queries from requests.

    Args:
        description: What the encoder is made of.
        file: What :func:`write_encoder` wrote.
        n_users: Users of the folder.
        n_items: Its items.

    Raises:
        RequestError: The file does not hold exactly the weights that the description asks for.
    """

    def __init__(self, description: Description, file: Path, n_users: int, n_items: int) -> None:
        n_layers = getattr(description, "n_layers", 0)
        if n_layers > len(tensor_shapes(file)):  # seconds of making modules for nothing
            raise RequestError(f"{file} does not belong here: it has no weights of {n_layers} layers; export again")
        try:
            with torch.device("meta"), WithoutValues():
                query = _build_query(description, n_users + 1, n_items + 1)
        except (ValueError, RuntimeError) as error:  # sizes that do not go together
            reason = " ".join(str(error).split())[:200]
            raise RequestError(f"{file.parent}: there is no encoder as described, {reason}; export again") from error
        weights = read_tensors(file, query.state_dict())
        query.load_state_dict(weights, assign=True)
        for module in query.modules():
            if isinstance(module, RotaryPositions):
                module.work_out()
        if problem := problem_of(query):
            raise RequestError(f"{file}: {problem}; export again")
        self._query = query.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, request: Request) -> Tensor:
        """Queries ``[rows, d]``, prepared by the scorer: their dot products with item vectors are the scores."""
        return self._query(request)


class WithoutValues(TorchFunctionMode):
    """Modules are made without drawing weights, which are there already."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)


def _build_query(description: Description, n_users: int, n_items: int) -> Query:
    size, scorer = description.size, description.scorer.build()
    if isinstance(description, SequenceDescription):
        encoder = SequenceEncoder(
            size=size,
            n_layers=description.n_layers,
            n_heads=description.n_heads,
            inner_size=description.inner_size,
            dropout=0.0,
            norm=description.norm,
            max_length=description.max_history,
            initializer_range=1.0,
            block=description.block,
            feed_forward=description.feed_forward,
            positions=description.positions,
            input_norm=description.input_norm,
            scale_embedding=description.scale_embedding,
            time=description.time,
            knows_request=description.request_time == "known",
            time_buckets=description.time_buckets,
            bias_weights=description.bias_weights,
        )
        return SequenceQuery(nn.Embedding(n_items, size, padding_idx=0), encoder, scorer)
    context = Fields(_column(column, size) for column in description.context) if description.context else None
    time_context = None
    if description.time_context and description.time_unit is not None:
        time_context = TimeContext(description.time_context, UNITS[description.time_unit], size)
    texts = _user_texts(description.texts, n_users, size)
    if isinstance(description, UserDescription):
        tower = Tower(n_users, size, description.mlp_sizes)
        return TwoTowerQuery(tower, scorer, context=context, time_context=time_context, user_texts=texts)
    length = description.max_history if description.pooling == "attention" else None
    histories = HistoryTower(size, description.mlp_sizes, attention_length=length, times=_history_times(description))
    fields = _user_fields(description.user_fields, n_users, size) if description.user_fields else None
    items = nn.Embedding(n_items, size, padding_idx=0)
    second = None
    if description.second:
        second = Fields(token_field(column.buckets + 1, size) for column in description.second)
    return TwoTowerQuery(histories, scorer, items, fields, context, time_context, texts, second)


def _user_texts(texts: list[describes.UserText], n_users: int, size: int) -> Fields | None:
    """Texts of users: those of all of them, or what reads those of visitors; None for a model that reads none."""
    if not texts:
        return None
    fields = [token_field(text.buckets + 1, size) for text in texts]
    widths = [text.width for text in texts if text.width is not None]
    if not widths:
        return Fields(fields)
    kept = [torch.empty(n_users, width, dtype=torch.int32) for width in widths]
    return EntityFields(fields, torch.empty(n_users, dtype=torch.bool), kept)


def _history_times(description: HistoryDescription) -> HistoryTimes | None:
    time = description.time
    if time == "none":
        return None
    known = description.request_time == "known"
    parts = (time in ("gaps", "both"), time in ("bias", "both"))
    return HistoryTimes(description.time_buckets, description.size, *parts, known)


def _column(column: describes.TokenColumn | describes.NumberColumn, size: int) -> TokenField | NumberField:
    if isinstance(column, describes.TokenColumn):
        return token_field(column.n_tokens, size)
    return _number_field(1, torch.float64, size)


def _user_fields(fields: list[describes.TokenField | describes.NumberField], n_users: int, size: int) -> EntityFields:
    entries: list[TokenField | NumberField] = []
    prepared = []
    for field in fields:
        several = () if field.length is None else (field.length,)
        if isinstance(field, describes.TokenField):
            entries.append(token_field(field.n_tokens, size))
            prepared.append(torch.empty(n_users, *several, dtype=torch.int32))
        else:
            entries.append(_number_field(1 if field.length is None else field.length, getattr(torch, field.type), size))
            dtype = torch.float16 if several else torch.float32
            prepared.append(torch.empty(n_users, *(several or (1,)), dtype=dtype))
    return EntityFields(entries, torch.empty(n_users, dtype=torch.bool), prepared)


def token_field(n_tokens: int, size: int) -> TokenField:
    """A field of tokens, whose weights come from a file."""
    return TokenField(torch.empty(n_tokens, dtype=torch.int32), size)


def _number_field(length: int, dtype: torch.dtype, size: int) -> NumberField:
    return NumberField(torch.empty(length, dtype=dtype), torch.empty(length, dtype=dtype), size)


def problem_of(query: nn.Module) -> str | None:
    """What is wrong with numbers that are finite."""
    for module in query.modules():
        if isinstance(module, TokenField) and not _within(module.known, len(module.known)):
            return "a token of a field is none of those that it knows"
        if isinstance(module, NumberField) and not bool((module.scale > 0).all()):
            return "numbers of a field have no scale"
        if isinstance(module, EntityFields):
            for position, field in enumerate(module.fields):
                values = getattr(module, f"values_{position}")
                if isinstance(field, TokenField) and not _within(values, len(field.known)):
                    return "a user has a token that the field does not know"
            if int(module.seen.view(torch.uint8).max()) > 1:
                return "which users were seen is neither true nor false"
        if isinstance(module, TimeBuckets) and not bool((module.edges.diff() >= 0).all()):
            return "edges of times do not ascend"
        if isinstance(module, Scorer) and module.mode == "scheduled" and int(module.step) < 0:
            return "the schedule of the temperature stands before its start"
    return None


def _within(ids: Tensor, end: int) -> bool:
    return not ids.numel() or bool((ids.min() >= 0) & (ids.max() < end))

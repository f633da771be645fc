"""The exported encoder against the model."""

from __future__ import annotations

from typing import Any

import torch

from recbole_logq.data.dataset.event_times import ASKED, TIMES
from recbole_logq.data.dataset.feature_columns import text_hasher, texts_of
from recbole_logq.data.dataset.histories import HISTORY, max_history
from recbole_logq.data.dataset.second_histories import bucket_of, column_of, some_tokens
from recbole_logq.errors import WorkError
from recbole_logq.modules.text import TextHasher
from recbole_logq.serving.context import some_contexts
from recbole_logq.serving.retriever import Retriever

TOLERANCE = 1e-5
"""Largest difference of a number of a query, in units of the largest number of the queries, that float32 explains."""
N_CHECKED = 512
MAX_CHECKED = 1 << 21
"""Items of their histories together, about: fewer rows of very long ones."""


@torch.no_grad()
def check_encoder(retriever: Retriever, network: Any, data: Any) -> float:
    """Hold the folder against the model, from tokens to queries: users as they are, and histories of every length.

    Args:
        retriever: Retriever of the folder.
        network: The model.
        data: The training part, whose contexts are taken.

    Returns:
        The largest difference of a number of a query, in units of the largest number of all queries.

    Raises:
        WorkError: The difference is more than float32 explains.
    """
    length = retriever.described.items_seen
    generator = torch.Generator().manual_seed(1)
    n_rows = max(min(N_CHECKED, MAX_CHECKED // length), 8) if length else min(N_CHECKED, len(retriever.users))
    context, contexts = some_contexts(data, retriever.context.columns, n_rows, generator)
    if length is None:
        ids = torch.randperm(len(retriever.users), generator=generator)[:n_rows] + 1
        users = [retriever.users[int(place) - 1].as_py() for place in ids]
        columns = {network.USER_ID: ids}
        request_times = _some_moments(retriever, data, torch.zeros_like(ids), generator)[1]
        ask = None if request_times is None else request_times.tolist()
        queries = retriever.queries(users=users, contexts=contexts, at=ask)
        columns |= {} if request_times is None else {ASKED: request_times}
    else:
        # None, fewer, as many and more than the model sees: what is cut off are the earliest.
        sizes = torch.randint(1, 2 * length + 2, (n_rows,), generator=generator)
        sizes[:4] = torch.tensor([1 if retriever.described.needs_history else 0, length, length + 1, 3 * length])
        drawn = [
            torch.randint(1, len(retriever.catalogue) + 1, (size,), generator=generator) for size in sizes.tolist()
        ]
        tokens = retriever.catalogue["item"].to_pylist()
        histories = [[tokens[item - 1] for item in history.tolist()] for history in drawn]
        known, request_times = _some_moments(retriever, data, sizes, generator)
        second, tokens_of_second = _some_second(retriever, data, n_rows, generator)
        queries = retriever.queries(
            histories=histories,
            contexts=contexts,
            second=second,
            times=None if known is None else [row_times.tolist() for row_times in known],
            at=None if request_times is None else request_times.tolist(),
        )
        seen = torch.zeros(n_rows, length, dtype=torch.int64)
        for row, history in zip(seen, drawn, strict=True):
            row[: min(len(history), length)] = history[-length:]
        columns = {network.USER_ID: torch.zeros_like(sizes), HISTORY: seen, **tokens_of_second}
        if retriever.described.needs_history:
            columns |= {network.ITEM_SEQ: seen, network.ITEM_SEQ_LEN: sizes.clamp_max(length)}
        if known is not None:
            times = torch.zeros(n_rows, length + 1, dtype=torch.float64)
            for row, row_times in zip(times, known, strict=True):
                row[: min(len(row_times), length) + 1] = torch.cat((row_times.new_full((1,), torch.nan), row_times))[
                    -length - 1 :
                ]
            columns[TIMES] = times
        columns |= {} if request_times is None else {ASKED: request_times}
    pairs = [(queries, network.queries({**columns, **context}))]
    if retriever.texts.names:
        pairs.append(_visitors_with_texts(retriever, network, data, columns, context, contexts))
    if network.item_text:
        texts = _some_texts(data, "item_text", network.item_text)
        bags = [text_hasher(data.config)([text[name] for text in texts]) for name in network.item_text]
        pairs.append((retriever.item_vectors(texts), network.text_items()(bags)))
    difference = max(
        float((own - expected).abs().max() / expected.abs().max().clamp_min(1e-30)) for own, expected in pairs
    )
    if not difference <= TOLERANCE:
        raise WorkError(f"the exported encoder differs from the model by {difference:.1e}, more than {TOLERANCE}")
    return difference


def _visitors_with_texts(
    retriever: Retriever,
    network: Any,
    data: Any,
    columns: dict[str, torch.Tensor],
    context: dict[str, torch.Tensor],
    contexts: list[Any] | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Queries of the folder and of the model, of visitors who had nothing and of whom texts are known."""
    texts = _some_texts(data, "user_text", retriever.texts.names)
    n_rows = len(texts)
    request_times = columns.get(ASKED)
    at = None if request_times is None else request_times[:1].expand(n_rows)
    queries = retriever.queries(
        texts=texts, contexts=contexts and [contexts[0]] * n_rows, at=None if at is None else at.tolist()
    )
    rows = {name: torch.zeros_like(values[:1]).expand(n_rows, *values.shape[1:]) for name, values in columns.items()}
    rows |= {name: values[:1].expand(n_rows) for name, values in context.items()}
    rows |= {} if at is None else {ASKED: at}
    hasher = text_hasher(data.config)
    bags = [hasher([text[name] for text in texts]) for name in retriever.texts.names]
    return queries, network.query_encoder()(network.request(rows)._replace(texts=bags))


def _some_second(
    retriever: Retriever, data: Any, n_rows: int, generator: torch.Generator
) -> tuple[list[dict[str, list[str]]] | None, dict[str, torch.Tensor]]:
    """Second histories of some length, as a visitor has them and as the model reads them."""
    if not retriever.second.names:
        return None, {}
    length, rows, columns = max_history(data.config), [dict[str, list[str]]() for _ in range(n_rows)], {}
    for name in retriever.second.names:
        known = some_tokens(data.config, name)
        hasher = TextHasher(data.config["text_buckets"], 1)
        filled = torch.zeros(n_rows, length, dtype=torch.int64)
        for row, buckets in zip(rows, filled, strict=True):
            size = int(torch.randint(0, 2 * length, (), generator=generator))
            row[name] = [known[place] for place in torch.randint(0, len(known), (size,), generator=generator).tolist()]
            latest = row[name][-length:]
            buckets[: len(latest)] = torch.tensor([bucket_of(hasher, token) for token in latest], dtype=torch.int64)
        columns[column_of(name)] = filled
    return rows, columns


def _some_texts(data: Any, key: str, names: list[str]) -> list[dict[str, str]]:
    """Texts of rows that have some, as a visitor or a new item has them."""
    columns = [texts_of(data, key, name) for name in names]
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True) if any(row)]
    return rows[:N_CHECKED]


def _some_moments(
    retriever: Retriever, data: Any, sizes: torch.Tensor, generator: torch.Generator
) -> tuple[list[torch.Tensor] | None, torch.Tensor | None]:
    """When the items of histories were had, in order, and when each row asks; None for what the model does not read."""
    moments = retriever.moments
    if not moments.reads_times and not moments.knows_request:
        return None, None
    draws = [torch.randint(0, len(data.flat_times), (size + 1,), generator=generator) for size in sizes.tolist()]
    times = [data.flat_times[places].sort().values for places in draws]
    request_times = torch.stack([row_times[-1] for row_times in times])
    return [
        row_times[:-1] for row_times in times
    ] if moments.reads_times else None, request_times if moments.knows_request else None

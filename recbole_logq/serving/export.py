"""A checkpoint to a folder that serves: vectors, encoder, ids, histories, an index and a model card."""

from __future__ import annotations

import json
import math
from logging import getLogger
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from recbole_logq import compat
from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest
from recbole_logq.serving import folder as files
from recbole_logq.serving.card import card, command_line
from recbole_logq.serving.context import some_contexts, tokens_of
from recbole_logq.serving.describe import describe, describe_items
from recbole_logq.serving.encoder import write_encoder
from recbole_logq.serving.encoder_check import check_encoder
from recbole_logq.serving.exact_index import ExactIndex
from recbole_logq.serving.folder_tables import write_context, write_items, write_users
from recbole_logq.serving.index import APPROXIMATE, check_index
from recbole_logq.serving.index_quality import compare_with_exact
from recbole_logq.serving.item_encoder import write_text_items
from recbole_logq.serving.retriever import Retriever
from recbole_logq.serving.second import second_tensors
from recbole_logq.serving.tensors import write_tensors
from recbole_logq.serving.vectors import write_vectors

if TYPE_CHECKING:
    from recbole_logq.experiment.restore import Stored

N_MEASURED = 1000


def export(
    file: str | Path,
    folder: str | Path,
    index: str = "exact",
    index_options: dict[str, int] | None = None,
    history: str = "all",
    item_title_field: str | None = None,
    overwrite: bool = False,
    data_path: str | None = None,
    plugins: list[str] | str | None = None,
) -> dict[str, Any]:
    """Write a folder that :class:`~recbole_logq.serving.Retriever` opens without RecBole.

    Args:
        file: A checkpoint of one of this package's models.
        folder: Folder to make; it appears when it is complete.
        index: ``exact``, ``hnsw`` or ``ivfpq``.
        index_options: Options of the building and of the search, such as ``{"ef_search": 256}``.
        history: What the folder knows of users: ``train``, ``valid`` (what the evaluator filters and a sequential model
            sees in the test) or ``all``, which is everything up to now and what a service wants.
        item_title_field: Column of the ``.item`` file; by default the first text column named like a title or a name.
        overwrite: Whether to replace an export that is there.
        data_path: Folder of the dataset now; by default that of the training.
        plugins: Files and modules of the user's own that the checkpoint names; none is run that is not named here.

    Returns:
        The manifest of the folder.

    Raises:
        RequestError: The checkpoint cannot be exported, or an option makes no sense; nothing is written.
        WorkError: The exported encoder does not give the model's queries, or the folder cannot be written.
    """
    folder = Path(folder)
    options = check_index(index, index_options)
    check_history(history)
    files.check_target(folder, overwrite)
    files.check_writable(folder)
    compat.apply()
    from recbole_logq.data.dataset.histories import max_history
    from recbole_logq.data.dataset.protocol import protocol_of
    from recbole_logq.experiment.machine_facts import versions
    from recbole_logq.experiment.restore import open_checkpoint
    from recbole_logq.serving.dataset_tables import user_histories, user_second_histories
    from recbole_logq.serving.titles import titles_of

    stored = open_checkpoint(str(file), plugins)
    state, model = stored.state, _exportable(stored)
    changes: dict[str, Any] = {"use_gpu": False, **({"plugins": plugins} if plugins else {})}
    changes |= {"data_path": data_path} if data_path is not None else {}
    restored = stored.restore(stored.configuration(changes))
    config, network, data = restored.config, restored.network.eval(), restored.parts[0]
    users = [str(token) for token in data.field2id_token[data.uid_field][1:]]
    items = [str(token) for token in data.field2id_token[data.iid_field][1:]]
    titles = titles_of(config, items, item_title_field)
    length = max_history(config) if network.second_columns else 0
    second = user_second_histories(restored.parts, history, length) if length else {}
    described = describe(network, config, data, {name: len(buckets) for name, (_, buckets) in second.items()})
    described_items, items_of_texts = describe_items(network, config), network.text_items()
    columns = [{"name": column.name, "type": column.type} for column in described.context_columns]
    known = user_histories(restored.parts, history)
    with torch.no_grad():
        vectors = network.item_vectors(None).detach().float()
    content: dict[str, Any] = {
        "model": model,
        "encoder": described.model_dump(),
        "item_texts": None if described_items is None else described_items.model_dump(),
        "data": {
            "dataset": config["dataset"],
            "users": len(users),
            "items": len(items),
            "interactions": sum(len(part) for part in restored.parts),
            "fingerprint": restored.fingerprint,
            "id_fingerprint": state["id_fingerprint"],
            "history": history,
            "history_interactions": len(known[1]),
        },
        "training": {
            "protocol": protocol_of(config, restored.parts),
            "test_result": _results(_of_this_split("test_result", "test", state, restored.fingerprint)),
            "best_valid_result": _results(_of_this_split("best_valid_result", "valid", state, restored.fingerprint)),
            "versions": state.get("versions"),
            "command": command_line("", {"model": model, "dataset": config["dataset"], **_of_command(state["given"])}),
        },
        "versions": versions(),
        "command": command_line(
            "export",
            {"checkpoint": file, "folder": folder, "index": index, "history": history}
            | ({"index_options": options} if options else {}),
        ),
    }
    with files.new_folder(folder, overwrite) as scratch:
        write_vectors(scratch / files.VECTORS, vectors[1:].numpy())
        write_items(scratch / files.ITEMS, items, titles)
        write_users(scratch / files.USERS, users, known[:2])
        if known[2] is not None:
            write_tensors(scratch / files.TIMES, {"times": known[2]})
        if tokens := tokens_of(data, columns):
            write_context(scratch / files.CONTEXT, tokens)
        write_encoder(network.query_encoder(), scratch / files.ENCODER)
        if second:
            write_tensors(scratch / files.SECOND, second_tensors(second))
        if items_of_texts is not None:
            write_text_items(items_of_texts, scratch / files.ITEM_ENCODER)
        settings = json.dumps(_finite(state["config"]), indent=1, default=str, allow_nan=False)
        (scratch / files.CONFIG).write_text(settings + "\n", encoding="utf-8")
        content |= {"index": {"name": "exact", "options": {}, "measured": {}}, "largest_difference": None}
        files.write_manifest(scratch, content)
        retriever = Retriever.load(scratch, verify=False)
        content["largest_difference"] = check_encoder(retriever, network, data)
        content["index"] = _build(scratch, retriever, index, options, data)
        manifest = files.write_manifest(scratch, content)
        contexts = some_contexts(data, columns, 3, torch.Generator().manual_seed(0))[1]
        text = card(manifest, described, users[0], items[0], contexts[-1] if contexts else None)
        (scratch / files.CARD).write_text(text, encoding="utf-8")
        return manifest


def _exportable(stored: Stored) -> str:
    """The name of a model that can be exported.

    Raises:
        RequestError: The model has no vectors, or needs code to compute them.
    """
    from recbole_logq.models.encoders import is_packaged
    from recbole_logq.models.resolve import split_name

    parts = split_name(stored.model)
    if parts is None:
        raise RequestError(
            f"{stored.file} holds {stored.model}, which has no vectors to export: train an encoder of recbole_logq"
        )
    if not is_packaged(parts[0]):
        raise RequestError(
            f"{stored.file}: {parts[0]} is an encoder of your own, and an exported folder holds data, not code; use "
            "recbole_logq.load(checkpoint) where your code is"
        )
    return stored.model


def check_history(history: Any) -> None:
    """Refuse a part of the data that there is not.

    Raises:
        RequestError: The history is none of train, valid and all.
    """
    if history not in files.HISTORIES:
        raise RequestError(f"history={history!r}{nearest(str(history), set(files.HISTORIES))}: train, valid or all")


def _build(scratch: Path, retriever: Retriever, name: str, options: dict[str, int], data: Any) -> dict[str, Any]:
    """Build and measure the index of a folder, with contexts of the training part."""
    from recbole_logq.training.memory import peak_memory_mb

    exact = retriever.index  # nothing else is in the folder yet
    assert isinstance(exact, ExactIndex)
    if name == "exact":
        return {"name": name, "options": {}, "measured": {"index_bytes": exact.n_bytes}}
    kind = APPROXIMATE[name]
    start = perf_counter()
    index = kind.build(retriever.items, **options)
    seconds = perf_counter() - start
    index.save(scratch / files.INDEX)
    ks = sorted({min(k, len(retriever.items) - 1) for k in (10, 100)})
    measured = {
        "build_seconds": round(seconds, 2),
        "index_bytes": (scratch / files.INDEX).stat().st_size,
        "vector_bytes": retriever.items.nbytes,
        **compare_with_exact(index, exact, _some_queries(retriever, data), ks),
        "peak_memory_mb": peak_memory_mb(),
    }
    return {"name": name, "options": {**kind.build_options, **kind.search_options, **options}, "measured": measured}


def _some_queries(retriever: Retriever, data: Any) -> Tensor:
    """Queries of up to a thousand users of the folder, as of the latest time of the data."""
    generator = torch.Generator().manual_seed(2)
    order = torch.randperm(len(retriever.users), generator=generator).tolist()
    able = [place for place in order if not retriever.described.needs_history or retriever.has_history(place)]
    users = [retriever.users[place].as_py() for place in able[:N_MEASURED]]
    contexts = some_contexts(data, retriever.context.columns, len(users), generator)[1]
    at = float(data.flat_times.max()) if retriever.moments.knows_request else None
    return retriever.queries(users=users, contexts=contexts, at=at)


def _of_this_split(result: str, part: str, state: dict[str, Any], fingerprint: dict[str, str]) -> dict[str, Any] | None:
    """A stored result, but not beside a part of the split that has changed since: that would be a false card."""
    if state["fingerprint"].get(part) == fingerprint[part]:
        return state.get(result)
    getLogger().warning(f"the {part} part is not the one that the checkpoint's {result} was made on: it is left out")
    return None


def _results(measured: dict[str, float] | None) -> dict[str, float | None] | None:
    """Metrics; None for one that is no finite number."""
    if measured is None:
        return None
    return {name: value if math.isfinite(value) else None for name, value in measured.items()}


def _finite(value: Any) -> Any:
    """Settings as JSON has them: a number that is not finite becomes its name."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _of_command(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in {"model", "dataset", "data_path"}}

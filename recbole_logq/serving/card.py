"""The README of an exported folder: a model card."""

from __future__ import annotations

import shlex
from typing import Any

from recbole_logq.markup import fenced, in_markdown
from recbole_logq.serving.description import Description
from recbole_logq.serving.moments import Moments

START = ["from recbole_logq.serving import Retriever", "", 'retriever = Retriever.load("this folder")']


def card(
    manifest: dict[str, Any], described: Description, user: str, item: str, context: dict[str, Any] | None = None
) -> str:
    """Markdown.

    Args:
        manifest: Manifest of the folder.
        described: Its encoder.
        user: A user to show in the example.
        item: An item to show there.
        context: What a request knows there, if the model reads it.
    """
    data, training, index = manifest["data"], manifest["training"], manifest["index"]
    visitors = described.reads_history
    further = "k=10, exclude_history=True" + (f", contexts=[{context!r}]" if context else "")
    times = ", times=[[0]]" if described.moments.reads_times else ""
    if described.moments.knows_request and described.moments.unit is None:
        further += ", at=0"
    example = [f'found = retriever.recommend(users=["{_quoted(user)}"], {further})']
    example += [f'found = retriever.recommend(histories=[["{_quoted(item)}"]]{times}, {further})'] if visitors else []
    if described.text_columns:
        texts = {column.name: "..." for column in described.text_columns}
        example.append(f"found = retriever.recommend(texts=[{texts!r}], {further})")
    if manifest["item_texts"] is not None:
        new = {column["name"]: "..." for column in manifest["item_texts"]["texts"]}
        example.append(f'retriever.add_items(["new item"], [{new!r}])')
    if described.second_columns:
        second = {column.name: ["..."] for column in described.second_columns}
        example.append(
            f'found = retriever.recommend(histories=[["{_quoted(item)}"]]{times}, second=[{second!r}], {further})'
        )
    reads = [f"{column.name} ({column.type})" for column in described.context_columns]
    lines = [
        f"# {in_markdown(manifest['model'])} on {in_markdown(data['dataset'])}",
        "",
        f"User encoder and item vectors of recbole_logq {manifest['recbole_logq']}; loads without RecBole:",
        "",
        fenced("\n".join([*START, *example, "found.items, found.scores, found.titles"]), "python"),
        "",
        "Scores are inner products of a query and an item, "
        f"{described.dimensions} numbers each. No log Q is in them: it corrects the training's sampling alone. "
        + (
            "A visitor who was not in training is served from a history."
            if visitors
            else "Users are known by their ids: nobody else can be served."
            if not described.text_columns
            else "A visitor who was not in training is served from texts."
        )
        + (f" A request has a context: {in_markdown(', '.join(reads))}." if reads else "")
        + _times(described.moments),
        "",
        *_similar(described),
        "",
        "## Data",
        "",
        f"- dataset: {in_markdown(data['dataset'])}, {data['users']:,} users, {data['items']:,} items, "
        f"{data['interactions']:,} interactions",
        f"- fingerprint of the split: {_pairs(data['fingerprint'])}",
        f"- histories in this folder: up to `{data['history']}` ({data['history_interactions']:,} interactions); the "
        f"model sees the latest {described.items_seen}"
        if described.items_seen
        else f"- histories in this folder: up to `{data['history']}` ({data['history_interactions']:,} interactions)",
        "",
        "## Protocol and metrics",
        "",
        f"- protocol: {_pairs(training['protocol'])}",
        f"- test: {_pairs(training['test_result']) if training['test_result'] else 'not tested'}",
        f"- validation, of the epoch that is exported: {_pairs(training['best_valid_result']) or 'none'}",
        "",
        "## Index",
        "",
        f"- {index['name']} {index['options'] or ''}".rstrip(),
        *(f"- {name.replace('_', ' ')}: {value:,}" for name, value in index["measured"].items()),
        "",
        "## How it was made",
        "",
        fenced(f"{training['command']}\n{manifest['command']}"),
        "",
        f"- trained with: {_pairs(training['versions']) or 'unknown versions'}",
        f"- exported with: {_pairs(manifest['versions'])}",
        f"- largest difference of the exported encoder from the model: {manifest['largest_difference']:.1e}",
        "- settings: `config.json`; files and their SHA-256: `manifest.json`",
        "",
    ]
    return "\n".join(lines)


def _similar(described: Description) -> list[str]:
    cosine = described.scorer.similarity == "cosine"
    scores = "the cosine of two items' vectors" if cosine else "the inner product of two items' vectors"
    by_queries = ', or with `by="queries"` by the mean score of an item in the queries that users of this folder had '
    by_queries += "just before the other"
    text = f"`retriever.similar([item], k=10)` scores by {scores}{by_queries if described.keeps_requests else ''}."
    return ["## Similar items", "", text]


def _times(moments: Moments) -> str:
    unit = f"{moments.unit} since 1970" if moments.unit else "the unit of the data, which is no count from 1970 on"
    default = "now by default" if moments.unit else "it has no default"
    known = f"**knows when it is asked** (`at`, or a column `time`; {default})"
    if not moments.reads_times:
        return f" The model {known}, in {unit}." if moments.knows_request else ""
    request = f"it {known}" if moments.knows_request else "it does not know when it is asked"
    return f" The model reads when the items of a history were had, in {unit}; {request}."


def command_line(command: str, settings: dict[str, Any]) -> str:
    """A command as a user would type it."""
    words = [f"--{key}={value}" for key, value in _flat(settings).items()]
    return shlex.join(["python", "run_recbole_logq.py", *([command] if command else []), *words])


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and value and all(isinstance(name, str) and name.isidentifier() for name in value):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _pairs(values: dict[str, Any] | None) -> str:
    return in_markdown(", ".join(f"{key} {value}" for key, value in (values or {}).items()))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")

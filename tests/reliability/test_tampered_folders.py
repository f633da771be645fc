"""Exported folders in which something was changed, as a table: each is answered in one line, and nothing in it runs.

Whoever changes a folder can write its sums anew, and so do these tests.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.serving.export import export
from recbole_logq.serving.folder_tables import PLAINLY

Change = Callable[[Path], None]
FOLDER = "served"
TIMED = {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"}}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sequence": ("SASRecLogQ", "hnsw", {"n_layers": 1, "n_heads": 2, "inner_size": 8}),
    "history": (
        "TwoTowerLogQ",
        "exact",
        {
            **TIMED,
            "user_tower": "history",
            "max_history": 5,
            "history_pooling": "attention",
            "mlp_sizes": [8],
            "temperature_mode": "learned",
            "item_features": ["class"],
            "user_features": ["job", "likes", "age", "taste"],
            "context_features": ["hour", "device"],
        },
    ),
    "texts": (
        "TwoTowerLogQ",
        "exact",
        {
            **TIMED,
            "user_tower": "history",
            "max_history": 5,
            "item_text": ["title"],
            "user_text": ["likes"],
            "text_buckets": 64,
            "second_histories": {"search": "query"},
            "request_time": "known",
        },
    ),
    "user": (
        "TwoTowerLogQ",
        "ivfpq",
        {"temperature_mode": "scheduled", "temperature_end": 0.1, "temperature_steps": 9},
    ),
}


@dataclass(frozen=True)
class Case:
    """What is changed in the folder of a model.

    Attributes:
        sealed: Whether the sums of the files are written anew.
    """

    name: str
    model: str
    change: Change
    sealed: bool = True


class Trap:
    """Makes a file named ``ran`` where it is unpickled."""

    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


CODE = "__import__('pathlib').Path('ran').touch()"


# What can be done to a file


def put(path: Path, content: bytes) -> None:
    """Write a file anew; its old content stays where it is linked from."""
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def edit(file: str, change: Callable[[bytes], bytes]) -> Change:
    return lambda folder: put(folder / file, change((folder / file).read_bytes()))


def remove(file: str) -> Change:
    return lambda folder: (folder / file).unlink()


def as_folder(file: str) -> Change:
    def change(folder: Path) -> None:
        (folder / file).unlink()
        (folder / file).mkdir()

    return change


def as_link(file: str) -> Change:
    def change(folder: Path) -> None:
        elsewhere = folder.with_name(f"{folder.name}-elsewhere")
        shutil.move(folder / file, elsewhere)
        (folder / file).symlink_to(elsewhere.absolute())

    return change


def pickled() -> bytes:
    file = io.BytesIO()
    torch.save({"a": Trap()}, file)
    return file.getvalue()


def damages(file: str, model: str) -> list[Case]:
    """Of any file."""
    cut = edit(file, lambda content: content[: len(content) // 2])
    changes = {
        "is missing": remove(file),
        "is a folder": as_folder(file),
        "is a link to another folder": as_link(file),
        "is empty": edit(file, lambda _: b""),
        "is cut in half": cut,
        "is a pickle": edit(file, lambda _: pickle.dumps(Trap())),
        "is a pickle of torch": edit(file, lambda _: pickled()),
    }
    sealed = file != "manifest.json"
    found = [Case(f"{file} {what}", model, change, sealed) for what, change in changes.items()]
    return [*found, Case(f"{file} is cut in half, its sum is not", model, cut, sealed=False)] if sealed else found


# JSON


def at(content: Any, path: str) -> tuple[Any, Any]:
    """What holds the last part of a path, and that part."""
    *parts, last = (int(part) if part.isdigit() else part for part in path.split("/"))
    for part in parts:
        content = content[part]
    return content, last


def shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 50 else f"{text[:20]}...{text[-20:]}"


def field(path: str, value: Any, model: str = "sequence") -> Case:
    """Another value of a field of the manifest."""

    def change(folder: Path) -> None:
        content = json.loads((folder / "manifest.json").read_text())
        holder, key = at(content, path)
        holder[key] = value
        put(folder / "manifest.json", json.dumps(content).encode())

    sealed = not path.startswith("files/config.json")
    name = path.replace("/", ".").replace("\x1b", "\\u001b")
    return Case(f"manifest.json: {name} = {shown(value)}", model, change, sealed)


def lacking(path: str) -> Case:
    def change(folder: Path) -> None:
        content = json.loads((folder / "manifest.json").read_text())
        holder, key = at(content, path)
        del holder[key]
        put(folder / "manifest.json", json.dumps(content).encode())

    return Case(f"manifest.json: no {path.replace('/', '.')}", "sequence", change)


def text(file: str, what: str, change: Callable[[str], str | bytes]) -> Case:
    def encoded(content: bytes) -> bytes:
        found = change(content.decode())
        return found if isinstance(found, bytes) else found.encode()

    return Case(f"{file}: {what}", "sequence", edit(file, encoded), sealed=file != "manifest.json")


def texts(file: str) -> list[Case]:
    """Of a JSON file."""
    return [
        text(file, "no UTF-8", lambda content: content.encode("utf-16")),
        text(file, "a list", lambda content: f"[{content}]"),
        text(file, "100,000 lists in one another", lambda _: "[" * 100_000 + "]" * 100_000),
        text(file, "NaN", lambda content: content.replace("{", '{"a": NaN,', 1)),
        text(file, "a number beyond all floats", lambda content: content.replace("{", '{"a": 1e999,', 1)),
        text(file, "a number of 10,000 digits", lambda content: content.replace("{", f'{{"a": {"9" * 10_000},', 1)),
        text(file, "a key twice", lambda content: content.replace("{", '{"model": "b",', 1)),
        text(file, "half a character", lambda content: content.replace("{", '{"\\ud800": 1,', 1)),
        text(file, "20 MB of blanks", lambda content: content + " " * 20_000_000),
    ]


# Tables


def table(file: str, what: str, change: Callable[[dict[str, Any]], Any], **written: Any) -> Case:
    """A table with other columns, written as `export` does it."""

    def changed(folder: Path) -> None:
        columns = {name: column.combine_chunks() for name, column in zip_columns(pq.read_table(folder / file))}
        columns = change(columns) or columns
        memory = io.BytesIO()
        pq.write_table(pa.table(columns), memory, **{**PLAINLY, **written})
        put(folder / file, memory.getvalue())

    return Case(f"{file}: {what}", "history", changed)


def zip_columns(found: pa.Table) -> Iterator[tuple[str, Any]]:
    return zip(found.column_names, found.columns, strict=True)


def column(name: str, change: Callable[[list[Any]], list[Any]], kind: Any = None) -> Callable[[dict[str, Any]], None]:
    """Other values, or of another type."""

    def changed(columns: dict[str, Any]) -> None:
        columns[name] = pa.array(change(columns[name].to_pylist()), kind or columns[name].type)

    return changed


def broken_text(columns: dict[str, Any]) -> None:
    names = [b"\xff\xfe", *(token.encode() for token in columns["item"].to_pylist()[1:])]
    columns["item"] = pa.array(names, pa.binary()).cast(pa.string(), safe=False)


def without(*names: str) -> Callable[[dict[str, Any]], Any]:
    return lambda columns: {name: values for name, values in columns.items() if name not in names}


def less(n: int = 1) -> Callable[[dict[str, Any]], Any]:
    return lambda columns: {name: values[:-n] for name, values in columns.items()}


def first(value: Any) -> Callable[[list[Any]], list[Any]]:
    return lambda values: [value, *values[1:]]


def second_is_first(values: list[Any]) -> list[Any]:
    return [values[0], values[0], *values[2:]]


# Tensors


def tensors(file: str, what: str, model: str, change: Callable[[dict[str, Any]], Any]) -> Case:
    def changed(folder: Path) -> None:
        found = load_file(folder / file)
        found = change(found) or found
        put(folder / file, save({name: values.contiguous() for name, values in found.items()}))

    return Case(f"{file} ({model}): {what}", model, changed)


def tensor(
    name: str, what: str, change: Callable[[torch.Tensor], Any], model: str, file: str = "encoder.safetensors"
) -> Case:
    """Another tensor, or the same with another first number."""

    def changed(found: dict[str, Any]) -> None:
        value = change(found[name])
        if isinstance(value, torch.Tensor):
            found[name] = value
        else:
            found[name].view(-1)[0] = value

    return tensors(file, f"{name} {what}", model, changed)


def weights(model: str, *names: str) -> list[Case]:
    return [tensor(name, "with NaN", lambda _: float("nan"), model) for name in names]


def index(name: str, what: str, change: Callable[[torch.Tensor], Any], model: str = "sequence") -> Case:
    return tensor(name, what, change, model, "index.safetensors")


def entry_below(found: dict[str, Any]) -> None:
    found["entry"][0] = int(found["levels"].argmin())


def link_below(found: dict[str, Any]) -> None:
    """The first link of the second level goes to an item that has none."""
    levels = found["levels"]
    top = int(levels.argmax())
    n_links = 64 + 32 * (levels - 1)  # of 32 neighbours
    found["neighbours"][int(n_links[:top].sum()) + 64] = int((levels == 1).nonzero()[0])


# The array of vectors


def array(what: str, change: Callable[[np.ndarray], Any]) -> Case:
    def changed(content: bytes) -> bytes:
        file = io.BytesIO()
        np.save(file, change(np.load(io.BytesIO(content))), allow_pickle=True)
        return file.getvalue()

    return Case(f"item_vectors.npy: {what}", "sequence", edit("item_vectors.npy", changed))


def head(what: str, change: Callable[[bytes], bytes]) -> Case:
    """Another head, of the same length."""

    def changed(content: bytes) -> bytes:
        size = int.from_bytes(content[8:10], "little")
        return content[:10] + change(content[10 : 10 + size].rstrip()).ljust(size - 1) + b"\n" + content[10 + size :]

    return Case(f"item_vectors.npy: {what}", "sequence", edit("item_vectors.npy", changed))


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(vectors: np.ndarray) -> np.ndarray:
        vectors[3, 2] = value
        return vectors

    return change


def objects(vectors: np.ndarray) -> np.ndarray:
    found = np.empty(len(vectors), dtype=object)
    found[:] = [Trap() for _ in vectors]
    return found


def old_format(folder: Path) -> None:
    """As exports of format 1 were: the encoder was a program."""
    (folder / "encoder.safetensors").rename(folder / "encoder.pt2")
    content = json.loads((folder / "manifest.json").read_text())
    content |= {"format_version": 1, "dimensions": 8, "needs_history": True}
    content["files"]["encoder.pt2"] = content["files"].pop("encoder.safetensors")
    put(folder / "manifest.json", json.dumps(content).encode())


def footer(what: str, change: Callable[[bytes], bytes]) -> Case:
    return Case(f"users.parquet: {what}", "history", edit("users.parquet", change))


OUTSIDE = {"../config.json": {"bytes": 1, "sha256": "0" * 64}}
TWICE = [{"name": "hour", "type": "float32"}, {"name": "hour", "type": "float32"}]
TOKENS = {"name": "device", "type": "token", "n_tokens": 9}
WORDS = {"name": "title", "buckets": 64, "parts": 9}
SEAL = {"bytes": 1, "sha256": "0" * 64}
NORMS = ("attention_norm", "feed_forward_norm", "query_key_value", "output", "inner", "outer")

CASES = [
    Case("an export of format 1, whose encoder was a program", "sequence", old_format),
    # manifest.json
    *damages("manifest.json", "sequence"),
    *texts("manifest.json"),
    *[
        lacking(path)
        for path in (
            *("format", "format_version", "recbole_logq", "model", "encoder", "encoder/kind", "encoder/scorer", "data"),
            *("data/users", "training", "versions", "command", "index", "index/options", "largest_difference", "files"),
            "files/encoder.safetensors",
        )
    ],
    field("more", 1),
    field("format", "zip"),
    field("format_version", 1),
    field("format_version", 3),
    field("format_version", "2"),
    field("format_version", True),
    field("recbole_logq", 1),
    field("model", "\x1b[2J"),
    field("model", "BPR"),
    field("encoder", None),
    field("encoder/guards_code", [CODE]),
    field("encoder/\x1b[2J", 1),
    field("encoder/kind", "torch.export"),
    field("encoder/kind", "\x1b[2J"),
    field("encoder/kind", "user"),
    field("encoder/size", 1 << 62),
    field("encoder/size", 1 << 16),
    field("encoder/size", "8"),
    field("encoder/scorer", CODE),
    field("encoder/scorer/similarity", "manhattan"),
    field("encoder/scorer/temperature", 0),
    field("encoder/scorer/mode", "learned"),
    field("encoder/scorer/mode", "scheduled"),
    field("encoder/scorer/end", 0.5),
    field("encoder/scorer/steps", -1),
    field("encoder/max_history", 1 << 40),
    field("encoder/n_layers", 1 << 30),
    field("encoder/n_layers", 1000),
    field("encoder/n_layers", 2),
    field("encoder/n_heads", 3),
    field("encoder/inner_size", 1 << 16),
    field("encoder/block", CODE),
    field("encoder/block", "ligr"),
    field("encoder/norm", "post"),
    field("encoder/feed_forward", "swiglu"),
    field("encoder/positions", "learned"),
    field("encoder/input_norm", False),
    field("encoder/scale_embedding", 1),
    field("encoder/time", "gaps"),
    field("encoder/request_time", "guessed"),
    field("encoder/time_buckets", 2),
    field("encoder/bias_weights", "mine"),
    field("encoder/time_unit", "days"),
    field("encoder/mlp_sizes", [1 << 16], "history"),
    field("encoder/mlp_sizes", [8] * 70, "history"),
    field("encoder/mlp_sizes", [8, 8], "history"),
    field("encoder/pooling", "mean", "history"),
    field("encoder/max_history", 6, "history"),
    field("encoder/time", "bias", "history"),
    field("encoder/time_context", ["month"], "history"),
    field("encoder/time_context", ["hour"], "user"),
    field("encoder/user_fields", [], "history"),
    field("encoder/user_fields/0/type", "float32", "history"),
    field("encoder/user_fields/0/n_tokens", 1 << 39, "history"),
    field("encoder/user_fields/1/length", 1 << 16, "history"),
    field("encoder/user_fields/2/type", "float16", "history"),
    field("encoder/user_fields/3/length", None, "history"),
    field("encoder/context", [], "history"),
    field("encoder/context", TWICE, "history"),
    field("encoder/context/0/name", "", "history"),
    field("encoder/context/0/type", "int8", "history"),
    field("encoder/context/1/name", "phone", "history"),
    field("encoder/context/1", TOKENS, "history"),
    field("encoder/scorer/mode", "fixed", "history"),
    field("encoder/kind", "history", "user"),
    field("encoder/scorer/steps", None, "user"),
    field("data/dataset", ["tiny"]),
    field("data/dataset", "other"),
    field("data/users", 61),
    field("data/users", 1 << 39, "user"),
    field("data/items", 1 << 39),
    field("data/items", 0),
    field("data/interactions", 1.5),
    field("data/fingerprint", {}),
    field("data/fingerprint/train", None),
    field("data/fingerprint/valid", "0123456789ABCDEF"),
    field("data/fingerprint/test", CODE),
    field("data/id_fingerprint", "0"),
    field("data/history", "test"),
    field("data/history_interactions", 7),
    field("data/code", CODE),
    field("training/protocol", [CODE]),
    field("training/test_result", {"ndcg@10": "high"}),
    field("training/best_valid_result", 1),
    field("training/versions", {"torch": 2}),
    field("training/command", [CODE]),
    field("training/more", None),
    field("versions", {"torch": "\n"}),
    field("command", 1),
    field("index/name", "pickle"),
    field("index/name", "exact"),
    field("index/name", "ivfpq"),
    field("index/options", {"ef_search": 9}),
    field("index/options/ef_search", 1 << 31),
    field("index/options/neighbours", 1),
    field("index/options/neighbours", 1 << 30),
    field("index/options/neighbours", 16),
    field("index/measured", {"queries": -1}),
    field("largest_difference", "small"),
    field("files", []),
    field("files", OUTSIDE),
    field("files/..\\manifest.json", SEAL),
    field("files/encoder.pt2", SEAL),
    field("files/config.json", "0" * 64),
    field("files/config.json/bytes", -1),
    field("files/config.json/sha256", "0" * 63),
    # config.json
    *damages("config.json", "sequence"),
    *texts("config.json")[:2],
    text("config.json", "of another model", lambda content: content.replace('"SASRecLogQ"', '"BPR"')),
    text("config.json", "of another dataset", lambda content: content.replace('"dataset": "tiny"', '"dataset": "b"')),
    # Tables
    *damages("items.parquet", "sequence"),
    table("items.parquet", "no items", without("item")),
    table("items.parquet", "a column more", lambda columns: {**columns, "code": columns["item"]}),
    table("items.parquet", "an item less", less()),
    table("items.parquet", "items as numbers", column("item", lambda items: [*range(len(items))], pa.int64())),
    table("items.parquet", "an item is missing", column("item", first(None))),
    table("items.parquet", "an item twice", column("item", second_is_first)),
    table("items.parquet", "an item that is no UTF-8", broken_text),
    table("items.parquet", "titles as numbers", column("title", lambda items: [*range(len(items))], pa.int64())),
    table("items.parquet", "compressed", lambda _: None, compression="zstd"),
    table("items.parquet", "with a dictionary", lambda _: None, use_dictionary=True),
    *damages("users.parquet", "sequence"),
    table("users.parquet", "no users", without("user")),
    table("users.parquet", "no histories", without("history")),
    table("users.parquet", "a user less", less()),
    table("users.parquet", "a user is missing", column("user", first(None))),
    table("users.parquet", "a user twice", column("user", second_is_first)),
    table("users.parquet", "users as numbers", column("user", lambda users: [*range(len(users))], pa.int64())),
    table("users.parquet", "a history that is missing", column("history", first(None))),
    table("users.parquet", "an item of a history is missing", column("history", first([None] * 12))),
    table("users.parquet", "an item beyond the catalogue", column("history", first([1 << 30] * 12))),
    table("users.parquet", "an item below 1", column("history", first([0] * 12))),
    table("users.parquet", "a history longer than it was", column("history", first([1] * 13))),
    table(
        "users.parquet",
        "histories of text",
        column("history", lambda lists: [["a"] for _ in lists], pa.large_list(pa.string())),
    ),
    table(
        "users.parquet", "histories of floats", column("history", lambda lists: lists, pa.large_list(pa.float32()))
    ),
    table("users.parquet", "histories of one item", column("history", lambda lists: [1 for _ in lists], pa.int32())),
    table("users.parquet", "a history of a million items", column("history", first([1] * 1_000_000))),
    table("users.parquet", "the same, compressed", column("history", first([1] * 1_000_000)), compression="zstd"),
    footer("a footer of noise", lambda content: content[:-200] + bytes(192) + content[-8:]),
    *damages("context.parquet", "history"),
    table("context.parquet", "no tokens", without("token")),
    table("context.parquet", "a token less", less()),
    table("context.parquet", "a token is missing", column("token", first(None))),
    table("context.parquet", "a token twice", column("token", second_is_first)),
    table("context.parquet", "a token of another column", column("column", first("phone"))),
    table("context.parquet", "a column that is missing", column("column", first(None))),
    # Vectors
    *damages("item_vectors.npy", "sequence"),
    array("NaN", with_value(np.nan)),
    array("infinity", with_value(-np.inf)),
    array("a number whose products are beyond float32", with_value(1e30)),
    array("float64", lambda vectors: vectors.astype(np.float64)),
    array("whole numbers", lambda vectors: vectors.astype(np.int32)),
    array("one dimension", lambda vectors: vectors.ravel()),
    array("columns first", np.asfortranarray),
    array("an item less", lambda vectors: vectors[1:]),
    array("objects, pickled", objects),
    head("a head of terabytes", lambda text: re.sub(rb"\(\d+, 8\)", b"(999999999999, 8)", text)),
    head("a head of a negative size", lambda text: re.sub(rb"\(\d+, 8\)", b"(-1, 8)", text)),
    head("code for a head", lambda _: CODE.encode()),
    Case("item_vectors.npy: bytes after the end", "sequence", edit("item_vectors.npy", lambda content: content + b"0")),
    # The encoder
    *damages("encoder.safetensors", "sequence"),
    Case(
        "encoder.safetensors: a head of 2^60 bytes",
        "sequence",
        edit("encoder.safetensors", lambda content: (1 << 60).to_bytes(8, "little") + content[8:]),
    ),
    Case(
        "encoder.safetensors: bytes after the end",
        "sequence",
        edit("encoder.safetensors", lambda content: content + b"0"),
    ),
    tensors("encoder.safetensors", "a tensor more", "sequence", lambda found: {**found, "code": torch.ones(1)}),
    tensors(
        "encoder.safetensors",
        "a tensor less",
        "sequence",
        lambda found: {name: values for name, values in found.items() if name != "item_embedding.weight"},
    ),
    tensor("item_embedding.weight", "without its last row", lambda values: values[:-1], "sequence"),
    tensor("item_embedding.weight", "of float64", lambda values: values.double(), "sequence"),
    tensor("item_embedding.weight", "transposed", lambda values: values.T, "sequence"),
    *weights("sequence", "item_embedding.weight", "encoder.input_norm.weight", "encoder.input_norm.bias"),
    *weights("sequence", *(f"encoder.blocks.0.{name}.{kind}" for name in NORMS for kind in ("weight", "bias"))),
    *weights("sequence", "encoder.final_norm.weight", "encoder.final_norm.bias"),
    *weights("history", "item_embedding.weight", "user_tower.empty", "user_tower.attention.query"),
    *weights("history", "user_tower.attention.recency", "user_tower.mlp.0.weight", "user_tower.mlp.0.bias"),
    *weights("history", "scorer.log_scale"),
    tensor("scorer.log_scale", "of 1,000", lambda _: 1000.0, "history"),
    tensor("encoder.final_norm.bias", "of 1e38", lambda _: 1e38, "sequence"),
    *weights("history", "user_fields.fields.0.embedding.weight", "user_fields.fields.1.embedding.weight"),
    tensor("user_fields.fields.0.known", "beyond the tokens", lambda _: 99, "history"),
    tensor("user_fields.fields.1.known", "of a token less", lambda values: values[:-1], "history"),
    *weights("history", "user_fields.fields.2.scale", "user_fields.fields.2.linear.bias"),
    *weights("history", "user_fields.fields.3.mean", "user_fields.fields.3.linear.weight"),
    tensor("user_fields.values_0", "beyond the tokens", lambda _: 99, "history"),
    tensor("user_fields.values_1", "below 0", lambda _: -1, "history"),
    tensor("user_fields.values_1", "of 64 bits", lambda values: values.long(), "history"),
    *weights("history", "user_fields.values_2", "user_fields.values_3", "user_fields.fields.2.mean"),
    *weights("history", "user_fields.fields.2.linear.weight", "user_fields.fields.3.linear.bias"),
    tensor("user_fields.fields.3.scale", "of 0", lambda _: 0.0, "history"),
    tensor("user_fields.seen", "as bytes", lambda values: values.byte() + 7, "history"),
    *weights("history", "context.fields.0.mean", "context.fields.0.linear.weight", "context.fields.0.linear.bias"),
    tensor("context.fields.0.scale", "below 0", lambda _: -1.0, "history"),
    tensor("context.fields.1.known", "below 0", lambda _: -1, "history"),
    *weights("history", "context.fields.1.embedding.weight"),
    *weights("user", "user_tower.embedding.weight"),
    tensor("scorer.step", "below 0", lambda _: -1, "user"),
    tensor("scorer.step", "as a number of floats", lambda values: values.float(), "user"),
    # Texts and second histories
    *damages("item_encoder.safetensors", "texts"),
    *damages("second_histories.safetensors", "texts"),
    field("item_texts", None, "texts"),
    field("item_texts/code", CODE, "texts"),
    field("item_texts/texts", [], "texts"),
    field("item_texts/texts/0/buckets", 1 << 30, "texts"),
    field("item_texts/mlp_sizes", [8], "texts"),
    field("item_texts/size", 9, "texts"),
    field("item_texts/cosine", "yes", "texts"),
    field("item_texts", {"size": 8, "mlp_sizes": [], "cosine": True, "texts": [WORDS]}, "user"),
    field("encoder/texts", [], "texts"),
    field("encoder/texts/0/width", None, "texts"),
    field("encoder/texts/0/width", 9, "texts"),
    field("encoder/texts/0/name", "\x1b[2J", "texts"),
    field("encoder/texts", [{**WORDS, "width": 3}], "user"),
    field("encoder/second", [], "texts"),
    field("encoder/second/0/kept", 1 << 50, "texts"),
    field("encoder/second/0/buckets", 63, "texts"),
    field("encoder/second/0/several", 1, "texts"),
    *weights("texts", "user_texts.fields.0.embedding.weight", "second.fields.0.embedding.weight"),
    tensor("user_texts.values_0", "beyond the buckets", lambda _: 65, "texts"),
    tensor("user_texts.fields.0.known", "below 0", lambda _: -1, "texts"),
    tensor("user_texts.seen", "as bytes", lambda values: values.byte() + 7, "texts"),
    tensor("second.fields.0.known", "below 0", lambda _: -1, "texts"),
    tensor("texts.fields.0.known", "beyond the buckets", lambda _: 65, "texts", "item_encoder.safetensors"),
    tensor("unknown", "with NaN", lambda _: float("nan"), "texts", "item_encoder.safetensors"),
    tensor("texts.fields.0.embedding.weight", "with NaN", lambda _: float("nan"), "texts", "item_encoder.safetensors"),
    tensor("search.offsets", "that do not begin at 0", lambda _: 1, "texts", "second_histories.safetensors"),
    tensor("search.offsets", "that descend", lambda values: values.flip(0), "texts", "second_histories.safetensors"),
    tensor("search.buckets", "beyond the buckets", lambda _: 65, "texts", "second_histories.safetensors"),
    tensor("search.buckets", "of 0", lambda _: 0, "texts", "second_histories.safetensors"),
    # The index
    *damages("index.safetensors", "sequence"),
    tensors("index.safetensors", "a tensor more", "sequence", lambda found: {**found, "code": torch.ones(1)}),
    index("levels", "of an item less", lambda values: values[:-1]),
    index("levels", "of 0", lambda _: 0),
    index("levels", "of 1,000", lambda _: 1000),
    index("levels", "of 64 bits", lambda values: values.long()),
    index("neighbours", "one less", lambda values: values[:-1]),
    index("neighbours", "none", lambda values: values[:0]),
    index("neighbours", "beyond the catalogue", lambda _: 1 << 30),
    index("neighbours", "below -1", lambda _: -2),
    tensors("index.safetensors", "a link to an item that is not on its level", "sequence", link_below),
    index("entry", "beyond the catalogue", lambda _: 1 << 40),
    index("entry", "below 0", lambda _: -1),
    tensors("index.safetensors", "an entry that is not on the highest level", "sequence", entry_below),
    index("cells", "with NaN", lambda _: float("nan"), "user"),
    index("cells", "of another dimension", lambda values: values[:, 1:], "user"),
    index("cells", "none", lambda values: values[:0], "user"),
    index("words", "with NaN", lambda _: float("nan"), "user"),
    index("words", "of one byte more", lambda values: torch.cat([values, values[:1]]), "user"),
    index("sizes", "below 0", lambda _: -1, "user"),
    index("sizes", "beyond all items", lambda _: 1 << 62, "user"),
    index("codes", "of an item less", lambda values: values[:-1], "user"),
    index("items", "beyond the catalogue", lambda _: 1 << 40, "user"),
    index("items", "twice", lambda values: int(values[1]), "user"),
]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each model."""
    folder, before = tmp_path_factory.mktemp("folders"), Path.cwd()
    os.chdir(folder)
    try:
        write_data(folder / "data" / "tiny")
        found = {}
        for name, (model, kind, settings) in MODELS.items():
            quiet = {"data_path": "data", "epochs": 1, "state": "ERROR", "show_progress": False}
            result = run(
                model, "tiny", config_dict={**quiet, "embedding_size": 8, "MAX_ITEM_LIST_LENGTH": 9, **settings}
            )
            export(result["checkpoint"], name, index=kind)
            found[name] = folder / name
        return found
    finally:
        os.chdir(before)


def write_data(folder: Path) -> None:
    """60 users with 12 of 300 items each, and features of every type."""
    folder.mkdir(parents=True)
    draw = random.Random(0)
    lines = ["user_id:token\titem_id:token\ttimestamp:float\thour:float\tdevice:token"]
    items = [item % 300 for item in range(720)]
    for user in range(60):
        for place, item in enumerate(draw.sample(items[12 * user : 12 * user + 12], 12)):
            lines.append(f"u{user}\ti{item}\t{100 * user + place}\t{place}\t{draw.choice(['web', 'tv'])}")
    (folder / "tiny.inter").write_text("\n".join(lines) + "\n")
    lines = ["user_id:token\tjob:token\tlikes:token_seq\tage:float\ttaste:float_seq"]
    lines += [f"u{user}\t{'abc'[user % 3]}\tx y\t{20 + user}\t{user % 5} {user % 7} 1" for user in range(60)]
    (folder / "tiny.user").write_text("\n".join(lines) + "\n")
    lines = ["user_id:token\tquery:token_seq\ttimestamp:float"]
    lines += [f"u{user}\tq{user % 7} q{user % 3}\t{100 * user - 1}" for user in range(60)]
    (folder / "tiny.search").write_text("\n".join(lines) + "\n")
    lines = ["item_id:token\tclass:token\ttitle:token_seq"]
    lines += [f"i{item}\t{'abc'[item % 3]}\tTitle of {item}" for item in range(300)]
    (folder / "tiny.item").write_text("\n".join(lines) + "\n")


def seal(folder: Path) -> None:
    """Write the sums of the manifest anew, as far as it is one."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        for name, sums in manifest["files"].items():
            content = (folder / name).read_bytes()
            sums |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return
    put(folder / "manifest.json", json.dumps(manifest).encode())


def recommend(model: str, *words: str) -> int:
    context = ["--context=hour=3,device=web"] if model == "history" else []
    return main(["recommend", f"--model={FOLDER}", "--users=u0", "--k=3", *context, *words])


def code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_in_one_line(
    case: Case,
    served: dict[str, Path],
    in_tmp: Path,
    capfd: pytest.CaptureFixture[str],
    seen: Callable[..., None],
) -> None:
    folder = in_tmp / FOLDER
    shutil.copytree(served[case.model], folder, copy_function=os.link)
    case.change(folder)
    if case.sealed:
        seal(folder)
    capfd.readouterr()
    status = recommend(case.model)
    out, said = capfd.readouterr()
    assert not Path("ran").exists()
    assert status == 2, f"{out}{said}"
    assert said.count("\n") == 1
    assert said.startswith("error: ")
    assert "unexpected" not in said
    assert re.search(r"export|copy", said)  # what to do
    assert len(said) < 400
    assert said.isascii()
    assert not out
    seen("tampered-folders", case.name, case.model, code(said.strip()))


def test_the_table_is_whole(names_in_page: Callable[[str], list[str]]) -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) > 200
    assert names_in_page("tampered-folders") == names


def test_as_they_were_they_recommend(served: dict[str, Path], in_tmp: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for model, source in served.items():
        shutil.copytree(source, FOLDER, copy_function=os.link)
        seal(Path(FOLDER))
        put(Path(FOLDER) / "README.md", pickled())  # for people: it is not read
        put(Path(FOLDER) / "more.py", CODE.encode())
        assert recommend(model) == 0, capfd.readouterr().err
        assert "Title of" in capfd.readouterr().out
        shutil.rmtree(FOLDER)
    assert not Path("ran").exists()


def test_every_field_and_tensor_and_column_is_in_the_table(served: dict[str, Path]) -> None:
    names = "\n".join(case.name for case in CASES)

    def fields(content: Any, path: str) -> Iterator[str]:
        yield path
        if isinstance(content, dict):
            for key, value in content.items():
                yield from fields(value, f"{path}.{key}" if path else key)

    free = r"^training\.(protocol|test_result|best_valid_result|versions)\.|"
    free += r"^versions\.|^index\.(measured|options)\.|^files\."
    for model, folder in served.items():
        manifest = json.loads((folder / "manifest.json").read_text())
        for path in [path for path in fields(manifest, "") if path and not re.search(free, path)]:
            assert re.search(rf"manifest\.json: (no )?{re.escape(path)}\b", names), path
        for path in folder.iterdir():
            assert path.name == "README.md" or f"{path.name} is missing" in names
            if path.suffix == ".safetensors":
                for name in load_file(path):
                    assert f"{path.name} ({model}): {name} " in names or f"): {name} " in names, name


@pytest.mark.slow
def test_the_traps_go_off_where_something_is_unpickled_or_evaluated(in_tmp: Path) -> None:
    pickle.loads(pickle.dumps(Trap()))
    Path("ran").unlink()
    torch.load(io.BytesIO(pickled()), weights_only=False)
    Path("ran").unlink()
    eval(CODE)
    assert Path("ran").exists()

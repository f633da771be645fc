"""What an exported folder says of itself, and everything that it may say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from recbole_logq.serving.description import EncoderDescription, ItemTextDescription
from recbole_logq.serving.plain import Count, Name, Plain, Text

FORMAT = "recbole_logq export"
VERSION = 2
Print = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Results = Annotated[dict[Name, float | None], Field(max_length=10_000)]
Versions = Annotated[dict[Name, Name], Field(max_length=100)]


class FileSeal(Plain):
    """What a file must be."""

    bytes: Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Fingerprint(Plain):
    """Fingerprint of the parts of the split."""

    train: Print
    valid: Print
    test: Print


class DataSection(Plain):
    """What was trained on, and what the folder knows."""

    dataset: Name
    users: Annotated[int, Field(ge=1, le=1 << 40)]
    items: Annotated[int, Field(ge=1, le=1 << 40)]
    interactions: Count
    fingerprint: Fingerprint
    id_fingerprint: Print
    history: Literal["train", "valid", "all"]
    history_interactions: Count


class TrainingSection(Plain):
    """How the model was trained and what it reached."""

    protocol: dict[Name, JsonValue]
    test_result: Results | None
    best_valid_result: Results | None
    versions: Versions | None
    command: Text


class IndexSection(Plain):
    """What is searched."""

    name: Literal["exact", "hnsw", "ivfpq"]
    options: dict[Name, Annotated[int, Field(ge=0, lt=1 << 31)]]
    measured: dict[Name, Annotated[int | float, Field(ge=0)]]


class Manifest(Plain):
    """``manifest.json``."""

    format: Literal["recbole_logq export"]
    format_version: Literal[2]
    recbole_logq: Name
    model: Name
    encoder: EncoderDescription
    # What folders from before there were texts do not have.
    item_texts: ItemTextDescription | None = None
    data: DataSection
    training: TrainingSection
    versions: Versions
    command: Text
    index: IndexSection
    largest_difference: Annotated[float, Field(ge=0, le=1)] | None
    files: Annotated[dict[Name, FileSeal], Field(max_length=20)]

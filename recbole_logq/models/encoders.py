"""Encoders by name: this package's, declared without importing them, and those that plug-ins register.

An encoder is a class that mixes :class:`~recbole_logq.models.retrieval.RetrievalMixin` into a recommender of RecBole's.
Its attribute ``settings`` is the schema of its settings; their defaults are the schema's.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from recbole_logq.errors import RequestError
from recbole_logq.models.defaults import PROPERTIES, defaults_of
from recbole_logq.parsing import read_yaml
from recbole_logq.registry import encoders
from recbole_logq.settings import RetrievalSettings, SASRecSettings, TwoTowerSettings


class Encoder(NamedTuple):
    """A declared encoder: importing its class takes RecBole, and listing it does not.

    Attributes:
        module: Module with the class of the encoder's name.
        settings: Schema of its settings.
        defaults: YAML file of their defaults.
        sequential: Whether RecBole takes its models for sequential ones.
    """

    module: str
    settings: type[RetrievalSettings]
    defaults: Path
    sequential: bool = False


encoders.add(
    "TwoTower",
    Encoder("recbole_logq.models.two_tower", TwoTowerSettings, PROPERTIES / "model" / "TwoTower.yaml"),
    summary="user and item towers; rows are interactions. Plain retrieval, serves from an index",
)
encoders.add(
    "SASRec",
    Encoder("recbole_logq.models.sasrec", SASRecSettings, PROPERTIES / "model" / "SASRec.yaml", True),
    summary="causal transformer over the item sequence; rows are positions. Best where order matters",
)


def encoder_class(name: str) -> type:
    """The class of an encoder.

    Raises:
        RequestError: What is registered is no encoder.
    """
    entry = encoders.get(name)
    if isinstance(entry, Encoder):
        packaged: type = getattr(import_module(entry.module), name)
        return packaged
    check_encoder_class(name, entry)
    return entry


def encoder_settings(name: str) -> type[RetrievalSettings]:
    """The schema of an encoder's settings."""
    entry = encoders.get(name)
    if isinstance(entry, Encoder):
        return entry.settings
    base = _base_of(entry)
    return getattr(entry, "settings", RetrievalSettings if base is None else base.settings)


def encoder_defaults(name: str) -> dict[str, Any]:
    """Defaults of an encoder's settings."""
    entry = encoders.get(name)
    if isinstance(entry, Encoder):
        return read_yaml(entry.defaults)
    base, schema = _base_of(entry), encoder_settings(name)
    if base is None or not issubclass(schema, base.settings):
        return defaults_of(schema)
    return defaults_of(schema, base.settings, base.defaults)


def _base_of(entry: Any) -> Encoder | None:
    """The encoder of this package that a class is derived from: it has the settings of that one, unless it says so."""
    made_from = {(base.__module__, base.__name__) for base in getattr(entry, "__mro__", ())}
    packaged = {name: encoder for name in encoders.names() if isinstance(encoder := encoders.get(name), Encoder)}
    return next((encoder for name, encoder in packaged.items() if (encoder.module, name) in made_from), None)


def check_encoder_class(name: str, entry: Any) -> None:
    """Refuse what is no encoder.

    Raises:
        RequestError: The class is no encoder; the message says what it must be.
    """
    from recbole.model.abstract_recommender import AbstractRecommender

    from recbole_logq.models.retrieval import RetrievalMixin

    is_class = isinstance(entry, type)
    if not (is_class and issubclass(entry, RetrievalMixin) and issubclass(entry, AbstractRecommender)):
        raise RequestError(
            f"encoder {name!r} is {entry!r}: make it a class of RetrievalMixin and of a recommender of RecBole's, such "
            "as recbole_logq.models.history_encoder.HistoryEncoder"
        )
    schema: Any = getattr(entry, "settings", RetrievalSettings)
    if not (isinstance(schema, type) and issubclass(schema, RetrievalSettings)):
        raise RequestError(f"encoder {name!r}: its settings are {schema!r}; make them a subclass of RetrievalSettings")
    missing = [method for method in NEEDED if getattr(entry, method) is getattr(RetrievalMixin, method)]
    if missing or not hasattr(entry, "train_loader"):
        raise RequestError(f"encoder {name!r} has no {(missing or ['train_loader'])[0]} (docs/extend.md)")


NEEDED: tuple[str, ...] = ("item_vectors", "rows")
"""What training asks of an encoder; a ``HistoryEncoder`` (``history_encoder.py``) has all but the first."""


def is_sequential(name: str) -> bool:
    """Whether RecBole takes the models of an encoder for sequential ones."""
    entry = encoders.get(name)
    return entry.sequential if isinstance(entry, Encoder) else entry.type.name == "SEQUENTIAL"


def is_packaged(name: str) -> bool:
    """Whether an encoder is one of this package."""
    return isinstance(encoders.get(name), Encoder)

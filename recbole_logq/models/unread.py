"""Settings of encoders that an encoder of one's own may leave unread: given all the same, they would change nothing."""

from __future__ import annotations

import inspect
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.models.defaults import defaults_of
from recbole_logq.settings import RetrievalSettings

READ_THROUGH = {
    "embedding_size": (),
    "gradient_cache": (),
    "sparse_embeddings": ("sparse_rule", "feature_embedding", "entity_fields", "context_fields"),
    "user_features": (),
    "item_features": (),
    "context_features": (),
    "user_text": ("feature_embedding", "entity_fields"),
    "item_text": ("feature_embedding", "entity_fields"),
    "text_buckets": ("feature_embedding", "entity_fields"),
    "text_length": ("feature_embedding", "entity_fields"),
    "use_item_id": ("feature_embedding",),
    "id_dropout": ("feature_embedding",),
}
"""What no part that all encoders share reads, and the functions of this package that read it for one."""


def check_unread(encoder: type, given: dict[str, Any]) -> None:
    """Refuse settings that no line of an encoder's own code names.

    Args:
        encoder: Its class; one that is derived from an encoder of this package reads what that one does.
        given: What the user set.

    Raises:
        RequestError: A setting is not read; the message names the first.
    """
    modules = dict.fromkeys(base.__module__ for base in encoder.__mro__)
    if {"recbole_logq.models.two_tower", "recbole_logq.models.sasrec"} & modules.keys():
        return
    outside = {name for name in modules if not name.startswith(("recbole.", "recbole_logq.", "torch", "builtins"))}
    bases = [base for base in encoder.__mro__ if base.__module__ in outside]
    try:
        text = "\n".join(inspect.getsource(inspect.getmodule(base) or base) for base in bases)
    except (OSError, TypeError):  # typed at a prompt
        return
    schema = getattr(encoder, "settings", RetrievalSettings)
    defaults = {key: field.default for key, field in schema.model_fields.items()} | defaults_of(schema)
    for key, through in READ_THROUGH.items():
        if given.get(key, defaults[key]) != defaults[key] and not any(word in text for word in (key, *through)):
            raise RequestError(f"{key}={given[key]!r}: no line of {encoder.__name__} reads it; leave it out")

"""Defaults of encoders' settings: the files of this package, and what the schema of a user's own encoder states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_logq.parsing import read_yaml
from recbole_logq.settings import RetrievalSettings

PROPERTIES = Path(__file__).parent.parent / "properties"


def defaults_of(
    schema: type[RetrievalSettings],
    base: type[RetrievalSettings] = RetrievalSettings,
    file: Path = PROPERTIES / "encoder.yaml",
) -> dict[str, Any]:
    """Defaults under the schema of an encoder of the user's own: its own, and for the rest those of another schema.

    Args:
        schema: The encoder's.
        base: The one that it is derived from.
        file: Defaults under that one.
    """
    common = base.model_fields
    stated = {
        key: field.get_default(call_default_factory=True)
        for key, field in schema.model_fields.items()
        if not field.is_required()
        and (key not in common or common[key].is_required() or common[key].default != field.default)
    }
    return {**read_yaml(file), **stated}

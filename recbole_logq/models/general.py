"""This package's models of RecBole's kind, declared without importing them."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from recbole_logq.registry import models
from recbole_logq.settings import CommonSettings, RecentPopSettings


class DeclaredModel(NamedTuple):
    """A declared model: importing its class takes RecBole, and listing it does not.

    Attributes:
        name: Name of the class.
        module: Module of the class.
        settings: Schema of its settings.
    """

    name: str
    module: str
    settings: type[CommonSettings]

    def load(self) -> type:
        """The class."""
        model_class: type = getattr(import_module(self.module), self.name)
        return model_class


models.add(
    "RecentPop",
    DeclaredModel("RecentPop", "recbole_logq.models.recent_pop", RecentPopSettings),
    summary="items by their interactions in the last recent_days of training; the baseline of a temporal split",
)

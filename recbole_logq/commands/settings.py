"""Settings with their meaning, defaults and allowed values."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from recbole_logq.flags import Flags, Name, Plugins, take_flags
from recbole_logq.terminal import say

SUMMARY = "settings with their meaning, default and allowed values; of a model, or all"
POSITIONAL = "model"
"""Flag that a word without dashes stands for."""
EXAMPLES = ("recbole-logq settings", "recbole-logq settings SASRecMNSCorrectedLogQ")


class SettingsFlags(Flags):
    """What the command takes."""

    model: Name | None = Field(None, description="model whose settings are shown, with the defaults that hold for it")
    plugins: Plugins | None = Field(None, description="files and modules of your own whose settings are shown too")
    format: Literal["text", "markdown"] = Field("text", description="what is printed; docs/settings.md is the Markdown")


FLAGS = (SettingsFlags,)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, SettingsFlags)
    from recbole_logq.plugins import load_plugins
    from recbole_logq.reference import all_settings, settings_of_model
    from recbole_logq.reference_text import as_markdown, as_text

    load_plugins(flags.plugins)
    sections = all_settings() if flags.model is None else settings_of_model(flags.model)
    say(as_text(sections) if flags.format == "text" else as_markdown(sections, flags.model).rstrip("\n"))

"""Where in the user's own code an error comes from; whoever takes an error over says so, or the place is lost."""

from __future__ import annotations

import traceback

LOADED: dict[str, str | None] = {}
"""Checksums of the plug-ins' files, by path, and None for modules, by name, that this process has run."""


def place_of(error: BaseException) -> str | None:
    """File and line of a plug-in that an error passed through last; None where it did not."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in LOADED]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else None


def described(error: BaseException) -> str:
    """What an error says, and where in a plug-in it came from, if it did: the place is lost in one that takes over."""
    text = " ".join(str(error).split()) or repr(error)
    place = place_of(error)
    return text if place is None else f"{type(error).__name__}: {text} ({place})"

"""The plug-ins of a checkpoint: it holds their names and checksums, never their code, and nothing it names is run."""

from __future__ import annotations

from logging import getLogger
from pathlib import PurePath
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.plugins import are_loaded, checksums, load_plugins
from recbole_logq.training import checkpoint


def load_asked_plugins(state: dict[str, Any], file: str, plugins: Any) -> None:
    """Run the plug-ins that the user asks for, and no others.

    Args:
        state: A checkpoint's content.
        file: Its name, for messages.
        plugins: The user's setting ``plugins``.

    Raises:
        RequestError: The checkpoint was trained with plug-ins, and none were asked for; or one cannot be run.
    """
    names = _stored_names(state, file)
    if plugins:
        load_plugins(plugins)
        _say_changes(state.get("plugins"), checksums(plugins), file)
    elif names and not are_loaded(names):
        listing = ",".join(names)
        raise RequestError(
            f"{file} was trained with plug-ins {', '.join(names)}: give --plugins={listing} if you trust them"
        )


def say_missing_plugins(file: str, error: RequestError) -> None:
    """Where settings are refused that go on with a checkpoint's training, say which plug-ins it had.

    Raises:
        RequestError: The checkpoint had plug-ins that this process has not run.
    """
    names = _stored_names(checkpoint.load(file), file)
    if not are_loaded(names):
        raise RequestError(f"{error}; {file} was trained with --plugins={','.join(names)}") from error


def _stored_names(state: dict[str, Any], file: str) -> list[str]:
    names = state["config"].get("plugins") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"{file} is damaged: setting plugins is no list of names; give another checkpoint")
    return names


def _say_changes(stored: Any, now: dict[str, str], file: str) -> None:
    by_file = {PurePath(name).name: checksum for name, checksum in now.items()}
    for name, checksum in stored.items() if isinstance(stored, dict) else ():
        if by_file.get(PurePath(str(name)).name, checksum) != checksum:
            getLogger().warning(f"{name} has changed since {file} was trained with it")


def check_class(state: dict[str, Any], file: str, model_class: type | None) -> None:
    """Hold the class that a model is given as against the one that the checkpoint was trained with.

    Args:
        state: The checkpoint's content.
        file: Its name, for messages.
        model_class: The class; None for a model that goes by its name.

    Raises:
        RequestError: The checkpoint is of a class that is not given, or of another model.
    """
    from recbole_logq.models.resolve import model_of_class, split_name

    stored = state["config"]["model"]
    if model_class is not None and (name := model_of_class(model_class)[0]) != stored:
        raise RequestError(f"{file} is of the model {stored}, not of {name}")
    trained_as = state.get("model_class")
    if model_class is None and isinstance(trained_as, str) and split_name(stored) is None:
        name = trained_as.rpartition(".")[2]
        raise RequestError(
            f"{file} is of {trained_as}, a class that is no name: in Python, load({file!r}, model={name}) or "
            f"evaluate({file!r}, model={name})"
        )

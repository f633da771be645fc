"""What installed packages add: entry points of the groups ``recbole_logq.losses``, ``.samplers``, ``.encoders``, ...

Nothing is looked up before a name is asked for that is not registered, and nothing is imported but what has that name::

    [project.entry-points."recbole_logq.losses"]
    my_loss = "my_package.my_loss"
"""

from __future__ import annotations

import traceback
from importlib.metadata import EntryPoint, entry_points

from recbole_logq.errors import RequestError


def names(group: str) -> list[str]:
    """Names of a group, sorted."""
    return sorted({point.name for point in entry_points(group=group)})


def has(group: str, name: str) -> bool:
    """Whether a package has that name in that group."""
    return bool(entry_points(group=group, name=str(name)))


def load(group: str, name: str) -> None:
    """Import what a package names, so that it registers itself.

    Raises:
        RequestError: The module cannot be imported, or two packages have the name; the message says which.
    """
    # An environment may list one package twice, once as it is edited and once as it was built.
    points = list({(point.value, _package(point)): point for point in entry_points(group=group, name=name)}.values())
    if len(points) > 1:
        owners = " and ".join(sorted(_package(point) for point in points))
        raise RequestError(f"{group}: {owners} both have {name!r}; uninstall one of them")
    try:
        points[0].load()
    except Exception as error:
        raise unusable(group, name, _reason(error)) from error


def unusable(group: str, name: str, reason: str) -> RequestError:
    """The error for an entry point that does not work."""
    (point, *_) = entry_points(group=group, name=name)
    return RequestError(f"{name!r} of the installed package {_package(point)} ({group}) cannot be used: {reason}")


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.module


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    frames = [frame for frame in frames if frame.filename != __file__ and "importlib" not in frame.filename]
    place = f"{frames[-1].filename}, line {frames[-1].lineno}: " if frames else ""
    return f"{place}{type(error).__name__}: {text}"

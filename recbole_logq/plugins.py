"""Code of the user's own, which the setting ``plugins`` names: files and modules that register what they add.

A file is named with ``.py`` or a slash, relative to the current folder, also where the name stands in a YAML file; a
module is named as in an ``import`` and is found in the current folder too. Each is run once in a process. Names alone
are stored with a result; other processes get the text of files (:func:`sources_of`), modules must be installed there.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import linecache
import sys
import traceback
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.plugin_errors import LOADED as _loaded
from recbole_logq.registry import registered, undone_on_error

_PREFIX = "recbole_logq_plugin_"
_as_named: dict[str, str] = {}
"""Paths of files that another process has sent, by the names that it has for them."""


def plugin_names(value: Any) -> list[str]:
    """The names of a setting: a list, or text with commas.

    Raises:
        RequestError: The value is neither.
    """
    names = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    if value is None:
        return []
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise RequestError(f"plugins={value!r}: names of modules and files, such as plugins=[my_module, ./my_loss.py]")
    return list(dict.fromkeys(name.strip() for name in names))


def load_plugins(value: Any) -> list[str]:
    """Run what the setting names, where this process has not done so.

    Returns:
        The names.

    Raises:
        RequestError: There is no such file or module, it fails, or it registers nothing; in one line, with the place.
    """
    names = plugin_names(value)
    for name in names:
        if name in _as_named:
            continue
        if _is_file(name):
            path = _path(name)
            _run_file(name, path, _read(name, path))
        else:
            _import(name)
    return names


def sources_of(value: Any) -> list[dict[str, str]]:
    """What another process needs to load the same plug-ins: name, path and text of every file.

    Modules of one file in the current folder are among them; the other process stands elsewhere.

    Raises:
        RequestError: A file cannot be read, or a package is not installed but found in the current folder.
    """
    sources = []
    for name in plugin_names(value):
        path = _path(name) if _is_file(name) else _beside(name)
        if path is not None:
            sources.append({"name": name, "path": str(path), "source": _read(name, path)})
    return sources


def receive(sources: Iterable[dict[str, str]]) -> None:
    """Run the files that another process has sent; the setting ``plugins`` then finds them under their names.

    Raises:
        RequestError: As for :func:`load_plugins`.
    """
    for sent in sources:
        path = Path(sent["path"])
        _run_file(sent["name"], path, sent["source"])
        _as_named[sent["name"]] = str(path)


def checksums(value: Any) -> dict[str, str]:
    """SHA-256 of each file that the setting names and this process has run, by name."""
    paths = {name: str(_path(name)) for name in plugin_names(value) if _is_file(name)}
    return {name: checksum for name, path in paths.items() if (checksum := _loaded.get(path)) is not None}


def are_loaded(names: Iterable[str]) -> bool:
    """Whether this process has run all of them already."""
    return all((str(_path(name)) if _is_file(name) else name) in _loaded for name in names)


def plugin_modules() -> list[types.ModuleType]:
    """The files that this process has run, as modules."""
    return [module for name, module in list(sys.modules.items()) if name.startswith(_PREFIX)]


def _checksum(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def _is_file(name: str) -> bool:
    return name.endswith(".py") or "/" in name or "\\" in name


def _path(name: str) -> Path:
    return Path(_as_named.get(name, name)).expanduser().resolve()


def _read(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # Python itself reads past the mark that some editors write
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        folder = "" if Path(name).is_absolute() else f" in {Path.cwd()}"
        raise RequestError(f"plugins: cannot read {name}{folder}: {reason}") from error


def _run_file(name: str, path: Path, source: str) -> None:
    key, checksum = str(path), _checksum(source)
    if key in _loaded:
        if checksum != _loaded[key]:
            raise RequestError(f"plugins: {name} has changed since this process has run it; start anew")
        return
    if any(getattr(module, "__file__", None) == key for module in list(sys.modules.values())):
        _loaded[key] = checksum  # the user's own program has imported it
        return
    # Of the folder and the name: two files of one name in two folders are two modules.
    module = types.ModuleType(f"{_PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:8]}_{path.stem}")
    module.__file__ = key
    if not path.is_file():  # sent from another machine: tracebacks and `inspect` show its lines all the same
        linecache.cache[key] = (len(source), None, source.splitlines(keepends=True), key)
    sys.modules[module.__name__] = module
    _add_to_path(path.parent)
    try:
        with _errors_named(name, [path]):
            exec(compile(source, key, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    _loaded[key] = checksum


def _import(name: str) -> None:
    if name in _loaded:
        return
    if not all(part.isidentifier() for part in name.split(".")):
        raise RequestError(f"plugins: {name!r} is neither a module nor a file; write ./{name}.py for a file")
    _add_to_path(Path.cwd())
    spec = None
    with suppress(Exception), undone_on_error():  # of a package around it; the import below says it
        spec = importlib.util.find_spec(name)
    path = Path(spec.origin).resolve() if spec is not None and spec.origin else None
    if name not in sys.modules and str(path) not in _loaded:  # not imported by the user's program, nor named as a file
        places = [*([path] if path else []), *map(Path, (spec.submodule_search_locations or []) if spec else [])]
        with _errors_named(name, places):
            importlib.import_module(name)
    _loaded[name] = None
    if path is not None and path.is_file():
        with suppress(RequestError):  # text of another encoding, which Python has read all the same
            _loaded.setdefault(str(path), _checksum(_read(name, path)))
        _loaded.setdefault(str(path), None)


def _beside(name: str) -> Path | None:
    """The file of a module that is found in the current folder alone; None for an installed one."""
    _add_to_path(Path.cwd())
    spec = None
    with suppress(Exception), undone_on_error():
        spec = importlib.util.find_spec(name)
    path = Path(spec.origin).resolve() if spec is not None and spec.origin else None
    if path is not None and path.parent == Path.cwd().resolve():
        return path
    package = name.partition(".")[0]
    if (Path.cwd() / package).is_dir() and package not in packages_distributions():
        raise RequestError(
            f"plugins: {name} lies in the current folder, where other processes do not stand: install it (pip install "
            "-e), or name one file, with .py"
        )
    return None


def _add_to_path(folder: Path) -> None:
    """Modules beside a plug-in are found, after all that is installed, so that none of their names hides another."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()


@contextmanager
def _errors_named(name: str, places: list[Path]) -> Iterator[None]:
    """What goes wrong in a plug-in becomes one line with its place, and nothing of it stays."""
    # What is taken must be known before somebody else takes it.
    import recbole_logq.losses
    import recbole_logq.samplers  # noqa: F401
    from recbole_logq.models.resolve import recipes

    recipes()
    before = registered()
    try:
        with undone_on_error():
            yield
            if registered() == before:
                raise RequestError(
                    f"plugins: {name} registers nothing: @losses.register(...), or the like, makes a name known "
                    "(docs/extend.md)"
                )
    except RequestError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise RequestError(
                f"plugins: no module named {name!r} is installed or lies in {Path.cwd()}; a file is named with .py"
            ) from error
        raise RequestError(f"plugins: {_place_of(name, places, error)}{type(error).__name__}: {error}") from error
    except SystemExit as error:
        raise RequestError(
            f"plugins: {_place_of(name, places, error)}it ends the program (SystemExit) when it is imported"
        ) from error
    except SyntaxError as error:
        place = f"{error.filename}, line {error.lineno}" if error.filename else name
        raise RequestError(f"plugins: {place}: {type(error).__name__}: {error.msg}") from error
    except Exception as error:
        text = " ".join(str(error).split())
        raise RequestError(f"plugins: {_place_of(name, places, error)}{type(error).__name__}: {text}") from error


def _place_of(name: str, places: list[Path], error: BaseException) -> str:
    """File and line of the plug-in that the error came out of."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if any(Path(frame.filename).is_relative_to(place) for place in places)]
    return f"{own[-1].filename}, line {own[-1].lineno}: " if own else f"{name}: "

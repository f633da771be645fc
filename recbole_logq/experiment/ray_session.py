"""A connection to Ray for as long as it is needed. Ray is imported here, when it is asked for."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import Any

from recbole_logq import children
from recbole_logq.errors import RequestError
from recbole_logq.experiment.ray_address import CLIENT
from recbole_logq.interruption import handlers_kept

# Set before the import of Ray, which reads them once.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # under `uv run` Ray would pack the folder and make an environment a worker
    "RAY_worker_niceness": "0",  # else what it runs gives way to everything else on the machine
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# The head starts a process for each client, which ends at once where another program took its port in between.
_CLIENT_TRIES = 3


def require_ray(for_what: str, *packages: str) -> None:
    """Refuse what needs Ray where it is not installed.

    Raises:
        RequestError: Something is not installed; the message says what to install.
    """
    for package in ("ray", *packages):
        if find_spec(package) is None:
            name = "Ray" if package == "ray" else package
            raise RequestError(f"{for_what}: {name} is not installed; pip install {' '.join(_needed(packages))}")


def _needed(packages: tuple[str, ...]) -> list[str]:
    return ['"ray[tune]"', *packages]


def said(error: Exception) -> str:
    """An error of Ray's in one line; of a traceback from the other side, what it ends with."""
    text = str(error).strip() or type(error).__name__
    return (text.splitlines()[-1] if "Traceback" in text else " ".join(text.split()))[:300]


@contextmanager
def ray_session(address: str | None = None, **options: Any) -> Iterator[Any]:
    """The module ``ray``, connected; a cluster on this machine is started where no address is given, and ended.

    Args:
        address: ``auto``, ``host:port`` or a ``ray://`` address of a running cluster.
        options: Options of ``ray.init`` for a cluster that is started here.

    Raises:
        RequestError: Ray is not installed, or there is no cluster at the address.
    """
    require_ray("address" if address else "sweep")
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)
    with handlers_kept():  # Ray takes TERM, which is to end the command
        import ray

    if address:
        options = {"address": address}
    else:
        options = {"address": "local", "include_dashboard": False, **options}
    before = _offspring()
    for left in reversed(range(_CLIENT_TRIES if (address or "").startswith(CLIENT) else 1)):
        try:
            with handlers_kept():
                ray.init(log_to_driver=False, logging_level="ERROR", **options)
            break
        except Exception as error:  # some of Ray's failures to start have no class of their own
            if not left:
                where = f"address={address}" if address else "Ray could not be started here"
                raise RequestError(f"{where}: {said(error)}") from error
            time.sleep(1)
    with nullcontext() if address else _reaped(before):
        try:
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def _reaped(before: set[int]) -> Iterator[None]:
    """Have the cluster that this process has started end with it, even if this process is killed."""
    started = sorted(_offspring() - before)
    command = [sys.executable, "-m", "recbole_logq.experiment.ray_reaper"]
    # In a session of its own: it outlives whatever ends this one.
    reaper = children.start(command, children.environment(), start_new_session=True)
    assert reaper.stdin is not None
    try:
        with reaper.stdin as told:
            told.write("".join(f"{number}\n" for number in started).encode())
            told.flush()
            yield
    finally:
        reaper.wait()


def _offspring() -> set[int]:
    """Numbers of the processes that this one, and those, have started."""
    import psutil

    return {process.pid for process in psutil.Process().children(recursive=True)}

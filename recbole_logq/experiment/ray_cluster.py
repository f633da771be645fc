"""Ray, for as long as it is needed: whether a cluster answers at an address, and a connection to one.

An address is asked before any work, since Ray itself waits for minutes. Ray is imported here, when it is asked for, and
what is used of it that is not public stands here alone.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from recbole_logq import children
from recbole_logq.errors import RequestError
from recbole_logq.interruption import handlers_kept

CLIENT = "ray://"
SECONDS = 10.0
"""How long a cluster may take to answer."""
FORMS = "auto, HOST:PORT of the head (6379 unless started otherwise), or ray://HOST:PORT of its client server (10001)"
# What only the head answers, and only its client server; that it asks for a token is an answer, too.
_HEAD = "/ray.rpc.NodeInfoGcsService/CheckAlive"
_CLIENT_SERVER = "/ray.rpc.RayletDriver/ClusterInfo"


def check_address(address: Any) -> None:
    """Refuse an address that is none, and one where nothing answers.

    Args:
        address: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``.

    Raises:
        RequestError: The address is wrong; the message says how.
    """
    located = _found_by_ray() if address == "auto" else address
    match = re.fullmatch(r"(?:ray://)?(\[[0-9a-fA-F:]+\]|[^\s:/@\[\]]+):(\d{1,5})", str(located))
    if match is None or not 0 < int(match[2]) < 65536:
        raise RequestError(f"address={address}: give {FORMS}")
    client = str(located).startswith(CLIENT)
    prefix = f"address={address}" + (f" is {located}" if located != address else "")
    problem = _ask(f"{match[1]}:{match[2]}", _CLIENT_SERVER if client else _HEAD)
    if problem == "UNIMPLEMENTED":
        remedy = "the port of the client server" if client else "the port of the head, or ray:// before this one"
        raise RequestError(f"{prefix}: Ray does not answer there as it should; give {remedy}")
    if problem is not None:
        raise RequestError(f"{prefix}: no Ray cluster answers there ({problem})")


def _found_by_ray() -> str:
    """What ``auto`` stands for: RAY_ADDRESS, or a cluster on this machine."""
    if address := os.environ.get("RAY_ADDRESS"):
        return address
    from ray._private.services import get_ray_address_from_environment  # what ray.init asks

    try:
        return str(get_ray_address_from_environment("auto", None))
    except ConnectionError as error:
        raise RequestError(
            "address=auto: no Ray cluster runs on this machine; start one with `ray start --head`, or give HOST:PORT"
        ) from error


def _ask(target: str, method: str) -> str | None:
    """Why there is no answer; None if there is one."""
    import grpc

    if os.environ.get("RAY_USE_TLS", "0").lower() in {"1", "true"}:
        return None  # Ray knows the certificates
    code = _status(target, method)
    if code == grpc.StatusCode.UNAUTHENTICATED:
        if not (token := _token()):
            return f"a token is needed: copy {_token_file()} from the head"
        code = _status(target, method, token)
        if code == grpc.StatusCode.UNAUTHENTICATED:
            return f"another token is needed: copy {_token_file()} from the head"
        _send_token()
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return "UNIMPLEMENTED"
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"nothing within {SECONDS:.0f} seconds"
    if code == grpc.StatusCode.UNAVAILABLE:
        return "cannot connect; `ray start --head` starts one"
    return None


def _status(target: str, method: str, token: str | None = None) -> Any:
    """How a call without content ends; None if well."""
    import grpc

    sent = [("authorization", f"Bearer {token}")] if token else None
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(method)(b"", timeout=SECONDS, metadata=sent)
        except grpc.RpcError as error:
            return error.code()
    return None


def _token_file() -> Path:
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def _token() -> str | None:
    try:
        token = os.environ.get("RAY_AUTH_TOKEN") or _token_file().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return token.strip() or None


def _send_token() -> None:
    """Ray does not by itself where it joins a cluster; a cluster that asks for none must be sent none."""
    if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token" and "ray" in sys.modules:
        import_module("ray._raylet").Config.initialize("")  # it has read the mode when it was imported


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
            raise RequestError(f"{for_what}: {name} is not installed; pip install {' '.join(_requirements(packages))}")


def _requirements(packages: tuple[str, ...]) -> list[str]:
    return ['"ray[tune]"', *packages]


def reason_of(error: Exception) -> str:
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
    for tries_left in reversed(range(_CLIENT_TRIES if (address or "").startswith(CLIENT) else 1)):
        try:
            with handlers_kept():
                ray.init(log_to_driver=False, logging_level="ERROR", **options)
            break
        except Exception as error:  # some of Ray's failures to start have no class of their own
            if not tries_left:
                label = f"address={address}" if address else "Ray could not be started here"
                raise RequestError(f"{label}: {reason_of(error)}") from error
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
        with reaper.stdin as stream:
            stream.write("".join(f"{number}\n" for number in started).encode())
            stream.flush()
            yield
    finally:
        reaper.wait()


def _offspring() -> set[int]:
    """Numbers of the processes that this one, and those, have started."""
    import psutil

    return {process.pid for process in psutil.Process().children(recursive=True)}

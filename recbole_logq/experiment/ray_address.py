"""Whether there is a Ray cluster at an address, asked before any work: Ray itself waits for minutes."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError

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
        other = "the port of the client server" if client else "the port of the head, or ray:// before this one"
        raise RequestError(f"{prefix}: Ray does not answer there as it should; give {other}")
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

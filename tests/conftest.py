"""Shared: a hand-made dataset of a few users, a small cut of ml-100k, commands in processes, a real browser for pages.

The browser is the system's chromium, without a window and without a network.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

# Before torch is imported, and for every process that a test starts: one thread, because two spin beside other tests,
# and compiled modules are kept, because compiling torch and RecBole anew is more than half of a process's start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Kernels are interpreted, on any machine: Triton looks at this where it is imported, and so does its own library.
os.environ["TRITON_INTERPRET"] = "1"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A shell starts what is in the background without SIGINT, and nohup without SIGHUP: for all processes of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

Row = tuple[str, str, float]
ROOT = Path(__file__).parent
LONGEST = (
    "sweeps/test_sweep_on_a_cluster.py",
    "models/test_recipes.py",
    "lab/test_measure.py",
    "sweeps/test_sweep.py",
    "comparisons/test_comparison.py",
    "reliability/test_signals.py",
    "reliability/test_kills.py",
    "training/test_processes.py",
    "test_notebook.py",
    "test_site.py",
    "test_quality.py",
    "losses/test_contract.py",
    "reliability/test_every_setting.py",
)
"""Files that are begun first, so that no process is left with a long one at the end; the others are seconds each.

The two with a Ray of their own, which waits as much as it works, stand apart: beside each something else computes.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {ROOT / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Two cores are shared with other test processes, and one thread gives the same sums every time.
    import torch  # here, so that the process that hands out the tests goes without

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    # A run sets the root logger's level; the next test in the process would not see what is logged below it.
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.WARNING)  # what a shared fixture has run before is no test's business either
    yield
    root.setLevel(level)


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run writes log/, saved/ and log_tensorboard/ where it stands."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own_code(in_tmp: Path) -> Iterator[Path]:
    """A folder to stand in, for files of a user's own; what they register is forgotten after the test."""
    from recbole.evaluator import register

    from recbole_logq import losses, plugins, samplers  # noqa: F401  (what is theirs is not to be forgotten)
    from recbole_logq.models.resolve import recipes
    from recbole_logq.registry import EVERY

    recipes()
    tables = [register.metrics_dict, register.metric_information, register.metric_types]
    before = [dict(registry._entries) for registry in EVERY], [dict(table) for table in tables], list(sys.path)
    smaller, modules = list(register.smaller_metrics), set(sys.modules)
    yield in_tmp
    for registry, entries in zip(EVERY, before[0], strict=True):
        registry._entries = entries
    for table, content in zip(tables, before[1], strict=True):
        table.clear()
        table.update(content)
    sys.path[:], register.smaller_metrics[:] = before[2], smaller
    plugins._loaded.clear()
    plugins._as_named.clear()
    for name in set(sys.modules) - modules:
        if name.startswith(("recbole_logq_plugin_", "my_")):
            del sys.modules[name]


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of MLflow without runs: it takes seconds to make its tables."""
    from recbole_logq.experiment.mlflow_tracker import reach

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    reach({"mlflow_uri": f"sqlite:///{file}", "mlflow_experiment": "recbole_logq"})
    return file


@pytest.fixture
def in_store(in_tmp: Path, new_store: Path) -> Path:
    """A folder to stand in, with such a store in it."""
    shutil.copy(new_store, in_tmp / "mlflow.db")
    return in_tmp


def _stored(file: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(file)) as data:
        runs = data.execute("select run_uuid, name, status from runs order by start_time").fetchall()
        found = []
        for uuid, name, status in runs:
            metrics: dict[str, list[float]] = {}
            for key, value in data.execute("select key, value from metrics where run_uuid = ? order by step", (uuid,)):
                metrics.setdefault(key, []).append(value)
            params = dict(data.execute("select key, value from params where run_uuid = ?", (uuid,)).fetchall())
            found.append({"name": name, "status": status, "metrics": metrics, "params": params})
    return found


@pytest.fixture
def stored() -> Callable[[Path], list[dict[str, Any]]]:
    """``stored(file)`` gives the runs in a store of MLflow, read as a database, by their start."""
    return _stored


class Command:
    """A command in a process; the part of ``subprocess.Popen`` that tests use, with files for its output."""

    def __init__(
        self, ask: Callable[[dict[str, Any]], Any], words: list[str], out: Path, err: Path, **job: Any
    ) -> None:
        self._ask, self._out, self._err = ask, out, err
        self.returncode: int | None = None
        self.pid: int = ask({"words": words, "out": str(out), "err": str(err), **job})

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        if self.returncode is None:
            self.returncode = self._ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float = 900) -> int:
        """Wait for its end; one that does not come is a failure."""
        end = time.monotonic() + timeout
        while (status := self.poll()) is None and time.monotonic() < end:
            time.sleep(0.02)
        assert status is not None, f"still at work: {self.stderr[-2000:]}"
        return status

    def send_signal(self, number: int) -> None:
        """Does nothing to one that has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    @property
    def stdout(self) -> str:
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        return self._err.read_text(encoding="utf-8")


class Commands:
    """Starts commands of the package in processes that are copies of one that has imported everything."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._running: list[Command] = []
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
        command = [sys.executable, str(ROOT / "command_server.py")]
        self._server = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"

    def start(self, *words: str, cwd: Path, **environment: str) -> Command:
        """A command that runs."""
        self._count += 1
        out, err = (self._folder / f"{self._count}.{kind}" for kind in ("out", "err"))
        out.touch(), err.touch()
        known = {key: value for key, value in os.environ.items() if key not in {"RANK", "WORLD_SIZE"}}
        started = Command(self._ask, list(words), out, err, folder=str(cwd), environment={**known, **environment})
        self._running.append(started)
        return started

    def run(self, *words: str, cwd: Path, **environment: str) -> Command:
        """A command that has ended."""
        started = self.start(*words, cwd=cwd, **environment)
        started.wait()
        return started

    def _ask(self, job: dict[str, Any]) -> Any:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps(job), file=self._server.stdin, flush=True)
        return json.loads(self._server.stdout.readline())

    def close(self) -> None:
        for started in self._running:
            started.send_signal(signal.SIGKILL)
        self._server.communicate()


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """``commands.run(*words, cwd=FOLDER)``: a command as from a terminal, in a process that needs no imports."""
    if not hasattr(os, "fork"):
        pytest.skip("commands are copies of one process")
    found = Commands(tmp_path_factory.mktemp("commands"))
    yield found
    found.close()


@pytest.fixture
def write_dataset(tmp_path: Path) -> Callable[[str, list[Row]], Path]:
    """Writes (user, item, time) rows as an atomic file and returns the data path."""

    def write(name: str, rows: list[Row], time_type: str = "float") -> Path:
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        lines = [f"user_id:token\titem_id:token\ttimestamp:{time_type}"]
        lines += [f"{user}\t{item}\t{time}" for user, item, time in rows]
        (folder / f"{name}.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder.parent

    return write


@pytest.fixture(scope="session")
def ml100k_cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 45 least active users of ml-100k with its user and item files, as dataset ``cut``."""
    from recbole_logq.compat import recbole_folder

    source = recbole_folder() / "dataset_example" / "ml-100k"
    folder = tmp_path_factory.mktemp("data") / "cut"
    folder.mkdir()
    head, *rows = (source / "ml-100k.inter").read_text(encoding="utf-8").splitlines()
    activity: dict[str, int] = {}
    for row in rows:
        user = row.split("\t")[0]
        activity[user] = activity.get(user, 0) + 1
    kept = set(sorted(activity, key=lambda user: (activity[user], user))[:45])
    lines = [head, *(row for row in rows if row.split("\t")[0] in kept)]
    (folder / "cut.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for suffix in ("user", "item"):
        (folder / f"cut.{suffix}").write_text((source / f"ml-100k.{suffix}").read_text(encoding="utf-8"), "utf-8")
    return folder.parent


@pytest.fixture(scope="session")
def featured_cut(ml100k_cut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with ``hour`` and ``device`` of interactions, ``picture`` and ``length`` of items, one nobody has."""
    source = ml100k_cut / "cut"
    folder = tmp_path_factory.mktemp("featured") / "cut"
    folder.mkdir()
    head, *rows = (source / "cut.inter").read_text(encoding="utf-8").splitlines()
    more = [
        f"{row}\t{int(row.split(chr(9))[3]) // 3600 % 24}\t{'web' if n % 3 else 'tv'}" for n, row in enumerate(rows)
    ]
    lines = [f"{head}\thour:float\tdevice:token", *more]
    (folder / "cut.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    head, *rows = (source / "cut.item").read_text(encoding="utf-8").splitlines()
    more = [f"{row}\t{n % 7} {n % 5 - 2} {n % 3}\t{n % 90 + 60}" for n, row in enumerate(rows)]
    lines = [f"{head}\tpicture:float_seq\tlength:float", *more, "unheard\tOf This\t1990\tDrama\t1 2 3\t100"]
    (folder / "cut.item").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "cut.user").write_text((source / "cut.user").read_text(encoding="utf-8"), "utf-8")
    return folder.parent


@pytest.fixture
def build(ml100k_cut: Path) -> Callable[..., tuple[Any, Any, list[Any]]]:
    """``build(model, **settings)`` gives the model, its configuration and its three loaders."""

    from recbole.utils import init_seed

    from recbole_logq.config import Config
    from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset

    def make(model: str, **settings: Any) -> tuple[Any, Any, list[Any]]:
        config = Config(model, "cut", None, {"data_path": str(ml100k_cut), "MAX_ITEM_LIST_LENGTH": 10, **settings})
        init_seed(config["seed"], True)
        dataset = create_dataset(config)
        parts = split_dataset(config, dataset)
        loaders = create_loaders(config, dataset, parts)
        return config.model_class(config, parts[0]), config, list(loaders)

    return make


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Of every mark: its box, the box of its drawing, and how far its colour stands out from the page.
MARKS = """() => {
  const shine = (colour) => {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const light = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2] + 0.05;
  };
  const probe = document.createElement("p");
  probe.style.background = "Canvas";
  document.body.append(probe);
  const page = shine(getComputedStyle(probe).backgroundColor);
  probe.remove();
  return [...document.querySelectorAll("svg")].map((svg) => ({
    box: svg.getBoundingClientRect().toJSON(),
    marks: [...svg.querySelectorAll("circle, .line, .band, text")].map((mark) => {
      const style = getComputedStyle(mark);
      // The stroke of a text is a halo of the page's colour.
      const filled = style.stroke === "none" || mark.tagName === "text";
      const own = shine(filled ? style.fill : style.stroke);
      return { box: mark.getBoundingClientRect().toJSON(), contrast: Math.max(own, page) / Math.min(own, page) };
    }),
  }));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Started once for the tests of a file; skips them where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: uv sync")
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, timeout=120_000)
        yield found
        found.close()


class Opened:
    """A page, and what it said and asked for while it was open."""

    def __init__(self, browser: Any, file: Path, width: int = 1280, **options: Any) -> None:
        context = browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options)
        context.set_default_timeout(60_000)  # a busy machine is no failure
        self.page = context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.blocked: list[str | None] = []
        self.page.on("requestfailed", lambda request: self.blocked.append(request.failure))
        self.page.goto(file.as_uri())

    def marks(self) -> Any:
        """Of every drawing its box and those of its marks, and how far their colours stand out."""
        return self.page.evaluate(MARKS)

    def column(self, number: int) -> list[str]:
        """Texts of a column of the first table, without the intervals."""
        cells = self.page.locator("table.sortable").first.locator(f"tbody td:nth-child({number})")
        return [text.split("\n")[0].split(" [")[0] for text in cells.all_inner_texts()]


@pytest.fixture
def open_page(browser: Any) -> Callable[..., Opened]:
    """``open_page(file, width, **options)`` gives an :class:`Opened`; options are those of a browser's context."""
    return partial(Opened, browser)


@pytest.fixture
def check_marks() -> Callable[[Any], None]:
    """``check_marks(figure)``: every mark of a drawing lies within it and stands out from the page."""

    def check(figure: Any) -> None:
        box = figure["box"]
        for mark in figure["marks"]:
            for low, high in (("left", "right"), ("top", "bottom")):
                assert box[low] - 1 <= mark["box"][low] <= mark["box"][high] <= box[high] + 1
            assert mark["contrast"] >= 3

    return check

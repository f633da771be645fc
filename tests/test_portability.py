"""Windows and macOS: nothing in the package needs what POSIX alone has, or the encoding that a machine likes best."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from recbole_logq.cli import main

ROOT = Path(__file__).parents[1]

# Refused to the package's own code alone: what its libraries do here says nothing of them on Windows.
WITHOUT_POSIX = """
import builtins, importlib, json, os, pkgutil, signal, sys, types, warnings

MODULES = "fcntl resource pwd grp termios tty pty posix syslog curses readline".split()
NAMES = "fork forkpty killpg getpgid setpgid setsid getsid getuid geteuid getgid getegid getgroups chown fchown lchown"
NAMES += " fchmod mkfifo mknod statvfs fstatvfs sched_getaffinity sched_setaffinity nice getpriority uname getloadavg"
NAMES += " wait wait3 wait4 WNOHANG pread pwrite sync sendfile O_CLOEXEC O_NOFOLLOW O_NONBLOCK O_DIRECTORY"
NAMES += " SIGKILL SIGHUP SIGQUIT SIGALRM SIGUSR1 SIGUSR2 SIGCHLD SIGPIPE alarm pause setitimer pthread_sigmask sigwait"
NAMES, plain = set(NAMES.split()), builtins.__import__

def is_ours(variables):
    return str((variables or {}).get("__name__")).startswith("recbole_logq")

def windows_import(name, globals=None, locals=None, fromlist=(), level=0):
    if name in MODULES and is_ours(globals):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return plain(name, globals, locals, fromlist, level)

class Windows(types.ModuleType):
    def __getattribute__(self, name):
        if name in NAMES and is_ours(sys._getframe(1).f_globals):
            raise AttributeError(f"no {name} on Windows")
        return super().__getattribute__(name)

builtins.__import__, os.__class__, signal.__class__ = windows_import, Windows, Windows
warnings.filterwarnings("error", category=EncodingWarning, module="recbole_logq")
import recbole_logq

modules, failed = [one.name for one in pkgutil.walk_packages(recbole_logq.__path__, "recbole_logq.")], {}
for name in modules:
    if not name.endswith("__main__"):
        try:
            importlib.import_module(name)
        except Exception as error:
            failed[name] = repr(error)
from recbole_logq.training.memory import peak_memory_mb
print(json.dumps({"modules": len(modules), "failed": failed, "memory": peak_memory_mb()}))
"""


@pytest.mark.slow
def test_every_module_without_what_posix_alone_has(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", WITHOUT_POSIX],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["failed"] == {}
    assert found["modules"] > 150
    assert 50 < found["memory"] < 10_000


def test_names_that_the_terminal_cannot_show_are_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "é.csv").write_text("user,item,größe\na,x,1\n", encoding="utf-8")
    shown = BytesIO()
    screen = TextIOWrapper(shown, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["convert", f"--input={tmp_path / 'é.csv'}", "--dataset=own", f"--data_path={tmp_path / 'data'}"]) == 0
    screen.flush()
    assert b"gr\\xf6\\xdfe" in shown.getvalue()

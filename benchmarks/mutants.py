"""How many small faults in the core the tests notice: a sample of mutants, each run against the tests that reach it.

    uv run --with mutmut==3.8.1 python benchmarks/mutants.py --output=benchmarks/results/mutants.json

To be run in the root of a clone, where mutmut finds its settings in pyproject.toml; it writes mutants/. mutmut makes
the mutants (an operator, a number, an argument, a value changed; in one function at a time) and says which test reaches
which function. The tests are collected once; a mutant is a fork of that process, which runs the tests that reach it,
the quick ones first, until one fails. Faults in the text of messages are not drawn.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mutmut.__main__ import copy_also_copy_files, copy_src_dir, create_mutants, setup_source_paths
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.utils.format_utils import mangled_name_from_mutant_name

PARTS = ("losses", "samplers", "probability", "evaluation")
PATIENCE = 20
"""A mutant may take this many times the CPU seconds of its tests, and as many seconds more."""


def generate() -> list[str]:
    """Write the package with all its mutants into ``mutants/``, put that first on the path, and name the mutants."""
    shutil.rmtree("mutants", ignore_errors=True)
    Path("mutants").mkdir()
    set_mutant_under_test("mutant_generation")
    copy_src_dir(), copy_also_copy_files(), setup_source_paths()
    create_mutants(1)
    metas = sorted(Path("mutants").rglob("*.py.meta"))
    return sorted(name for meta in metas for name in json.loads(meta.read_text())["exit_code_by_key"])


def path_of(mutant: str) -> Path:
    return Path(*mutant.split(".")[:-1]).with_suffix(".py")


def is_text(mutant: str) -> bool:
    """Whether the lines that a mutant changes differ in a quoted text alone."""
    diff = [line for line in get_diff_for_mutant(mutant, path=path_of(mutant)).splitlines() if line[:1] in "+-"]
    old, new = ("".join(line[1:] for line in diff[2:] if line[0] == sign) for sign in "-+")
    return "XX" in new or old.lower() == new.lower() or ("Error(" in old and "None" in new)


class Forks:
    """Runs the collected tests once, and then each mutant's in a fork."""

    def __init__(self, mutants: list[str]) -> None:
        self.mutants = mutants
        self.results: dict[str, str] = {}
        self.tests = 0
        self.seconds: dict[str, float] = {}
        self.reach: dict[str, set[str]] = {}
        self.failed = False

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.failed |= report.failed

    def run(self, item: Any, following: Any) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

    def pytest_runtestloop(self, session: Any) -> bool:
        self.tests = len(session.items)
        set_mutant_under_test("stats")
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            state()._stats.clear()
            start = time.process_time()
            self.run(item, following)
            self.seconds[item.nodeid] = time.process_time() - start
            self.reach[item.nodeid] = set(state()._stats)
        assert not self.failed, "a test fails without any mutant"
        for number, mutant in enumerate(self.mutants, 1):
            name = mangled_name_from_mutant_name(mutant)
            items = [item for item in session.items if name in self.reach[item.nodeid]]
            items.sort(key=lambda item: self.seconds[item.nodeid])
            self.results[mutant] = self.fork(mutant, items) if items else "no test"
            print(f"\n[{number}/{len(self.mutants)}] {self.results[mutant]}: {mutant}", file=sys.stderr, flush=True)
        return True

    def fork(self, mutant: str, items: list[Any]) -> str:
        limit = round(PATIENCE * (1 + sum(self.seconds[item.nodeid] for item in items)))
        if (process := os.fork()) == 0:
            for descriptor in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
            signal.setitimer(signal.ITIMER_PROF, limit)  # CPU seconds: its end is a killed mutant
            set_mutant_under_test(mutant)
            try:
                for item in items:
                    self.run(item, None)
                    if self.failed:
                        break
            except BaseException:
                self.failed = True
            os._exit(int(self.failed))
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        return {0: "survived", -signal.SIGPROF: "timeout"}.get(code, "killed")


def drawn(names: list[str], count: int, seed: int) -> list[str]:
    """Some mutants that change more than a text, in the order they are drawn."""
    order = random.Random(seed).sample(names, len(names))
    return list(itertools.islice((name for name in order if not is_text(name)), count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="mutants to draw")
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--again", type=Path, help="draw none: try those once more that an earlier result has left")
    parser.add_argument("--output", type=Path, help="a JSON file for the result")
    arguments = parser.parse_args()
    earlier = json.loads(arguments.again.read_text(encoding="utf-8")) if arguments.again else None
    output = arguments.output and arguments.output.absolute()
    names = generate()
    if earlier:
        mutants = [name for name in earlier["left"] if name in names]
    else:
        mutants = drawn(names, arguments.count, arguments.seed)
    diffs = {name: get_diff_for_mutant(name, path=path_of(name)) for name in mutants}
    os.chdir("mutants")
    forks = Forks(mutants)
    tests = [f"tests/{part}" for part in PARTS]
    pytest.main(["-n0", "-q", "-m", "not slow", "-p", "no:cacheprovider", "--rootdir=.", *tests], plugins=[forks])
    counts = Counter(forks.results.values())
    if earlier:
        counts += Counter({status: earlier["counts"].get(status, 0) for status in ("killed", "timeout")})
    caught, total = counts["killed"] + counts["timeout"], counts.total()
    print(f"{caught} of {total} mutants are noticed ({caught / max(1, total):.1%}): {dict(counts)}")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    result = {
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "seed": earlier["seed"] if earlier else arguments.seed,
        "parts": list(PARTS),
        "mutants": len(names),
        "drawn": total,
        "tests": forks.tests,
        "counts": dict(counts),
        "left": {name: diffs[name] for name, outcome in forks.results.items() if outcome in {"survived", "no test"}},
    }
    if output:
        output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

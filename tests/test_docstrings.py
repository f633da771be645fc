"""What losses and samplers say of themselves: the same three parts for each, and examples that run."""

import doctest
import inspect
import sys

import pytest
import torch

from recbole_logq.losses import get_loss  # noqa: F401  (fills the registry)
from recbole_logq.registry import losses, samplers
from recbole_logq.samplers import get_sampler  # noqa: F401  (fills the registry)

PARTS = ("When to use: ", "Goes with: ", "Example:\n")
ENTRIES = [(registry, name) for registry in (losses, samplers) for name in registry.names()]


@pytest.mark.parametrize(("registry", "name"), ENTRIES, ids=[name for _, name in ENTRIES])
def test_says_when_and_with_what_and_its_example_runs(registry, name):
    entry = registry.get(name)
    text = inspect.getdoc(entry)
    places = [text.find(f"\n{part}") for part in PARTS]
    assert 0 < places[0] < places[1] < places[2], f"{name}: the docstring lacks a part, or has them in another order"
    scope = {**vars(sys.modules[entry.__module__]), "torch": torch}
    (example,) = (test for test in doctest.DocTestFinder(recurse=False).find(entry, name, globs=scope) if test.examples)
    assert len(example.examples) <= 6
    report: list[str] = []
    failed = doctest.DocTestRunner(verbose=False).run(example, out=report.append).failed
    assert not failed, "".join(report)

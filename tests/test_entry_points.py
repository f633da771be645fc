"""What an installed package adds, found by its metadata: a folder on the path, as pip would write it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from recbole_logq.cli import main
from recbole_logq.models.resolve import split_name
from recbole_logq.registry import losses, metrics, recipes

Install = Callable[[str, str, dict[str, str]], None]
LOSS = """
from recbole_logq.losses.logq import LogQ
from recbole_logq.registry import losses, recipes

@losses.register("installed_logq", summary="from a package")
class Own(LogQ):
    name = "installed_logq"

content = {"loss": "installed_logq", "negatives": {"source": "uniform", "count": 4}}
recipes.add("InstalledLogQ", content, summary="of it")
"""


@pytest.fixture
def install(own_code: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """``install(package, entry_points, modules)`` puts a package where installed ones lie."""
    site = own_code / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def make(package: str, points: str, modules: dict[str, str]) -> None:
        folder = site / f"{package.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(points)
        for name, text in modules.items():
            (site / f"{name}.py").write_text(text)
        importlib.invalidate_caches()

    return make


def test_a_name_is_looked_up_when_it_is_asked_for_and_only_then(install: Install) -> None:
    points = (
        "[recbole_logq.losses]\ninstalled_logq = my_installed\n\n[recbole_logq.recipes]\nInstalledLogQ = my_installed\n"
    )
    install("a-package", points, {"my_installed": LOSS})
    assert "installed_logq" not in losses.names()
    with pytest.raises(ValueError, match="no loss named 'instaled_logq'; did you mean 'installed_logq'"):
        losses.get("instaled_logq")
    assert losses.get("logq").name == "logq"
    assert "my_installed" not in sys.modules
    assert split_name("SASRecInstalledLogQ") == ("SASRec", "InstalledLogQ")
    assert recipes.get("InstalledLogQ")["loss"] == "installed_logq"
    assert losses.get("installed_logq").name == "installed_logq"


def test_a_broken_one_names_its_package_and_hinders_no_other(
    install: Install, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = "[recbole_logq.losses]\nbroken_loss = my_broken\n[recbole_logq.metrics]\nAbsent = my_absent:metric\n"
    install("broken-package", broken, {"my_broken": "import math\nmath.nothing\n"})
    install("a-package", "[recbole_logq.losses]\ninstalled_logq = my_installed\n", {"my_installed": LOSS})
    install("empty-package", "[recbole_logq.samplers]\nsilent = my_silent\n", {"my_silent": ""})
    with pytest.raises(
        ValueError, match=r"'broken_loss' of the installed package broken-package .*line 2: AttributeError"
    ):
        losses.get("broken_loss")
    with pytest.raises(ValueError, match=r"'Absent' of the installed package broken-package .*ModuleNotFoundError"):
        metrics.get("Absent")
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert "installed_logq" in out
    assert "'broken_loss' of the installed package broken-package" in out
    assert "'silent' of the installed package empty-package" in out
    assert "it registers no sampler of that name" in out
    words = ["--model=TwoTowerLogQ", "--dataset=tiny", "--negatives.source=silent"]
    assert main(words) == 2
    assert "'silent' of the installed package empty-package" in capsys.readouterr().err


def test_two_packages_with_one_name(install: Install) -> None:
    for package, module in (("one-package", "my_one"), ("two-package", "my_two")):
        text = LOSS.replace("installed_logq", "double_logq").partition("content =")[0]
        install(package, f"[recbole_logq.losses]\ndouble_logq = {module}\n", {module: text})
    with pytest.raises(ValueError, match="one-package and two-package both have 'double_logq'; uninstall one"):
        losses.get("double_logq")


def test_a_name_of_this_package_is_not_looked_up(install: Install) -> None:
    install("a-package", "[recbole_logq.losses]\nlogq = my_installed\n", {"my_installed": LOSS})
    assert losses.get("logq").__module__ == "recbole_logq.losses.logq"
    assert "my_installed" not in sys.modules


METRIC = """
from recbole_logq.registry import metrics

@metrics.register("{name}", summary="{summary}")
def first(hits, n_targets):
    return hits[:, 0].float()
"""


def test_metrics_of_packages_and_of_plug_ins_are_listed(
    install: Install, own_code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = "[recbole_logq.metrics]\nInstalledFirst = my_metric\n"
    install("a-package", points, {"my_metric": METRIC.format(name="InstalledFirst", summary="of a package")})
    (own_code / "mine.py").write_text(METRIC.format(name="MyFirst", summary="of a file"))
    assert main(["models", "--plugins=mine.py"]) == 0
    listed = capsys.readouterr().out.partition("Metrics (--metrics=), beside RecBole's\n")[2]
    assert listed.splitlines()[:2] == ["  InstalledFirst  of a package", "  MyFirst         of a file"]


def test_an_installed_loss_takes_no_name_of_this_package(install: Install) -> None:
    install("a-package", "[recbole_logq.losses]\nlogq = my_installed\n", {"my_installed": LOSS})
    assert losses.load_installed() == []
    assert losses.packaged("logq")

"""Code of the user's own: which files and modules are run, when, and what is said where one fails."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import compare, evaluate, export, load, run
from recbole_logq.cli import main
from recbole_logq.errors import RequestError
from recbole_logq.plugins import checksums, load_plugins, plugin_names, receive, sources_of
from recbole_logq.registry import losses, recipes

LOSS = """
from recbole_logq.losses.logq import LogQ
from recbole_logq.registry import losses

@losses.register("{name}", summary="logQ under another name")
class Own(LogQ):
    name = "{name}"
"""
QUICK: dict[str, Any] = {"epochs": 1, "show_progress": False, "state": "WARNING", "train_batch_size": 512}


def write(path: Path, name: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(LOSS.format(name=name), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, []),
        ("a", ["a"]),
        ("a, ./b.py,a", ["a", "./b.py"]),
        (["./b.py", "c.d"], ["./b.py", "c.d"]),
        ([], []),
    ],
)
def test_a_list_or_text_with_commas(value: Any, names: list[str]) -> None:
    assert plugin_names(value) == names


@pytest.mark.parametrize("value", [1, True, [1], {"a": 1}, "a,,b", [""]])
def test_what_is_no_name(value: Any) -> None:
    with pytest.raises(RequestError, match="names of modules and files"):
        plugin_names(value)


def test_files_of_one_name_and_one_file_under_several_names(own_code: Path) -> None:
    write(own_code / "my_loss.py", "first_logq")
    write(own_code / "other" / "my_loss.py", "second_logq")
    (own_code / "link.py").symlink_to(own_code / "my_loss.py")
    names = ["my_loss.py", "./my_loss.py", str(own_code / "my_loss.py"), "my_loss", "other/my_loss.py", "link.py"]
    load_plugins(names)
    load_plugins(["other/../my_loss.py"])
    assert {"first_logq", "second_logq"} <= set(losses.names())


def test_a_module_first_and_its_file_after_it(own_code: Path) -> None:
    write(own_code / "my_module.py", "module_logq")
    load_plugins("my_module")
    load_plugins("my_module.py,my_module")
    assert "module_logq" in losses.names()
    assert sys.path[-1] == str(own_code)  # never before what is installed


def test_a_package_with_a_dotted_name_and_what_lies_beside_a_file(own_code: Path) -> None:
    write(own_code / "my_package" / "inner.py", "inner_logq")
    (own_code / "my_package" / "__init__.py").write_text("")
    (own_code / "beside" / "my_numbers.py").parent.mkdir()
    (own_code / "beside" / "my_numbers.py").write_text("N = 7\n")
    text = "from my_numbers import N\nfrom recbole_logq.registry import recipes\n"
    text += "recipes.add('Seven', {'loss': 'logq', 'negatives': {'source': 'in_batch', 'count': N}}, summary='7')\n"
    (own_code / "beside" / "recipe.py").write_text(text)
    load_plugins(["my_package.inner", "beside/recipe.py"])
    assert "inner_logq" in losses.names()
    assert recipes.get("Seven")["negatives"]["count"] == 7
    with pytest.raises(RequestError, match=r"my_package.inner lies in the current folder, .* install it"):
        sources_of("my_package.inner")  # other processes would not find it


REGISTER = "from recbole_logq.registry import encoders, losses, metrics, models, recipes, samplers\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import math\n\nmath.nothing()\n", r"my_bad.py, line 3: AttributeError: module 'math' has no attribute"),
        ("def f():\n    return undefined\n\nf()\n", r"my_bad.py, line 2: NameError: name 'undefined'"),
        ("x = = 2\n", r"my_bad.py, line 1: SyntaxError: invalid syntax"),
        ("import sys\nsys.exit(0)\n", r"my_bad.py, line 2: it ends the program"),
        ("import nowhere_to_be_found\n", r"my_bad.py, line 1: ModuleNotFoundError: No module named 'nowhere"),
        ("import math\n", r"my_bad.py registers nothing"),
        (
            REGISTER + "losses.add('new', int, summary='x')\n",
            r"my_bad.py, line 2: .*loss 'new' is <class 'int'>: make it a subclass of recbole_logq.losses.Loss",
        ),
        (
            REGISTER + "@losses.register('logq', summary='mine')\nclass Mine: ...\n",
            r"my_bad.py, line 2: .*loss 'logq' is already registered, by recbole_logq/losses/logq.py, line \d+; "
            r"give the one of my_bad.py, line 2 another name",
        ),
        (
            REGISTER + "recipes.add('LogQ', {}, summary='mine')\n",
            r"recipe 'LogQ' is already registered, by recbole_logq/",
        ),
        (REGISTER + "encoders.add('SASRec', int, summary='')\n", r"encoder 'SASRec' is already registered"),
        (REGISTER + "metrics.add('three', 3, summary='')\n", r"metric 'three' is 3: make it a function"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(own_code: Path, text: str, message: str) -> None:
    (own_code / "my_bad.py").write_text(text)
    with pytest.raises(RequestError, match=message):
        load_plugins("my_bad.py")


@pytest.mark.parametrize("name", ["my_bad.py", "my_bad"])
def test_of_what_fails_nothing_stays(own_code: Path, name: str) -> None:
    text = REGISTER + "recipes.add('Half', {}, summary='of a plug-in')\n"
    (own_code / "my_bad.py").write_text(text + "1 / 0\n")
    for _ in range(2):
        with pytest.raises(RequestError, match=r"my_bad.py, line 3: ZeroDivisionError: division by zero"):
            load_plugins(name)
        assert "Half" not in recipes
    (own_code / "my_bad.py").write_text(text)
    importlib.invalidate_caches()
    load_plugins("my_bad.py")  # mended, in the same process
    assert "Half" in recipes


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_absent.py", r"cannot read my_absent.py in .*: No such file"),
        ("my_absent", r"no module named 'my_absent' is installed or lies in .*; a file is named with .py"),
        ("my_absent.inner", r"no module named 'my_absent.inner'"),
        ("my loss", r"'my loss' is neither a module nor a file"),
        (".", r"'.' is neither"),
        ("folder/", r"cannot read folder/"),
    ],
)
def test_what_is_not_there(own_code: Path, name: str, message: str) -> None:
    (own_code / "folder").mkdir()
    with pytest.raises(RequestError, match=message):
        load_plugins(name)


def test_a_file_that_changes_within_a_process(own_code: Path) -> None:
    write(own_code / "my_loss.py", "first_logq")
    load_plugins("my_loss.py")
    write(own_code / "my_loss.py", "other_logq")
    with pytest.raises(RequestError, match=r"my_loss.py has changed since this process has run it"):
        load_plugins("my_loss.py")


def test_text_that_another_machine_sends(own_code: Path) -> None:
    text = LOSS.format(name="sent_logq") + "\n    def column_offset(self, terms):\n        return undefined\n"
    receive([{"name": "./my_loss.py", "path": "/nowhere/my_loss.py", "source": text}])
    load_plugins(["./my_loss.py"])  # its own name for it, although no such file is here
    assert "sent_logq" in losses.names()
    assert checksums("./my_loss.py").keys() == {"./my_loss.py"}
    assert "return undefined" in inspect.getsource(losses.get("sent_logq"))


@pytest.fixture
def trained(own_code: Path, ml100k_cut: Path) -> dict[str, Any]:
    write(own_code / "my_loss.py", "own_logq")
    settings = {**QUICK, "data_path": str(ml100k_cut), "plugins": "./my_loss.py", "loss": "own_logq"}
    return run("TwoTowerLogQ", "cut", config_dict=settings)


@pytest.fixture
def forget(own_code: Path) -> Callable[[], None]:
    """As in a process that has not run the plug-in."""
    from recbole_logq import plugins

    def make() -> None:
        plugins._loaded.clear()
        for name in [name for name in losses.names() if not losses.packaged(name)]:
            del losses._entries[name]

    return make


def test_a_checkpoint_names_plug_ins_and_runs_none(
    trained: dict[str, Any], forget: Callable[[], None], own_code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = trained["checkpoint"]
    stored = torch.load(file, weights_only=True)
    assert stored["config"]["plugins"] == ["./my_loss.py"]
    assert stored["plugins"] == trained["plugins"] == checksums("./my_loss.py")
    assert evaluate(file)["test_result"] == trained["test_result"]  # this process has run it, nothing new is
    forget()
    said = f"{file} was trained with plug-ins ./my_loss.py: give --plugins=./my_loss.py if you trust them"
    marked = own_code / "ran"
    text = (own_code / "my_loss.py").read_text() + f"\nopen({str(marked)!r}, 'w').close()\n"
    (own_code / "my_loss.py").write_text(text)
    folder, checkpoint = f"--folder={own_code / 'out'}", f"--checkpoint={file}"
    for words in (
        ["evaluate", checkpoint],
        ["export", checkpoint, folder],
        ["lab", checkpoint],
        ["advise", checkpoint],
    ):
        capsys.readouterr()
        assert main(words) == 2
        assert capsys.readouterr().err == f"error: {said}\n"
    assert main(["recommend", f"--model={file}", "--users=1"]) == 2
    resume = ["--model=TwoTowerLogQ", "--dataset=cut", "--loss=own_logq", f"--resume={file}"]
    assert main(resume) == 2
    assert capsys.readouterr().err.endswith(f"{file} was trained with --plugins=./my_loss.py\n")
    assert not marked.exists()
    # Asked for, under another path: it is run, and its change is said.
    (own_code / "moved").mkdir()
    (own_code / "my_loss.py").rename(own_code / "moved" / "my_loss.py")
    assert main(["evaluate", f"--checkpoint={file}", "--plugins=moved/my_loss.py"]) == 0
    assert marked.exists()
    assert "my_loss.py has changed since" in capsys.readouterr().err
    assert export(file, own_code / "out", plugins="moved/my_loss.py")["model"] == "TwoTowerLogQ"
    loaded = load(file, plugins="moved/my_loss.py")
    assert len(loaded.model.item_vectors(None)) == loaded.dataset.item_num


def test_go_on_with_training(trained: dict[str, Any], ml100k_cut: Path) -> None:
    settings = {**QUICK, "data_path": str(ml100k_cut), "plugins": ["my_loss.py"], "loss": "own_logq", "epochs": 2}
    last = trained["checkpoint"].replace(".pth", "-last.pth")
    assert len(run("TwoTowerLogQ", "cut", config_dict=settings, resume=last)["history"]) == 2


def test_an_error_in_training_names_the_line(
    own_code: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = LOSS.format(name="own_logq") + "\n    def column_offset(self, terms):\n        return undefined\n"
    (own_code / "my_loss.py").write_text(text)
    words = [
        "--model=TwoTowerLogQ",
        "--dataset=cut",
        f"--data_path={ml100k_cut}",
        "--state=ERROR",
        "--show_progress=false",
    ]
    assert main([*words, "--plugins=my_loss.py", "--loss=own_logq"]) == 1
    where = f"{own_code / 'my_loss.py'}, line {len(text.splitlines())}"
    assert capsys.readouterr().err == f"error: unexpected NameError: name 'undefined' is not defined ({where})\n"


def test_what_does_not_fit_names_the_file(own_code: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = LOSS.format(name="unfit_logq") + "\n    def column_offset(self, terms):\n        return torch.zeros(7)\n"
    (own_code / "unfit_loss.py").write_text(f"import torch\n{text}", encoding="utf-8")
    words = ["--model=TwoTowerLogQ", "--dataset=cut", f"--data_path={ml100k_cut}", "--state=ERROR"]
    words += ["--show_progress=false", "--plugins=unfit_loss.py", "--loss=unfit_logq"]
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: unexpected RuntimeError: ")
    assert "unfit_loss.py may have given what does not fit; --debug=true shows where)" in error


def test_the_listing_and_the_laboratory(own_code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(own_code / "my_loss.py", "own_logq")
    assert main(["models", "--plugins=my_loss.py"]) == 0
    assert "own_logq" in capsys.readouterr().out
    words = ["lab", "--estimators=own_logq+uniform", "--counts=[8]", "--pools=64", "--items=50", "--rows=4"]
    assert main([*words, "--show_progress=false", "--plugins=my_loss.py", "--output=lab.json"]) == 0
    (estimator,) = json.loads(Path("lab.json").read_text())["estimators"]
    assert estimator["estimator"] == "own_logq+uniform"


@pytest.mark.slow
def test_compare_with_real_processes(own_code: Path, ml100k_cut: Path) -> None:
    """Its runs stand in folders of their own, and one of them is of a module in the current folder."""
    write(own_code / "my_loss.py", "own_logq")
    text = "from recbole_logq.registry import metrics\n\n@metrics.register('FirstOne', summary='')\n"
    (own_code / "my_metrics.py").write_text(text + "def first(hits, n_targets):\n    return hits[:, 0].float()\n")
    settings = {**QUICK, "data_path": str(ml100k_cut), "loss": "own_logq", "plugins": ["./my_loss.py", "my_metrics"]}
    settings |= {"metrics": ["NDCG", "FirstOne"], "valid_metric": "FirstOne@10"}
    asked = {"models": "TwoTowerLogQ", "dataset": "cut", "seeds": 1, **settings}
    found = compare(config_dict=asked, folder="here")["records"]
    assert found[0]["status"] == "done", found[0]["error"]
    assert set(found[0]["result"]["plugins"]) == {"./my_loss.py", "my_metrics"} - {"my_metrics"}
    assert found[0]["per_user"].keys() == {"ndcg@10", "recall@10", "firstone@10"}
    assert '--plugins=\'["./my_loss.py", "my_metrics"]\'' in found[0]["command"]
    assert os.listdir("here/runs")
    # A file that has changed makes another run.
    from recbole_logq.experiment.plan import make_plan

    before = make_plan([], asked).runs[0].key
    (own_code / "my_loss.py").write_text((own_code / "my_loss.py").read_text() + "# changed\n")
    assert make_plan([], asked).runs[0].key != before


@pytest.mark.parametrize("encode", [lambda text: b"\xef\xbb\xbf" + text, lambda text: text.replace(b"\n", b"\r\n")])
@pytest.mark.parametrize("names", [["my_marked.py", "my_marked"], ["my_marked", "my_marked.py"]], ids=str)
def test_a_file_of_an_editor_on_windows(own_code: Path, names: list[str], encode: Callable[[bytes], bytes]) -> None:
    file = write(own_code / "my_marked.py", "marked_logq")
    file.write_bytes(encode(file.read_bytes()))
    load_plugins(names)
    assert "marked_logq" in losses.names()
    assert not sources_of(names)[0]["source"].startswith("\ufeff")
    receive(sources_of(names))  # the same text, so nothing has changed


FAILING = {
    "at import": ("None + 1\n", []),
    "in the loss": ("    def __init__(self) -> None:\n        None + 1\n", ["--loss=failing"]),
    "in the source": (
        "    def __init__(self, counts, *, count, seed):\n        None + 1\n",
        ["--negatives.source=failing"],
    ),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_type_error_of_a_plug_in_keeps_its_place(
    own_code: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    body, words = FAILING[case]
    kind = "sampler" if "source" in case else "loss"
    base = (
        "recbole_logq.samplers.uniform import Uniform" if kind == "sampler" else "recbole_logq.losses.logq import LogQ"
    )
    registry = f"{kind}s" if kind == "sampler" else "losses"
    head = f"from {base} as Base\nfrom recbole_logq.registry import {registry} as all\n"
    text = head + (body if not words else f'@all.register("failing", summary="x")\nclass A(Base):\n{body}')
    (own_code / "a.py").write_text(text, encoding="utf-8")
    assert main(["--model=TwoTowerLogQ", "--dataset=ml-100k", "--plugins=a.py", *words]) == 2
    message = capsys.readouterr().err
    line = text.splitlines().index(next(line for line in text.splitlines() if "None + 1" in line)) + 1
    assert message.count("\n") == 1
    assert f"{own_code}/a.py, line {line}" in message
    assert "TypeError: unsupported operand" in message


POOLS = {
    "log_q=self.law(ids) * 0 + 3": "log_q must be logarithms of probabilities, 0 at most",
    "log_q=self.law(ids) - 1": "law(ids) must be log_q",
    "ids=ids * 0": "ids must be from 1 to ",
    "ids=ids + 10**6": "ids must be from 1 to ",
}


@pytest.mark.parametrize("change", [*POOLS, None], ids=str)
def test_a_pool_that_cannot_be_is_refused_at_the_first_step(
    own_code: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str], change: str | None
) -> None:
    given = {"ids": "ids=ids", "log_q": "log_q=self.law(ids)"} | ({change.split("=")[0]: change} if change else {})
    text = f"""import torch
from recbole_logq.registry import samplers
from recbole_logq.samplers import Pool, Sampler

@samplers.register("even", summary="uniform over all items")
class Even(Sampler):
    name, kind = "even", "draws"

    def __init__(self, counts, *, count, seed):
        super().__init__(counts, count=count, seed=seed)
        self.items = counts.n_items - 1

    def sample(self, positives, *, n_units=None):
        ids = torch.randint(1, self.items + 1, (self.count,), generator=self.generator)
        origin = torch.full_like(ids, -1)
        return Pool({given["ids"]}, kind=self.kind, origin=origin, {given["log_q"]}, law=self.law)

    def law(self, ids):
        return torch.full(ids.shape, -torch.tensor(float(self.items)).log())
"""
    (own_code / "even.py").write_text(text, encoding="utf-8")
    words = ["--model=TwoTowerCorrectedLogQ", "--dataset=cut", f"--data_path={ml100k_cut}", "--epochs=1"]
    words += ["--state=ERROR", "--show_progress=false", "--plugins=even.py", "--negatives.source=even"]
    assert main([*words, "--negatives.count=32"]) == (0 if change is None else 2)
    if change is not None:
        assert f"sampler 'even' gives no valid pool: {POOLS[change]}" in capsys.readouterr().err


def test_an_encoder_that_cannot_be_made_keeps_its_place(own_code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "from recbole_logq.models.two_tower import TwoTower\nfrom recbole_logq.registry import encoders\n"
        '@encoders.register("Failing", summary="x")\nclass Failing(TwoTower):\n'
        "    {where}\n        None + 1\n"
    )
    for name, where in (
        ("b", "def __init__(self, config, dataset):"),
        ("c", "@classmethod\n    def check_settings(c, v, g):"),
    ):
        source = text.format(where=where).replace("Failing", f"Failing{name}")
        (own_code / f"{name}.py").write_text(source, encoding="utf-8")
        words = [f"--model=Failing{name}LogQ", "--dataset=ml-100k", f"--plugins={name}.py", "--state=ERROR"]
        assert main(words) == 2
        assert f"/{name}.py, line {len(source.splitlines())})" in capsys.readouterr().err

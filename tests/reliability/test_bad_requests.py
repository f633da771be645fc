"""Bad requests, as a table: each is answered in one line that says what is wrong and what to do."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.training import checkpoint

Content = str | bytes | Callable[[str], str | bytes]
QUIET = ["--data_path=data", "--state=ERROR", "--show_progress=false"]
RUN, SEQUENTIAL, UNIFORM, BPR = (
    [f"--model={model}", "--dataset=tiny", *QUIET] for model in ("TwoTowerLogQ", "SASRecLogQ", "TwoTowerUniform", "BPR")
)
INTER, ITEM, HEAD = "data/tiny/tiny.inter", "data/tiny/tiny.item", "user_id:token\titem_id:token\ttimestamp:float\n"
NO_NETWORK = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https")}


@dataclass(frozen=True)
class Case:
    """A request, the files it finds, and a part of its answer.

    Attributes:
        files: Beside ``data/tiny/tiny.inter``: content by name; a function gets the good interactions.
        process: Whether it is a process of its own.
        held: A lock that another run has.
    """

    name: str
    words: list[str]
    says: str
    files: dict[str, Content] = field(default_factory=dict)
    status: int = 2
    process: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    held: str | None = None


def bad(name: str, words: list[str], says: str, **more: Any) -> Case:
    return Case(name, words, says, **more)


def inter(name: str, change: Content, says: str, words: list[str] = RUN) -> Case:
    return Case(name, words, says, {INTER: change})


def own(name: str, words: list[str], says: str, **changes: Any) -> Case:
    """A checkpoint in which something was changed."""
    return Case(name, words, says, {"own.pth": changes})  # type: ignore[dict-item]


def row(find: str, put: str) -> Callable[[str], str]:
    return lambda text: re.sub(find, put, text, count=1, flags=re.MULTILINE)


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


def pickled(_: str) -> bytes:
    """What would make a file named ``ran`` if it was unpickled."""
    file = io.BytesIO()
    torch.save({"config": Trap(), "state_dict": {}, "given": {}}, file)
    return file.getvalue()


GROWING = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
SPACE = "model: BPR\ndataset: tiny\nsettings: {data_path: data}\n"
RESUME = [*RUN, "--epochs=2", "--resume=own.pth"]
OTHER = {"model": "TwoTowerLogQ", "dataset": "other"}
CONVERT = ["convert", "--input=a.csv"]
CSV = {"a.csv": "user,item\n1,2\n"}
EXPORT = ["export", "--checkpoint=own.pth"]
EVALUATE = ["evaluate", "--checkpoint=own.pth", "--state=ERROR"]

CASES = [
    # Names
    bad("unknown command", ["trian"], "no command named 'trian'", process=True),
    bad("unknown model", ["--model=TwoTowerLogK", "--dataset=tiny"], "did you mean"),
    bad("unknown model of RecBole", ["--model=LigthGCN", "--dataset=tiny"], "LightGCN"),
    bad("no model", ["--dataset=tiny"], "set --model=NAME"),
    bad("no dataset", ["--model=BPR"], "set --dataset=NAME"),
    bad("unknown dataset", ["--model=BPR", "--dataset=tyni", *QUIET], "did you mean tiny"),
    bad("dataset as a path", ["--model=BPR", "--dataset=data/tiny", *QUIET], "its folder's parent as --data_path"),
    bad("unknown setting", [*RUN, "--learnin_rate=0.1"], "did you mean learning_rate"),
    bad("setting of another model", [*BPR, "--temperature=0.1"], "unknown setting temperature"),
    bad("unknown setting of a section", [*RUN, "--negatives.cuont=9"], "unknown setting negatives.cuont"),
    bad("unknown loss", [*RUN, "--loss=logqq"], "did you mean 'logq'"),
    bad("unknown source of negatives", [*RUN, "--negatives.source=in_batsch"], "no sampler named 'in_batsch'"),
    bad("unknown metric", [*RUN, "--metrics=[MRR, Recal]"], "did you mean Recall"),
    bad("no such plug-in", [*RUN, "--plugins=my_loss.py"], "cannot read my_loss.py in"),
    bad("no such module", [*RUN, "--plugins=my_loss"], "a file is named with .py"),
    bad("a plug-in that fails", [*RUN, "--plugins=a.py"], "line 2: NameError", files={"a.py": "x = 1\nprint(y)\n"}),
    bad("a plug-in without names", [*RUN, "--plugins=a.py"], "a.py registers nothing", files={"a.py": "x = 1\n"}),
    # The command line
    bad("a space for the equals sign", ["--model", "BPR"], "write --model=VALUE", process=True),
    bad("no dashes", [*BPR, "epochs=1"], "write --key=value"),
    bad("no value", [*RUN, "--epochs="], "--epochs has no value", process=True),
    bad("twice", [*RUN, "--epochs=1", "--epochs=2"], "given twice"),
    bad("a value and a section", [*RUN, "--negatives=3", "--negatives.count=3"], "negatives.count cannot be set"),
    bad("code for a value", [*RUN, "--epochs=__import__('os').mkdir('ran')"], "epochs=", process=True),
    bad("a result that cannot be written", [*RUN, "--output=no/out.json"], "give a file in an existing folder"),
    bad("a folder for the result", [*RUN, "--output=data"], "cannot write there"),
    bad("settings of an unknown model", ["settings", "TwoTowerLogK"], "did you mean TwoTowerLogQ"),
    bad("settings for the list of models", ["models", "--model=BPR"], "models takes no settings", process=True),
    # Types and ranges
    bad("text for a number", [*RUN, "--epochs=ten"], "epochs='ten'"),
    bad("a fraction for a count", [*RUN, "--epochs=2.5"], "valid integer"),
    bad("true for a number", [*RUN, "--epochs=true"], "expected a number, not true/false"),
    bad("text for a truth value", [*RUN, "--use_gpu=perhaps"], "valid boolean"),
    bad("a negative size", [*RUN, "--train_batch_size=-5"], "greater than or equal to 1"),
    bad("a size of zero", [*RUN, "--embedding_size=0"], "embedding_size=0"),
    bad("no negatives", [*RUN, "--negatives.count=0"], "negatives.count=0"),
    bad("a length of zero", [*SEQUENTIAL, "--MAX_ITEM_LIST_LENGTH=0"], "MAX_ITEM_LIST_LENGTH=0"),
    bad("a size beyond all bounds", [*RUN, "--train_batch_size=99999999999999999999"], "less than or equal to"),
    bad("a number that no float holds", [*BPR, f"--embedding_size=1{'0' * 400}"], "embedding_size: a whole number"),
    bad("such a share", [*RUN, f"--eval_args.split.RS=[1{'0' * 400},1,1]"], "eval_args.split.RS.0: a whole number"),
    bad("a negative size, RecBole's model", [*BPR, "--embedding_size=-4"], "cannot be built with these settings"),
    bad("text for a number, RecBole's model", [*BPR, "--embedding_size=abc"], "such as its default 64"),
    bad("no negatives, RecBole's model", [*BPR, "--train_neg_sample_args.sample_num=0"], "1 or more"),
    bad("no negatives for pairs", [*BPR, "--train_neg_sample_args=None"], "needs some drawn"),
    bad("a learning rate of NaN", [*RUN, "--learning_rate=.nan"], "learning_rate=nan"),
    bad("an infinite learning rate", [*RUN, "--learning_rate=1e400"], "finite number"),
    bad("a negative learning rate", [*RUN, "--learning_rate=-0.1"], "greater than 0"),
    bad("a temperature of zero", [*RUN, "--temperature=0"], "temperature=0"),
    bad("dropout of everything", [*RUN, "--dropout=1"], "less than 1"),
    bad("heads that do not divide", [*SEQUENTIAL, "--n_heads=7"], "does not divide"),
    bad("no cut-off", [*RUN, "--topk=[]"], "topk=[]"),
    bad("a metric without its cut-off", [*RUN, "--valid_metric=NDCG@7"], "not among topk"),
    bad("k larger than the catalogue", [*RUN, "--topk=[41]", "--valid_metric=MRR@41"], "tiny has only 40 items"),
    bad("an interval without an end", [*RUN, "--user_inter_num_interval=[5"], 'such as "[5,inf)"'),
    bad("a split without its test", [*RUN, "--eval_args.split.RS=[8,2]"], "LS: valid_and_test"),
    bad("an infinite share", [*RUN, "--eval_args.split.RS=[8,.inf,1]"], "eval_args.split"),
    bad("an unknown mode", [*RUN, "--eval_args.mode=uniten"], "such as uni100"),
    bad("a random order for sequences", [*SEQUENTIAL, "--eval_args.order=RO"], "set order: TO"),
    bad("a loss that does not fit", [*RUN, "--loss=full_softmax"], "set negatives.source=catalogue"),
    bad("a schedule without its end", [*RUN, "--temperature_mode=scheduled"], "needs temperature_end"),
    bad("a pickle to be written", [*RUN, "--save_dataset=true"], "a pickle"),
    # Configuration files
    bad("no such file", [*RUN, "--config_files=none.yaml"], "cannot read the configuration file none.yaml"),
    bad(
        "a syntax error",
        [*RUN, "--config_files=a.yaml"],
        "a.yaml, line 3: not valid YAML",
        files={"a.yaml": "epochs: 1\nseed: 2\n  topk: [1\n"},
    ),
    bad("a key twice", [*RUN, "--config_files=a.yaml"], "a.yaml, line 2", files={"a.yaml": "seed: 1\nseed: 2\n"}),
    bad("a list of settings", [*RUN, "--config_files=a.yaml"], "`key: value`", files={"a.yaml": "- 1\n"}),
    bad("code in YAML", [*RUN, "--config_files=a.yaml"], "line 1", files={"a.yaml": "a: !!python/name:os.abort\n"}),
    bad("YAML that is no text", [*RUN, "--config_files=a.yaml"], "a.yaml", files={"a.yaml": b"a: \xff\xfe\n"}),
    bad("YAML whose aliases grow", [*RUN, "--config_files=a.yaml"], "100,000 values", files={"a.yaml": GROWING}),
    bad("YAML nested without end", [*RUN, "--config_files=a.yaml"], "30 levels", files={"a.yaml": "a: " + "[" * 5000}),
    bad("a control character in YAML", [*RUN, "--config_files=a.yaml"], "line 2", files={"a.yaml": "a: 1\nb: \x07\n"}),
    bad("a type in YAML", [*RUN, "--config_files=a.yaml"], "!!set", files={"a.yaml": "seed: !!set {1}\n"}),
    bad("control characters in a name", [*QUIET, "--model=BPR", "--dataset=\x1b[2Jx\u202ey"], "\\x1b[2Jx\\u202ey"),
    # Data
    inter("an empty file", "", "first line must declare"),
    inter("an empty dataset", HEAD, "no row with a user and an item"),
    inter("one user", HEAD + "u\ti\t1\n", "1 users with 1 items after the filters: too few"),
    inter("one item", HEAD + "".join(f"u{n}\ti\t{n}\n" for n in range(30)), "too few to train on"),
    inter("one interaction each", HEAD + "".join(f"u{n}\ti{n}\t{n}\n" for n in range(30)), "nothing", SEQUENTIAL),
    inter("one interaction each, random", HEAD + "".join(f"u{n}\ti{n}\t{n}\n" for n in range(30)), "nothing to test"),
    inter("nothing after the filters", str, "at the filters", [*RUN, "--user_inter_num_interval=[99,inf)"]),
    inter("a time of NaN", row(r"\t100$", "\tnan"), "no finite timestamp", SEQUENTIAL),
    inter("an infinite time", row(r"\t100$", "\tinf"), "no finite timestamp", SEQUENTIAL),
    inter("text for a time", row(r"\t100$", "\tnoon"), "'noon' in timestamp:float, which is no number", SEQUENTIAL),
    inter("time typed as text", row("timestamp:float", "timestamp:token"), "timestamp:float", SEQUENTIAL),
    inter(
        "an infinite weight",
        row(r"\t3\.?\d*\t", "\tinf\t"),
        "weights must be numbers from 0 up",
        [*RUN, "--weight_field=rating", "--load_col.inter=[user_id,item_id,rating]"],
    ),
    bad(
        "an infinite feature",
        [*RUN, "--item_features=[length]"],
        "length of tiny has infinite values",
        files={ITEM: "item_id:token\tlength:float\ni1\tinf\ni2\t3\n"},
    ),
    bad("no such feature", [*RUN, "--item_features=[length]"], "tiny.item does not exist"),
    inter("broken UTF-8", lambda text: text.encode().replace(b"u59\t", b"\xff\xfe\t"), "set --encoding=NAME"),
    inter("UTF-16", lambda text: text.encode("utf-16"), "set --encoding=NAME"),
    inter("a byte order mark", lambda text: "\ufeff" + text, "--encoding=utf-8-sig"),
    bad("an unknown encoding", [*RUN, "--encoding=utf-9"], "no such encoding"),
    inter("no header", lambda text: text.partition("\n")[2], "first line must declare"),
    inter("a header without types", row("user_id:token", "user_id"), "name:type"),
    inter("an unknown type", row("user_id:token", "user_id:text"), "token, token_seq, float, float_seq"),
    inter("a column twice", row("rating:float", "item_id:token"), "has the column item_id twice"),
    inter("another name of the user", row("user_id", "user"), "compare USER_ID_FIELD"),
    inter("commas for tabs", lambda text: text.replace("\t", ","), "separated by '\\t'"),
    inter("commas for tabs below the header", lambda text: HEAD + text.replace("\t", ","), "field_separator='\\t'"),
    inter("only empty ids", HEAD + "".join(f"\ti{n}\t{n}\n" for n in range(30)), "no row with a user and an item"),
    inter("a quotation mark", row("^u7\t", '"u7\t'), "take the mark out"),
    inter("user ids typed as numbers", row("user_id:token", "user_id:float"), "which is no number"),
    bad("labels that are not there", ["--model=DeepFM", *RUN[1:]], "--threshold.rating=3"),
    bad("no data there", [*RUN[:2], "--data_path=elsewhere"], "Own files go to elsewhere"),
    bad(
        "no network",
        ["--model=BPR", "--dataset=amazon-beauty", *QUIET],
        "could not be fetched",
        status=1,
        process=True,
        environment=NO_NETWORK,
    ),
    # Work that fails
    bad("a pool beyond memory", [*UNIFORM, "--negatives.count=99999999999999"], "negatives.count", status=1),
    bad("a table beyond memory", [*RUN, "--embedding_size=9999999999999"], "embedding_size", status=1),
    # Checkpoints
    bad("no checkpoint", [*RUN, "--resume=none.pth"], "no checkpoint at none.pth"),
    bad("resume without a file", [*RUN, "--resume"], "write --resume=FILE"),
    Case("a truncated one", RESUME, "is damaged or not a checkpoint", {"own.pth": "cut"}),
    Case("a flipped bit", RESUME, "its checksums do not fit", {"own.pth": "flip"}),
    bad("a pickle that runs code", RESUME, "holds more than values", files={"own.pth": pickled}, process=True),
    own("a checkpoint of another model", [*BPR, "--resume=own.pth"], "is of model TwoTowerLogQ, not BPR"),
    own("a checkpoint of another dataset", RESUME, "is of dataset other, not tiny", config=OTHER),
    Case("a checkpoint of other rows", RESUME, "another split of tiny", {"own.pth": {}, INTER: row("^u1\t", "u2\t")}),
    own("another learning rate", [*RESUME, "--learning_rate=0.5"], "was trained with 0.001"),
    own("its best model is gone", RESUME, "the best model so far, beside it", best_file="gone.pth"),
    own("its best model is elsewhere", RESUME, "not a file beside it", best_file="data/own.pth"),
    own("text for the epoch", RESUME, "own.pth is damaged: epoch", epoch="three"),
    own("an epoch below 0", RESUME, "own.pth is damaged", epoch=-3),
    own("no optimizer", RESUME, "own.pth is damaged", optimizer={}),
    own("no random state", RESUME, "it has no random.torch", random={}),
    own("weights of NaN", EVALUATE, "no finite numbers", state_dict="nan"),
    own("weights of another shape", EVALUATE, "does not fit the model", state_dict="cut"),
    own("what the weights fix", [*EVALUATE, "--embedding_size=8"], "evaluation keeps it"),
    own("a setting that is none", [*EVALUATE, "--topkk=[5]"], "did you mean topk"),
    bad("nothing to evaluate", ["evaluate"], "set --checkpoint=FILE", process=True),
    Case("two runs on one checkpoint", RESUME, "another run is writing own.pth", {"own.pth": {}}, held=".own.pth.lock"),
    # Other commands
    bad("compare: nothing", ["compare"], "--models=A,B --dataset=NAME"),
    bad("compare: an unknown model", ["compare", "--models=BPR,Nope", "--dataset=tiny", "--data_path=data"], "Nope"),
    bad("compare: a model twice", ["compare", "--models=BPR,BPR", "--dataset=tiny"], "stands there twice"),
    bad("compare: no seeds", ["compare", "--models=BPR", "--dataset=tiny", "--seeds=0"], "seeds=0"),
    bad("compare: what is no result", ["compare", "--results=a.json"], "no result of run", files={"a.json": "{}"}),
    bad(
        "compare: two in one folder",
        ["compare", "--models=BPR", "--dataset=tiny", "--data_path=data", "--folder=busy"],
        "another comparison is at work in",
        held="busy/.lock",
    ),
    bad("sweep: nothing", ["sweep"], "sweep needs a model, a dataset and a space"),
    bad("sweep: nothing to vary", ["sweep", "--config_files=a.yaml"], "space: what to vary", files={"a.yaml": SPACE}),
    bad(
        "sweep: an unknown kind of range",
        ["sweep", "--model=BPR", "--dataset=tiny", "--data_path=data", "--params_file=a.test"],
        "a.test, line 1: unknown kind 'gauss'",
        files={"a.test": "learning_rate gauss 1,2\n"},
    ),
    bad(
        "sweep: a value out of range",
        ["sweep", "--config_files=a.yaml"],
        "learning_rate, value -1",
        files={"a.yaml": SPACE + "space: {learning_rate: [0.1, -1]}\n"},
    ),
    bad("audit: no dataset", ["audit"], "set --dataset=NAME"),
    bad("audit: a model", ["audit", "--dataset=tiny", "--data_path=data", "--model=BPR"], "without a model"),
    bad("audit: no such time", ["audit", "--dataset=tiny", "--data_path=data", "--TIME_FIELD=when"], "TIME_FIELD=when"),
    bad("convert: no input", ["convert", "--dataset=mine"], "set --input=FILE"),
    bad("convert: no such column", [*CONVERT, "--dataset=b", "--user=who"], "user=who", files=CSV),
    bad("convert: over a dataset", [*CONVERT, "--dataset=tiny", "--data_path=data"], "--overwrite=true", files=CSV),
    bad("lab: an unknown estimator", ["lab", "--estimators=Corrected"], "no estimator named"),
    bad("lab: too few items", ["lab", "--items=3"], "items=3"),
    own("lab: weights of NaN", ["lab", "--checkpoint=own.pth"], "no finite numbers", state_dict="nan"),
    bad("export: no folder", EXPORT, "set --folder=FOLDER", process=True),
    own("export: over other files", [*EXPORT, "--folder=data"], "holds other files"),
    own("export: an unknown index", [*EXPORT, "--folder=out", "--index=hsnw"], "did you mean hnsw"),
    bad("recommend: no model", ["recommend", "--users=u1"], "set --model=FOLDER", process=True),
    bad("recommend: for nobody", ["recommend", "--model=data"], "takes one of --users=a,b"),
    bad("recommend: no export", ["recommend", "--model=data", "--users=u1"], "manifest.json"),
    own("recommend: a stranger", ["recommend", "--model=own.pth", "--users=nobody"], "no user 'nobody'"),
]  # fmt: skip


def code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> dict[str, Any]:
    """The content of a checkpoint of one epoch."""
    folder, before = tmp_path_factory.mktemp("trained"), Path.cwd()
    os.chdir(folder)
    try:
        (folder / "data" / "tiny").mkdir(parents=True)
        (folder / INTER).write_text(tiny)
        settings = {"data_path": "data", "epochs": 2, "state": "ERROR", "show_progress": False}
        files: list[Path] = []
        run("TwoTowerLogQ", "tiny", config_dict=settings, callback=lambda trainer, _: files.append(trainer.last_file))
        return {**checkpoint.load(files[0]), "best_file": "own.pth", "epoch": 0}
    finally:
        os.chdir(before)


def changed(state: dict[str, Any], changes: dict[str, Any] | str, path: Path) -> None:
    """Write a checkpoint with something else in it, or damage it."""
    changes, damage = ({}, changes) if isinstance(changes, str) else (dict(changes), None)
    if isinstance(how := changes.get("state_dict"), str):
        weights = dict(state["state_dict"])
        name = "item_tower.embedding.weight"
        weights[name] = weights[name] * float("nan") if how == "nan" else weights[name][:3]
        changes["state_dict"] = weights
    checkpoint.save({**state, **changes}, path)
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    elif damage == "flip":
        content[len(content) // 2] ^= 1
    path.write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def lock(path: str | None) -> Iterator[None]:
    if path is None:
        yield
        return
    Path(path).parent.mkdir(exist_ok=True)
    with FileLock(path):
        yield


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * case.process, id=case.name) for case in CASES]
)
def test_one_line_says_what_is_wrong(
    case: Case,
    tiny: str,
    trained: dict[str, Any],
    in_tmp: Path,
    capsys: pytest.CaptureFixture[str],
    seen: Any,
    request: pytest.FixtureRequest,
) -> None:
    files = {INTER: tiny, **case.files}
    for name, content in files.items():
        path = in_tmp / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "own.pth" and not callable(content):
            changed(trained, content, path)  # type: ignore[arg-type]
            continue
        content = content(tiny) if callable(content) else content
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with lock(case.held):
        before = contents(in_tmp)
        if case.process:
            done = request.getfixturevalue("commands").run(*case.words, cwd=in_tmp, **case.environment)
            status, said = done.returncode, done.stderr
        else:
            capsys.readouterr()
            status, said = main(case.words), capsys.readouterr().err
        after = contents(in_tmp)
    said = said.replace(str(in_tmp), "FOLDER")
    assert said.startswith("error: "), said
    assert said.count("\n") == 1, said
    assert case.says in said
    assert status == case.status
    assert {name: after.get(name) for name in before} == before  # nothing is written over
    assert all(name.startswith(("log/", "log_tensorboard/", "saved/")) for name in after.keys() - before.keys())
    shown = re.sub("0{100,}", "0...0", shlex.join(word for word in case.words if word not in QUIET))
    seen("bad-requests", case.name, code(shown), str(status), code(said.strip()))


def test_the_table_is_whole(names_in_page: Callable[[str], list[str]]) -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) > 80
    assert sum(case.process for case in CASES) == 10
    assert names_in_page("bad-requests") == names


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n"),
        lambda text: re.sub(r"\bu(\d)", r"00\1", text),
        lambda text: re.sub(r"\bi(\d)", r"1e\1", text),
        lambda text: re.sub(r"\bu(\d)", r"-\1.0", text),
    ],
    ids=["CRLF", "no last end of line", "numbers with zeros", "numbers like 1e5", "negative numbers"],
)
def test_what_is_not_bad_is_the_same_data(in_tmp: Path, tiny: str, change: Callable[[str], str]) -> None:
    results = []
    for name, text in (("tiny", tiny), ("other", change(tiny))):
        folder = in_tmp / name / "tiny"
        folder.mkdir(parents=True)
        (folder / "tiny.inter").write_bytes(text.encode())
        settings = {"data_path": name, "epochs": 1, "state": "ERROR", "show_progress": False}
        results.append(run("TwoTowerLogQ", "tiny", config_dict=settings)["history"][0]["valid_result"])
    assert results[0] == results[1]

"""Checkpoints that somebody has changed, as a table: none runs code, each is answered in one line before any work."""

from __future__ import annotations

import io
import os
import pickle
import re
import shlex
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.experiment.stored_settings import MODEL, settings_of_checkpoint
from recbole_logq.models.encoders import encoder_settings, is_packaged
from recbole_logq.registry import encoders
from recbole_logq.training import checkpoint
from recbole_logq.training.checkpoint_content import Content

State = dict[str, Any]
TOWER, SEQUENCE = "TwoTowerLogQ", "SASRecCBNSCorrectedLogQ"
QUIET = ["--data_path=data", "--state=ERROR", "--show_progress=false"]
EVALUATE = ["evaluate", "--checkpoint=own.pth", *QUIET]
EXPORT = ["export", "--checkpoint=own.pth", "--folder=out", "--data_path=data"]
LAB = ["lab", "--checkpoint=own.pth", "--data_path=data", "--show_progress=false"]
SMALL: State = {"data_path": "data", "epochs": 2, "embedding_size": 8, "state": "ERROR", "show_progress": False}
OF: dict[str, State] = {
    TOWER: {"learner": "adam", "lr_schedule": "linear"},
    SEQUENCE: {"n_layers": 1, "n_heads": 1, "inner_size": 8, "MAX_ITEM_LIST_LENGTH": 10},
}
ESCAPE = "\x1b[2J\u202e"
DEEP: Any = "end"
for _ in range(200):
    DEEP = [DEEP]


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


@dataclass(frozen=True)
class Case:
    """A change to a checkpoint, the command that opens it, and a part of the answer.

    Attributes:
        change: Of the content, which may be changed in place and is written if nothing is returned; else the file.
    """

    name: str
    change: Callable[[State], bytes | None]
    says: str
    words: tuple[str, ...] = tuple(EVALUATE)
    model: str = TOWER


def put(*path: Any, value: Any) -> Callable[[State], None]:
    """Something else in one place; a function gets what is there."""

    def change(state: State) -> None:
        *outer, last = path
        place: Any = state
        for step in outer:
            place = place[step]
        place[last] = value(place[last]) if callable(value) else value

    return change


def drop(*path: Any) -> Callable[[State], None]:
    def change(state: State) -> None:
        place: Any = state
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return change


def written(content: Any, **how: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **how)
    return file.getvalue()


def repacked(change: Callable[[str, bytes], bytes | None], compression: int = zipfile.ZIP_STORED) -> Any:
    """The archive with its entries changed; None leaves one out."""

    def change_archive(state: State) -> bytes:
        old, new = zipfile.ZipFile(io.BytesIO(written(state))), io.BytesIO()
        with zipfile.ZipFile(new, "w", compression) as archive:
            for name in old.namelist():
                if (content := change(name, old.read(name))) is not None:
                    archive.writestr(name, content)
        return new.getvalue()

    return change_archive


def other_archive(state: State) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("letter.txt", "dear reader")
    return file.getvalue()


def tape(state: State) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        content = pickle.dumps(Trap())
        entry = tarfile.TarInfo("pickle")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def flipped(state: State) -> bytes:
    content = bytearray(written(state))
    content[len(content) // 2] ^= 1
    return bytes(content)


def bomb(state: State) -> None:
    # Ten lists of the same list, thirty times over: some bytes in the file, and endless to walk.
    value: Any = "x"
    for _ in range(9):
        value = [value] * 60
    state["given"]["val_interval"] = value


def to(command: list[str]) -> tuple[str, ...]:
    return tuple(command)


def resume(model: str = TOWER) -> tuple[str, ...]:
    settings = {**SMALL, **OF[model], "epochs": 2}
    words = [f"--{key}={value}" for key, value in settings.items() if key not in {"data_path", "state"}]
    return (f"--model={model}", "--dataset=tiny", *words, *QUIET[:2], "--resume=own.pth")


TABLE = "item_tower.embedding.weight"
WRONG: State = {
    "config": "settings",
    "given": ["topk", 5],
    "fingerprint": "0123456789abcdef",
    "id_fingerprint": 17,
    "epoch": "three",
    "cur_step": 1.5,
    "best_valid_score": "high",
    "best_valid_result": [0.1],
    "best_epoch": True,
    "stopped": 0,
    "best_file": None,
    "history": {"0": 1},
    "spent": [0.0, 0.0, 0],
    "state_dict": [1, 2],
    "other_parameter": "none",
    "optimizer": [],
    "random": b"noise",
    "loader": torch.zeros(3),
    "schedule": "linear",
    "test_result": 0.5,
    "versions": ["torch 2"],
    "plugins": ["a.py"],
    "model_class": 5,
}
FIELDS = list(Content.model_fields)
SETTINGS_OF = {model: sorted(MODEL & encoder_settings(name).model_fields.keys()) for model, name in
               ((TOWER, "TwoTower"), (SEQUENCE, "SASRec"))}  # fmt: skip
TEXTS = {"loss", "weight_field", "segment_field", "grade_field", "impression_field"}  # a text is what they ask for

CASES = [
    # The file
    Case("an empty file", lambda _: b"", "not a checkpoint"),
    Case("the first half of it", lambda state: written(state)[: len(written(state)) // 2], "not a checkpoint"),
    Case("a flipped bit", flipped, "damaged"),
    Case("an archive of a letter", other_archive, "an archive of another kind"),
    Case("packed entries", repacked(lambda _, content: content, zipfile.ZIP_DEFLATED), "an archive of another kind"),
    Case("no description", repacked(lambda name, content: None if "data.pkl" in name else content), "another kind"),
    Case("no weights", repacked(lambda name, content: None if "/data/" in name else content), "damaged"),
    Case("a pickle of code for the description",
         repacked(lambda name, content: pickle.dumps(Trap()) if "data.pkl" in name else content), "not loaded"),
    Case("code for the settings", lambda state: written({**state, "config": Trap()}), "not loaded"),
    Case("code for the weights", lambda state: written({**state, "state_dict": Trap()}), "not loaded"),
    Case("code beside everything", lambda state: written({**state, "more": Trap()}), "not loaded"),
    Case("a bare pickle of code", lambda _: pickle.dumps(Trap()), "not a checkpoint"),
    Case("the format before archives", lambda state: written({**state, "more": Trap()},
         _use_new_zipfile_serialization=False), "not a checkpoint"),
    Case("the format before that", tape, "not a checkpoint"),
    Case("a tensor alone", lambda _: written(torch.ones(3)), "not a checkpoint"),
    Case("a whole module", lambda _: written(torch.nn.Linear(2, 2)), "not loaded"),
    Case("text of control characters for a file", lambda _: ESCAPE.encode(), "not a checkpoint"),
    # Every field
    *(Case(f"no {key}", drop(key), "own.pth") for key in FIELDS if Content.model_fields[key].is_required()),
    *(Case(f"{key}: another kind", put(key, value=WRONG[key]), "own.pth") for key in FIELDS),
    Case("epoch: below 0", put("epoch", value=-1), "epoch"),
    Case("epoch: beyond all bounds", put("epoch", value=2**60), "epoch"),
    Case("epoch: a whole number of 400 digits", put("epoch", value=10**400), "more than 300 digits"),
    Case("epoch: after the last one", put("epoch", value=7), "beyond its last one", resume()),
    Case("cur_step: below 0", put("cur_step", value=-5), "cur_step"),
    Case("best_epoch: below 0", put("best_epoch", value=-5), "best_epoch"),
    Case("best_valid_result: text for a value", put("best_valid_result", value={"mrr@10": ESCAPE}), "best_valid"),
    Case("test_result: a list for a value", put("test_result", value={"mrr@10": [1]}), "test_result"),
    Case("spent: no finite number", put("spent", value=(float("nan"), 0.0, 1)), "spent"),
    Case("spent: below 0", put("spent", value=(1.0, -2.0, 1)), "spent"),
    Case("best_file: a path", put("best_file", value="../own.pth"), "not a file beside it"),
    Case("best_file: the path of another system", put("best_file", value="..\\own.pth"), "not a file beside it"),
    Case("best_file: the folder above", put("best_file", value=".."), "not a file beside it"),
    Case("best_file: control characters", put("best_file", value=ESCAPE), "not a file beside it"),
    Case("best_file: the model of another run", put("best_file", value="other.pth"), "is of another run", resume()),
    Case("fingerprint: control characters", put("fingerprint", "train", value=ESCAPE), "fingerprint.train is no name"),
    Case("fingerprint: of other data", put("fingerprint", "train", value="0" * 16), "was trained on 000"),
    Case("fingerprint: without training", drop("fingerprint", "train"), "was trained on None"),
    Case("id_fingerprint: of other data", put("id_fingerprint", value="0" * 16), "are not those"),
    Case("history: a list in it", put("history", value=[[1, 2]]), "history.0 is not what it should be"),
    Case("history: nested 200 deep", put("history", value=[{"epoch": DEEP}]), "nested too deep"),
    Case("versions: nested 200 deep", put("versions", value=DEEP), "nested too deep"),
    Case("versions: half a character", put("versions", value={"torch": "\ud800"}), "half a character"),
    Case("more: a set", put("more", value={1, 2}), "own.pth"),
    Case("more: a kind of number", put("more", value=torch.float32), "which no checkpoint holds"),
    # Settings
    Case("model: none of them", put("config", "model", value="TwoTowerLogK"), "no model named 'TwoTowerLogK'"),
    Case("model: another one", put("config", "model", value="SASRecLogQ"), "own.pth"),
    Case("model: one of RecBole", put("config", "model", value="BPR"), "own.pth"),
    Case("model: control characters", put("config", "model", value=ESCAPE), "config.model is no name"),
    Case("dataset: another one", put("config", "dataset", value="other"), "no data set 'other'"),
    Case("dataset: a path", put("config", "dataset", value="../tiny"), "config.dataset is no name"),
    Case("dataset: nothing", put("config", "dataset", value=""), "config.dataset is not"),
    *(Case(f"setting {key}: {'a list' if key in TEXTS else 'control characters'}",
           put("config", key, value=[1] if key in TEXTS else ESCAPE), f"setting {key}", model=model)
      for model, keys in SETTINGS_OF.items() for key in keys
      if model == TOWER or key not in SETTINGS_OF[TOWER]),
    Case("setting embedding_size: larger than its tables", put("config", "embedding_size", value=16), "does not fit"),
    Case("setting embedding_size: beyond all memory", put("config", "embedding_size", value=2**50), "larger than all"),
    Case("setting n_heads: no divisor", put("config", "n_heads", value=3), "own.pth", model=SEQUENCE),
    Case("setting loss: none of them", put("config", "loss", value=ESCAPE), "no loss named"),
    Case("setting negatives: no such source", put("config", "negatives", value={"source": ESCAPE}), "no sampler"),
    Case("setting topk: text", put("given", "topk", value=ESCAPE), "topk="),
    Case("setting eval_args: a list", put("given", "eval_args", value=[1]), "eval_args="),
    Case("setting eval_args: nested 200 deep", put("given", "eval_args", value={"split": DEEP}), "nested too deep"),
    Case("setting val_interval: lists of lists of one list", bomb, "more values than its size allows"),
    Case("setting metrics: nothing", put("config", "metrics", value=[]), "setting metrics"),
    Case("setting seed: not a number", put("given", "seed", value=float("nan")), "seed="),
    Case("setting epochs: a number of 400 digits", put("given", "epochs", value=10**400), "more than 300 digits"),
    Case("setting load_col: a path", put("given", "load_col", value={"inter/../../x": ["user_id"]}), "leads out of"),
    Case("setting benchmark_filename: a path",
         put("given", "benchmark_filename", value=["../../a", "b", "c"]), "leads out of"),
    Case("setting additional_feat_suffix: a path",
         put("given", "additional_feat_suffix", value=["x/../../y"]), "leads out of"),
    # Weights and what goes with them
    Case("weights: one missing", drop("state_dict", TABLE), "does not fit the model"),
    Case("weights: one too many", put("state_dict", "more", value=torch.ones(3)), "does not fit the model"),
    Case("weights: another shape", put("state_dict", TABLE, value=lambda table: table[:3].clone()), "does not fit"),
    Case("weights: turned", put("state_dict", TABLE, value=lambda table: table.T.contiguous()), "does not fit"),
    Case("weights: whole numbers", put("state_dict", TABLE, value=lambda table: table.long().abs()), "holds torch.int"),
    Case("weights: double precision", put("state_dict", TABLE, value=lambda table: table.double()), "torch.float64"),
    Case("weights: complex", put("state_dict", TABLE, value=lambda table: table.cfloat()), "complex numbers"),
    Case("weights: NaN", put("state_dict", TABLE, value=lambda table: table * float("nan")), "no finite numbers"),
    Case("weights: infinite", put("state_dict", TABLE, value=lambda table: table + float("inf")), "no finite numbers"),
    Case("weights: below all bounds", put("state_dict", TABLE, value=lambda table: table - float("inf")), "no finite"),
    Case("weights: beyond all bounds", put("state_dict", TABLE, value=lambda table: table + 1e30), "values above"),
    Case("weights: text", put("state_dict", TABLE, value=ESCAPE), "state_dict has str"),
    Case("weights: one number for a million millions",
         put("state_dict", TABLE, value=lambda _: torch.zeros(1).expand(10**6, 10**6)), "repeats its numbers"),
    Case("weights: sparse", put("state_dict", TABLE, value=lambda table: table.to_sparse()), "own.pth"),
    Case("weights: without memory", put("state_dict", TABLE, value=torch.ones(3, device="meta")), "own.pth"),
    Case("weights: a number for a name", put("state_dict", 3, value=torch.ones(3)), "state_dict.3"),
    Case("state of the sampler: text", put("state_dict", "sampler._extra_state", value={"generator": ESCAPE}),
         "does not fit the model"),
    Case("state of the sampler: no generator", put("state_dict", "sampler._extra_state", value={}), "does not fit"),
    Case("state of the sampler: noise", put("state_dict", "sampler._extra_state", value={"generator": torch.ones(3)}),
         "does not fit the model"),
    Case("queue: items that there are not", put("state_dict", "sampler.queue", value=lambda queue: queue + 10**6),
         "queue holds items that there are not", model=SEQUENCE),
    Case("queue: items below 0", put("state_dict", "sampler.queue", value=lambda queue: queue - 10), "below 0",
         model=SEQUENCE),
    Case("queue: fuller than it is long", put("state_dict", "sampler._extra_state", "filled", value=10**9),
         "the queue holds", model=SEQUENCE),
    Case("queue: below 0", put("state_dict", "sampler._extra_state", "filled", value=-3), "from 0 up", model=SEQUENCE),
    Case("log Q: NaN", put("state_dict", "sampler.log_frequency", value=lambda q: q * float("nan")), "no finite"),
    Case("log Q: infinite", put("state_dict", "sampler.log_frequency", value=lambda q: q + float("inf")), "no finite"),
    Case("other_parameter: a kind that there is not", put("other_parameter", value={"more": {"__kind__": "code"}}),
         "does not fit the model"),
    # Opened by the other commands
    *(Case(f"optimizer: no {key}", drop("optimizer", key), f"no optimizer.{key}") for key in ("state", "param_groups")),
    Case("optimizer: no groups", put("optimizer", "param_groups", value=[]), "optimizer.param_groups"),
    Case("optimizer: a group too many", put("optimizer", "param_groups", value=lambda groups: groups * 2), "own.pth",
         resume()),
    Case("optimizer: no parameters", put("optimizer", "param_groups", 0, "params", value=[]), "own.pth", resume()),
    Case("optimizer: a rate below 0", put("optimizer", "param_groups", 0, "lr", value=-1.0), "lr is not"),
    Case("optimizer: a rate that is no number", put("optimizer", "param_groups", 0, "lr", value=float("nan")),
         "lr is no finite number"),
    Case("optimizer: text for betas", put("optimizer", "param_groups", 0, "betas", value=ESCAPE), "betas", resume()),
    Case("optimizer: another decay", put("optimizer", "param_groups", 0, "weight_decay", value=5.0), "weight_decay",
         resume()),
    Case("optimizer: moments of another shape", put("optimizer", "state", 0, "exp_avg", value=torch.ones(3)),
         "of shape", resume()),
    Case("optimizer: moments of NaN", put("optimizer", "state", 0, "exp_avg", value=lambda table: table * float("nan")),
         "no finite numbers", resume()),
    Case("optimizer: squares below 0", put("optimizer", "state", 0, "exp_avg_sq", value=lambda table: table - 1),
         "below 0", resume()),
    Case("optimizer: text for a moment", put("optimizer", "state", 0, "exp_avg", value=ESCAPE), "has str", resume()),
    *(Case(f"random: no {key}", drop("random", key), f"no random.{key}", resume())
      for key in ("torch", "python", "numpy")),
    Case("random: a state that is too short", put("random", "torch", value=torch.zeros(3, dtype=torch.uint8)),
         "random state", resume()),
    Case("random: no words", put("random", "python", value=(3, [1, 2], None)), "random.python", resume()),
    Case("random: words below 0", put("random", "python", value=(3, [-1] * 625, None)), "random.python", resume()),
    Case("random: a place out of range", put("random", "numpy", value=lambda state: (*state[:2], 9999, *state[3:])),
         "random.numpy", resume()),
    Case("loader: no generator", put("loader", value=[]), "random state", resume()),
    Case("loader: noise", put("loader", value=[torch.ones(3, dtype=torch.uint8)]), "random state", resume()),
    Case("loader: numbers", put("loader", value=[torch.ones(3)]), "is no state of a random generator"),
    Case("schedule: nothing", put("schedule", value={}), "own.pth is damaged", resume()),
    Case("schedule: rates of NaN", put("schedule", "base_lrs", value=[float("nan")]), "no finite number", resume()),
    Case("schedule: steps below 0", put("schedule", "last_epoch", value=-4), "below 0", resume()),
    Case("resume: weights of NaN", put("state_dict", TABLE, value=lambda table: table * float("nan")), "no finite",
         resume()),
    Case("resume: items in the queue that there are not",
         put("state_dict", "sampler.queue", value=lambda queue: queue + 10**6), "own.pth", resume(SEQUENCE), SEQUENCE),
    *(Case(f"{name}: {what}", change, says, to(words), model)
      for name, words in (("export", EXPORT), ("lab", LAB))
      for what, change, says, model in (
          ("code", lambda state: written({**state, "more": Trap()}), "not loaded", TOWER),
          ("weights of NaN", put("state_dict", TABLE, value=lambda table: table * float("nan")), "no finite", TOWER),
          ("a layer less", put("config", "n_layers", value=2), "does not fit the model", SEQUENCE),
          ("other data", put("id_fingerprint", value="0" * 16), "are not those", TOWER),
          ("a list for dropout", put("config", "dropout", value=[[]]), "setting dropout", TOWER),
          ("text for the towers", put("config", "mlp_sizes", value=ESCAPE), "setting mlp_sizes", TOWER),
      )),
    Case("data elsewhere", put("given", "data_path", value="/nobody/has/this"), "set --data_path=FOLDER",
         ("evaluate", "--checkpoint=own.pth", *QUIET[1:])),
    Case("data on another computer", put("given", "data_path", value="//there/share"), "set --data_path=FOLDER",
         ("evaluate", "--checkpoint=own.pth", *QUIET[1:])),
    Case("export: data elsewhere", put("given", "data_path", value=7), "set --data_path=FOLDER", to(EXPORT[:-1])),
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Iterator[dict[str, bytes]]:
    """A folder with data and a model of each encoder; their checkpoints after the first of two epochs."""
    folder, before = tmp_path_factory.mktemp("tampered"), Path.cwd()
    os.chdir(folder)
    try:
        (folder / "data" / "tiny").mkdir(parents=True)
        (folder / "data" / "tiny" / "tiny.inter").write_text(tiny)
        made = {}
        for model, more in OF.items():
            states: list[State] = []

            def keep(trainer: Any, _: Any, states: list[State] = states) -> None:
                save = trainer._save_both

                def watched(*arguments: Any) -> None:
                    save(*arguments)
                    states.append(checkpoint.load(trainer.last_file))

                trainer._save_both = watched

            result = run(model, "tiny", config_dict={**SMALL, **more}, callback=keep)
            made[model] = written({**states[0], "best_file": "best.pth", "test_result": result["test_result"]})
            Path(f"{model}.pth").write_bytes(made[model])
        Path("best.pth").write_bytes(made[TOWER])
        Path("other.pth").write_bytes(made[SEQUENCE])
        yield made
    finally:
        os.chdir(before)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_line_says_what_is_wrong(
    case: Case, place: dict[str, bytes], capsys: pytest.CaptureFixture[str], seen: Any
) -> None:
    state = torch.load(io.BytesIO(place[case.model]), weights_only=True)
    file = case.change(state)
    Path("own.pth").write_bytes(written(state) if file is None else file)
    before = {path: path.read_bytes() for path in Path(".").glob("*.pth")}
    capsys.readouterr()
    status = main(list(case.words))
    answer = capsys.readouterr()
    assert answer.err.startswith("error: "), answer
    assert answer.err.count("\n") == 1, answer
    assert case.says in answer.err
    assert status == 2
    assert "\x1b" not in answer.err + answer.out
    assert "\u202e" not in answer.err + answer.out
    assert {path: path.read_bytes() for path in Path(".").glob("*.pth")} == before
    assert not Path("ran").exists()
    assert not Path("out").exists()
    command = shlex.join(word for word in case.words if word not in QUIET and "--checkpoint" not in word)
    answered = re.sub("0{100,}", "0...0", answer.err.strip())
    shown = re.sub("--model.*(--resume)", r"\1", command)
    seen("tampered-checkpoints", case.name, f"`{shown}`", f"`` {answered} ``" if "`" in answered else f"`{answered}`")


def test_the_table_is_whole(names_in_page: Callable[[str], list[str]]) -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) > 150
    assert set(WRONG) == set(FIELDS)
    assert names_in_page("tampered-checkpoints") == names


@pytest.mark.parametrize("model", OF)
def test_what_nobody_changed_is_opened(model: str, place: dict[str, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.pth").write_bytes(place[model])
    assert main(EVALUATE) == 0, capsys.readouterr().err
    Path("best.pth").write_bytes(place[model])
    try:
        assert main(list(resume(model))) == 0, capsys.readouterr().err
    finally:
        Path("best.pth").write_bytes(place[TOWER])


def test_the_surroundings_are_not_taken_from_a_checkpoint(place: dict[str, bytes]) -> None:
    state = torch.load(io.BytesIO(place[TOWER]), weights_only=True)
    theirs = {"log_wandb": True, "wandb_project": "theirs", "checkpoint_dir": "planted", "state": "DEBUG", "worker": 9}
    theirs |= {"save_dataset": True, "dataset_save_path": "planted", "dataloaders_save_path": "planted", "nproc": 4}
    theirs |= {"gpu_id": "7", "use_gpu": False, "device": "meta", "pre_model_path": "planted"}
    state["given"] |= {**theirs, "topk": [3]}
    taken = settings_of_checkpoint(state, "own.pth")
    assert not taken.keys() & {*theirs, "data_path"}
    assert taken["topk"] == [3]


def test_every_setting_of_a_schema_is_decided_on() -> None:
    from recbole_logq.experiment import stored_settings as lists

    decided = lists.DATA | lists.TRAINING | lists.PROTOCOL | lists.MODEL | lists.SURROUNDINGS
    for name in filter(is_packaged, encoders.names()):
        assert not encoder_settings(name).model_fields.keys() - decided, (
            f"{name}: say in stored_settings.py whether it is taken"
        )
    assert not lists.SURROUNDINGS & (lists.DATA | lists.TRAINING | lists.PROTOCOL | lists.MODEL)

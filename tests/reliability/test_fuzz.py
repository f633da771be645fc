"""Whatever a file, a setting or a checkpoint holds: exit status 0, 1 or 2, one line, no hang, no code that runs.

A few inputs of each kind at every test; many of them, with the statistics of docs/reliability.md, by

    uv run benchmarks/fuzz.py
"""

from __future__ import annotations

import io
import json
import os
import pickle
import signal
from collections import Counter
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.training import checkpoint
from recbole_logq.training.checkpoint_content import Content

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "15"))
SECONDS = 60
COUNTS: dict[str, Counter[str]] = {}
QUIET = ["--data_path=data", "--state=CRITICAL", "--show_progress=false", "--epochs=1"]
few = settings(
    max_examples=EXAMPLES,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@contextmanager
def in_time() -> Any:
    def late(*_: Any) -> None:
        raise AssertionError(f"no answer within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answer(words: list[str]) -> tuple[int, str]:
    out, err = io.StringIO(), io.StringIO()
    with in_time(), redirect_stdout(out), redirect_stderr(err):
        status = main(words)
    return status, err.getvalue()


def check(what: str, words: list[str]) -> None:
    """Run a command; an error is one line that was meant for the user."""
    counts = COUNTS.setdefault(what, Counter())
    counts["else"] += 1
    status, said = answer(words)
    assert status in (0, 1, 2)
    if status:
        errors = [line for line in said.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, said
        assert "Traceback" not in said
        if errors[0].startswith("error: unexpected"):
            main([*words, "--debug=true"])  # raises what nobody had thought of
    assert not Path("ran").exists(), "code has run"
    counts.subtract(["else"])
    counts[str(status)] += 1


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Any:
    """A folder with data, a checkpoint, and pickles where RecBole would look for them."""
    folder, before = tmp_path_factory.mktemp("fuzz"), Path.cwd()
    os.chdir(folder)
    (folder / "data" / "tiny").mkdir(parents=True)
    (folder / "data" / "fuzz").mkdir()
    (folder / "data" / "tiny" / "tiny.inter").write_text(tiny)
    given = {"data_path": "data", "epochs": 1, "state": "CRITICAL", "show_progress": False, "embedding_size": 8}
    with redirect_stderr(io.StringIO()):
        file = run("TwoTowerLogQ", "tiny", config_dict=given)["checkpoint"].replace(".pth", "-last.pth")
    checkpoint.save({**checkpoint.load(file), "best_file": "best.pth"}, "good.pth")
    checkpoint.save(checkpoint.load(file), "best.pth")
    for name in ("tiny-Dataset", "tiny-SequentialDataset", "fuzz-Dataset", "fuzz-SequentialDataset"):
        (folder / "saved" / f"{name}.pth").write_bytes(pickle.dumps(Trap()))
    yield folder
    os.chdir(before)
    if target := os.environ.get("FUZZ_STATISTICS"):
        Path(target).write_text(json.dumps(COUNTS))


# --- atomic files ---------------------------------------------------------------------------------------------------

TOKENS = st.sampled_from(["u1", "u2", "i1", "i2", "7", "007", "1e5", "-1", "NA", "", " ", '"', "nan", "é", "\u2028"])
NUMBERS = st.one_of(st.floats().map(str), st.integers().map(str), st.sampled_from(["", "x", "1_0", "0x1", "--1"]))
CELLS = st.one_of(TOKENS, NUMBERS, st.text(max_size=4))
MODELS = st.sampled_from(["TwoTowerLogQ", "SASRecLogQ", "BPR"])
TYPES = st.sampled_from(["token", "float", "token_seq", "float_seq", "text", ""])
NAMES = st.sampled_from(["user_id", "item_id", "timestamp", "rating", "label", "", "user_id:token"])
HEADERS = st.one_of(
    st.just(["user_id:token", "item_id:token", "timestamp:float"]),
    st.lists(st.tuples(NAMES, TYPES).map(":".join), max_size=5),
)


@st.composite
def atomic_files(draw: Any) -> bytes:
    separator = draw(st.sampled_from(["\t", "\t", "\t", ",", " "]))
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    header = draw(HEADERS)
    if draw(st.booleans()):  # rows that can be read, so that what lies behind the parser is reached
        user, item = (st.integers(0, 9).map(str) for _ in range(2))
        rows = draw(st.lists(st.tuples(user, item, NUMBERS | user).map(list), max_size=60))
    else:
        rows = draw(st.lists(st.lists(CELLS, max_size=5), max_size=30))
    text = end.join(separator.join(row) for row in [header, *rows])
    content = text.encode("utf-8", "surrogatepass")
    cut = draw(st.integers(0, 40))
    noise = draw(st.binary(max_size=4)) if draw(st.integers(0, 4)) == 0 else b""
    return content[: len(content) - cut] + noise if draw(st.booleans()) else content + noise


@few
@given(
    content=st.one_of(atomic_files(), st.binary(max_size=200)),
    model=st.sampled_from(["TwoTowerLogQ", "SASRecLogQ", "BPR"]),
)
def test_atomic_files(place: Path, content: bytes, model: str) -> None:
    (place / "data" / "fuzz" / "fuzz.inter").write_bytes(content)
    check(
        "atomic files",
        [f"--model={model}", "--dataset=fuzz", *QUIET, "--topk=[1]", "--valid_metric=MRR@1", "--embedding_size=4"],
    )


@few
@given(content=st.one_of(atomic_files(), st.binary(max_size=200)))
def test_files_to_convert_and_to_audit(place: Path, content: bytes) -> None:
    (place / "data" / "fuzz" / "fuzz.inter").write_bytes(content)
    check("atomic files, audit", ["audit", "--dataset=fuzz", "--data_path=data", "--state=CRITICAL"])
    (place / "log.csv").write_bytes(content)
    check("files to convert", ["convert", "--input=log.csv", "--dataset=made", "--data_path=data", "--overwrite=true"])


# --- settings -------------------------------------------------------------------------------------------------------

CODE = "__import__('pathlib').Path('ran').touch()"
KEYS = st.sampled_from(
    [
        "learning_rate",
        "train_batch_size",
        "topk",
        "metrics",
        "valid_metric",
        "eval_args",
        "eval_args.split",
        "eval_args.mode",
        "negatives",
        "negatives.count",
        "negatives.source",
        "loss",
        "loss_options",
        "temperature",
        "temperature_mode",
        "clip_grad_norm",
        "load_col",
        "val_interval",
        "threshold",
        "seed",
        "mlp_sizes",
        "dropout",
        "field_separator",
        "encoding",
        "USER_ID_FIELD",
        "TIME_FIELD",
        "user_inter_num_interval",
        "rm_dup_inter",
        "benchmark_filename",
        "numerical_features",
        "normalize_field",
        "unload_col",
        "alias_of_item_id",
        "seq_len",
        "item_features",
        "weight_field",
        "grade_field",
        "impression_field",
        "mask",
        "pools",
        "gradient_cache",
        "lr_schedule",
        "warmup_steps",
        "x",
        "__class__",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([CODE, "!!python/object/apply:os.abort []", "uniform", "LS", "user_id", "item_id", "[1", "RS"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | KEYS, inner, max_size=3),
    max_leaves=5,
)
# What would only take long: sizes of everything are small, whatever else is drawn.
SIZES = ["--embedding_size=4", "--MAX_ITEM_LIST_LENGTH=5"]


@few
@given(values=st.dictionaries(KEYS, VALUES, min_size=1, max_size=3), sequential=st.booleans())
def test_settings_on_the_command_line(place: Path, values: dict[str, Any], sequential: bool) -> None:
    model = "SASRecLogQ" if sequential else "TwoTowerLogQ"
    words = [f"--{key}={yaml.safe_dump(value, default_flow_style=True).strip()}" for key, value in values.items()]
    check("settings on the command line", [f"--model={model}", "--dataset=tiny", *QUIET, *SIZES, *words])


@few
@given(
    content=st.one_of(
        st.dictionaries(KEYS, VALUES, max_size=3).map(lambda values: yaml.safe_dump(values).encode()),
        st.text(alphabet=st.sampled_from("abc:- \n\t[]{}&*!|>'\"%@`#?,01.e"), max_size=60).map(str.encode),
        st.binary(max_size=60),
    )
)
@example(content=b"field_separator: null\n")
@example(content=b"seq_separator: ''\n")
@example(content=b"learning_rate: {}\n")
def test_configuration_files(place: Path, content: bytes) -> None:
    (place / "a.yaml").write_bytes(content)
    check("configuration files", ["--model=TwoTowerLogQ", "--dataset=tiny", *QUIET, *SIZES, "--config_files=a.yaml"])


# --- checkpoints ----------------------------------------------------------------------------------------------------

PARTS = list(Content.model_fields)


@st.composite
def checkpoints(draw: Any) -> bytes:
    """A good checkpoint with some of its bytes changed, or some of its values, or with code in it."""
    good = Path("good.pth").read_bytes()
    how = draw(st.sampled_from(["bytes", "cut", "values", "inside", "code"]))
    if how == "bytes":
        content = bytearray(good)
        for place, value in draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=5)):
            content[place] = value
        return bytes(content)
    if how == "cut":
        return good[: draw(st.integers(0, len(good)))]
    state = checkpoint.load("good.pth")
    key = draw(st.sampled_from(PARTS))
    if how == "values":
        state[key] = draw(VALUES)
    elif how == "code":
        state[key] = Trap()
    elif isinstance(state.get(key), dict) and state[key]:
        inner = draw(st.sampled_from(sorted(state[key], key=str)))
        state[key] = {**state[key], inner: draw(VALUES)}
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


@few
@given(data=st.data())
def test_checkpoints(place: Path, data: Any) -> None:
    (place / "bad.pth").write_bytes(data.draw(checkpoints()))
    (place / "best.pth").write_bytes((place / "good.pth").read_bytes())
    check("checkpoints, evaluate", ["evaluate", "--checkpoint=bad.pth", "--state=CRITICAL", "--show_progress=false"])
    words = ["--model=TwoTowerLogQ", "--dataset=tiny", "--data_path=data", "--state=CRITICAL", "--show_progress=false"]
    check("checkpoints, resume", [*words, "--embedding_size=8", "--epochs=2", "--resume=bad.pth"])


def test_the_trap_is_a_trap(in_tmp: Path) -> None:
    pickle.loads(pickle.dumps(Trap()))
    assert Path("ran").exists()

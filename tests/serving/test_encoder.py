"""The exported encoder is the model's, and nothing else is loaded."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.errors import RequestError
from recbole_logq.serving.encoder import OPERATORS, Encoder, export_encoder

LENGTH = 10  # of `build`
HISTORY_USERS = {"user_tower": "history", "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"}}


def columns(model: Any, sizes: list[int]) -> dict[str, torch.Tensor]:
    """Rows with so many items of a history each, as the model reads them."""
    generator = torch.Generator().manual_seed(3)
    size = torch.tensor(sizes)
    items = torch.randint(1, model.n_items, (len(sizes), LENGTH), generator=generator)
    items *= torch.arange(LENGTH) < size.unsqueeze(1)
    users = torch.randint(1, 45, (len(sizes),), generator=generator)
    return {name: {"user_id": users, "item_length": size}.get(name, items) for name in model.query_columns}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("TwoTowerLogQ", {"mlp_sizes": [32, 8], "dropout": 0.2, "temperature_mode": "learned"}),
        ("TwoTowerLogQ", {"temperature_mode": "scheduled", "temperature_end": 0.05, "temperature_steps": 9}),
        ("TwoTowerLogQ", HISTORY_USERS),
        ("SASRecLogQ", {"n_layers": 1, "positions": "learned", "similarity": "cosine", "temperature": 0.1}),
        ("SASRecLogQ", {"n_layers": 1, "block": "ligr", "feed_forward": "swiglu", "positions": "rotary"}),
        (
            "SASRecLogQ",
            {"n_layers": 1, "norm": "post", "feed_forward": "relu", "positions": "none", "input_norm": False}
            | {"scale_embedding": True},
        ),
    ],
    ids=str,
)
def test_it_computes_the_models_queries(build: Callable[..., Any], tmp_path: Path, name: str, settings: Any) -> None:
    model = build(name, **settings)[0].eval()
    export_encoder(model, columns(model, [3, 1, LENGTH]), tmp_path / "encoder.pt2")
    encoder = Encoder(tmp_path / "encoder.pt2")
    for sizes in ([1], [LENGTH], [4, 2], [*range(1, LENGTH + 1)] * 30):
        rows = columns(model, sizes)
        with torch.no_grad():
            torch.testing.assert_close(encoder(rows), model.queries(rows), rtol=1e-5, atol=1e-5)


@pytest.fixture
def archive(build: Callable[..., Any], tmp_path: Path) -> Path:
    model = build("SASRecLogQ")[0].eval()
    export_encoder(model, columns(model, [3, 1, LENGTH]), tmp_path / "encoder.pt2")
    return tmp_path / "encoder.pt2"


def test_it_holds_what_queries_need_and_no_path_of_this_machine(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        weights = json.loads(opened.read("encoder/data/weights/model_weights_config.json"))["config"]
        program = opened.read("encoder/models/model.json").decode()
    assert {name.split(".")[1] for name in weights} == {"encoder", "item_embedding"}  # nothing of loss and sampler
    assert str(Path(__file__).parents[2]) not in program


class Bomb:
    """Writes a file where it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.write_text, (self.file, "ran")


def changed(archive: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy in which one file is another."""
    copy = archive.with_name("changed.pt2")
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(copy, "w") as new:
        names = old.namelist()
        for one in names:
            new.writestr(one, change(old.read(one)) if one.endswith(name) else old.read(one))
        if not any(one.endswith(name) for one in names):
            new.writestr("encoder/" + name, change(b""))
    return copy


def pickled(file: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Bomb(file), buffer)
    return buffer.getvalue()


def test_what_a_stranger_put_in_never_runs(archive: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    # The bomb goes off where torch loads it, so what follows can fail.
    with pytest.raises(pickle.UnpicklingError):
        torch.load(io.BytesIO(pickled(ran)), weights_only=True)
    torch.load(io.BytesIO(pickled(ran)), weights_only=False)
    ran.unlink()
    size = f"__import__('pathlib').Path({str(ran)!r}).write_text('ran')"

    def with_pickle(text: bytes) -> bytes:
        config = json.loads(text)
        next(iter(config["config"].values()))["use_pickle"] = True
        return json.dumps(config).encode()

    def with_operator(text: bytes) -> bytes:
        return text.replace(b"torch.ops.aten.linear.default", b"torch.ops.aten.from_file.default")

    def with_size(text: bytes) -> bytes:
        program = json.loads(text)
        sizes = program["graph_module"]["graph"]["tensor_values"]
        found = next(one for value in sizes.values() for one in value["sizes"] if "as_expr" in one)
        found["as_expr"]["expr_str"] = size
        return json.dumps(program).encode()

    attacks = {
        "data/weights/model_weights_config.json": (with_pickle, "something pickled"),
        "data/sample_inputs/model.pt": (lambda _: pickled(ran), "more than values and tensors"),
        "data/constants/opaque_obj_0": (lambda _: pickle.dumps(Bomb(ran)), "opaque_obj_0"),
        "data/weights/model.pt": (lambda _: pickled(ran), "data/weights/model.pt"),
        "extra/code.py": (lambda _: b"", "extra/code.py"),
    }
    for name, (change, message) in attacks.items():
        with pytest.raises(RequestError, match=message):
            Encoder(changed(archive, name, change))
    for change, message in ((with_operator, "from_file"), (with_size, "the size __import__")):
        with pytest.raises(RequestError, match=message):
            Encoder(changed(archive, "models/model.json", change))
    assert not ran.exists()


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive at all"])
def test_a_damaged_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "encoder.pt2").write_bytes(content)
    with pytest.raises(RequestError, match="damaged"):
        Encoder(tmp_path / "encoder.pt2")


def test_no_operator_of_the_list_reads_or_writes_files() -> None:
    assert not {name for name in OPERATORS if "file" in name or "save" in name or "load" in name}
    assert all(hasattr(torch.ops.aten, name) for name in OPERATORS)

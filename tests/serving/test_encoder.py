"""The exported encoder is the model's, made from plain data; it takes no memory that its file does not have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file, save_file

from recbole_logq.data.dataset.event_times import ASKED, TIMES
from recbole_logq.errors import RequestError
from recbole_logq.serving.describe import describe
from recbole_logq.serving.description import Description, EncoderDescription
from recbole_logq.serving.encoder import Encoder, write_encoder

LENGTH = 10  # of `build`
HISTORY_USERS = {"user_tower": "history", "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"}}

ASKED_TOWERS = {"request_time": "known", "time_context": ["weekday", "hour"]}


def columns(model: Any, sizes: list[int]) -> dict[str, torch.Tensor]:
    """Rows with so many items of a history each, as the model reads them."""
    generator = torch.Generator().manual_seed(3)
    size = torch.tensor(sizes)
    items = torch.randint(1, model.n_items, (len(sizes), LENGTH), generator=generator)
    items *= torch.arange(LENGTH) < size.unsqueeze(1)
    users = torch.randint(1, 45, (len(sizes),), generator=generator)
    times = torch.randint(0, 10**6, (len(sizes), LENGTH + 2), generator=generator).double().sort(1).values
    times[::2, 0] = torch.nan
    known = {"user_id": users, "item_length": size, TIMES: times[:, :-1], ASKED: times[:, -1]}
    return {name: known.get(name, items) for name in model.query_columns}


def read(values: Any) -> Description:
    return TypeAdapter(EncoderDescription).validate_python(values)


def exported(made: tuple[Any, Any, Any], file: Path) -> tuple[Any, Encoder]:
    """The model, and its encoder by way of JSON and a file."""
    model, config, loaders = made[0].eval(), made[1], made[2]
    described = describe(model, config, loaders[0].dataset)
    write_encoder(model.query_encoder(), file)
    known = read(json.loads(json.dumps(described.model_dump())))
    return model, Encoder(known, file, loaders[0].dataset.user_num - 1, model.n_items - 1)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("TwoTowerLogQ", {"mlp_sizes": [32, 8], "dropout": 0.2, "temperature_mode": "learned"}),
        ("TwoTowerLogQ", {"temperature_mode": "scheduled", "temperature_end": 0.05, "temperature_steps": 9}),
        ("TwoTowerLogQ", HISTORY_USERS),
        ("TwoTowerLogQ", {**HISTORY_USERS, "max_history": LENGTH, "history_pooling": "attention", "mlp_sizes": [8]}),
        ("TwoTowerLogQ", {**HISTORY_USERS, "user_features": ["age", "occupation"], "item_features": ["class"]}),
        ("TwoTowerLogQ", {**HISTORY_USERS, "time": "gaps", "max_history": LENGTH, "request_time": "unknown"}),
        ("TwoTowerLogQ", {**HISTORY_USERS, **ASKED_TOWERS, "time": "both", "history_pooling": "attention"}),
        ("TwoTowerLogQ", {**ASKED_TOWERS, "eval_args": HISTORY_USERS["eval_args"]}),
        ("TwoTowerLogQ", {"user_features": ["age"], "use_user_id": False, "similarity": "dot"}),
        ("SASRecLogQ", {"n_layers": 1, "positions": "learned", "similarity": "cosine", "temperature": 0.1}),
        ("SASRecLogQ", {"n_layers": 1, "block": "ligr", "feed_forward": "swiglu", "positions": "rotary"}),
        ("SASRecLogQ", {"n_layers": 1, "item_features": ["class", "release_year"]}),
        ("SASRecLogQ", {"n_layers": 2, "time": "both", "request_time": "known", "time_buckets": 9}),
        ("SASRecLogQ", {"block": "hstu", "time": "bias", "bias_weights": "shared", "positions": "relative"}),
        (
            "SASRecLogQ",
            {"n_layers": 1, "norm": "post", "feed_forward": "relu", "positions": "none", "input_norm": False}
            | {"scale_embedding": True},
        ),
    ],
    ids=str,
)
def test_it_computes_the_models_queries(build: Callable[..., Any], tmp_path: Path, name: str, settings: Any) -> None:
    model, encoder = exported(build(name, **settings), tmp_path / "encoder.safetensors")
    for sizes in ([1], [LENGTH], [4, 2], [*range(1, LENGTH + 1)] * 30):
        rows = columns(model, sizes)
        with torch.no_grad():
            expected = model.queries(rows)
        found = encoder(model.request(rows))
        # The same modules with the same weights; only ids with features are looked up in a table.
        assert torch.equal(found, expected) or "item_features" in settings
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_values_of_users_of_every_kind_are_kept(tmp_path: Path) -> None:
    from recbole_logq.modules.fields import Column, EntityFields
    from recbole_logq.modules.query import Request, TwoTowerQuery
    from recbole_logq.modules.scorer import Scorer
    from recbole_logq.modules.towers import HistoryTower
    from recbole_logq.serving.describe import _user_fields

    draw = torch.Generator().manual_seed(0)
    seen = torch.tensor([False, True, True, False])
    fields = [
        Column(torch.tensor([0, 1, 2, 1]), 3),
        Column(torch.tensor([[0, 0], [1, 2], [1, 0], [3, 0]]), 4),
        Column(torch.randn(4, generator=draw)),
        Column(torch.randn(4, 1, generator=draw)),
        Column(torch.randn(4, 3, generator=draw).double()),
    ]
    entity = EntityFields.learned(fields, seen, 6, 0.5, lambda _: False)
    query = TwoTowerQuery(HistoryTower(6, [5]), Scorer("cosine", 0.2), torch.nn.Embedding(9, 6, padding_idx=0), entity)
    write_encoder(query.eval(), tmp_path / "encoder.safetensors")
    scorer = {"similarity": "cosine", "temperature": 0.2, "mode": "fixed", "end": None, "steps": None}
    values = {"kind": "history", "size": 6, "scorer": scorer, "mlp_sizes": [5], "context": [], "max_history": 4}
    values |= {"pooling": "mean", "user_fields": _user_fields(entity)}
    assert [field["length"] for field in values["user_fields"]] == [None, 2, None, 1, 3]
    request = Request(torch.tensor([0, 1, 2, 3]), torch.randint(0, 9, (4, 4), generator=draw))
    encoder = Encoder(read(values), tmp_path / "encoder.safetensors", 3, 8)
    with torch.no_grad():
        assert torch.equal(encoder(request), query(request))


@pytest.fixture
def sequence(build: Callable[..., Any], tmp_path: Path) -> tuple[dict[str, Any], Path, int]:
    """A description, its weights and the number of items."""
    model, config, loaders = build("SASRecLogQ", n_layers=1, embedding_size=8, inner_size=8)
    file = tmp_path / "encoder.safetensors"
    write_encoder(model.eval().query_encoder(), file)
    return describe(model, config, loaders[0].dataset).model_dump(), file, model.n_items - 1


def test_it_holds_what_queries_need(sequence: tuple[dict[str, Any], Path, int]) -> None:
    _, file, n_items = sequence
    weights = load_file(file)
    assert {name.split(".")[0] for name in weights} == {"encoder", "item_embedding"}  # nothing of loss and sampler
    assert len(weights["item_embedding.weight"]) == n_items + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 1 << 16}, "is of shape"),
        ({"inner_size": 1 << 16}, "is of shape"),
        ({"n_layers": 1 << 10}, "no weights of 1024 layers"),
        ({"n_layers": 2}, "it lacks 'encoder.blocks.1"),
        ({"n_heads": 3}, "size 8 does not divide into 3 heads"),
        ({"n_heads": 8}, "no pairs to turn"),
        ({"feed_forward": "swiglu"}, "is of shape"),
        ({"block": "ligr"}, "it lacks"),
        ({"block": "ligr", "norm": "post"}, "a LiGR block is pre-norm"),
        ({"positions": "learned"}, "it lacks 'encoder.positions.weight'"),
        ({"positions": "learned", "max_history": 1 << 16}, "it lacks 'encoder.positions.weight'"),
        ({"time": "gaps", "time_buckets": 1024}, "it lacks 'encoder.buckets.edges'"),
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_takes_no_memory(
    sequence: tuple[dict[str, Any], Path, int], change: dict[str, Any], message: str
) -> None:
    values, file, n_items = sequence
    with pytest.raises(RequestError) as error:
        Encoder(read({**values, **change}), file, 10, n_items)
    assert message in str(error.value)
    with pytest.raises(RequestError, match="is of shape"):
        Encoder(read(values), file, 10, 1 << 40)  # items: terabytes


@pytest.mark.parametrize(
    "change",
    [
        {"size": 1 << 17},
        {"max_history": (1 << 16) + 1},
        {"n_layers": 1025},
        {"n_layers": True},
        {"n_layers": 1.0},
        {"n_heads": 0},
        {"block": "os.system"},
        {"guards_code": "import os"},
        {"kind": "pickle"},
        {"input_norm": 1},
        {"time_buckets": 1025},
        {"time_unit": "days"},
        {"scorer": {"similarity": "dot", "temperature": float("nan"), "mode": "fixed", "end": None, "steps": None}},
        {"scorer": {"similarity": "dot", "temperature": 1.0, "mode": "scheduled", "end": None, "steps": None}},
    ],
    ids=str,
)
def test_a_description_lists_everything_that_is_allowed(
    sequence: tuple[dict[str, Any], Path, int], change: dict[str, Any]
) -> None:
    read(sequence[0])
    with pytest.raises(ValidationError):
        read({**sequence[0], **change})


def test_edges_of_times_ascend(build: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "encoder.safetensors"
    model, config, loaders = build("SASRecLogQ", n_layers=1, time="bias", time_buckets=5)
    write_encoder(model.eval().query_encoder(), file)
    described = describe(model, config, loaders[0].dataset)
    assert described.moments.unit == "seconds"
    weights = load_file(file)
    weights["encoder.buckets.edges"] = weights["encoder.buckets.edges"].flip(0)
    save_file(weights, file)
    with pytest.raises(RequestError, match="edges of times do not ascend"):
        Encoder(described, file, 10, model.n_items - 1)


def test_a_description_from_before_there_was_time_is_read(sequence: tuple[dict[str, Any], Path, int]) -> None:
    values, file, n_items = sequence
    older = {key: value for key, value in values.items() if "time" not in key and key != "bias_weights"}
    assert read(older) == read(values)
    Encoder(read(older), file, 10, n_items)


def test_numbers_that_are_none_are_refused(sequence: tuple[dict[str, Any], Path, int]) -> None:
    values, file, n_items = sequence
    weights = load_file(file)
    weights["encoder.final_norm.bias"][3] = torch.inf
    save_file(weights, file)
    with pytest.raises(RequestError, match="no finite numbers"):
        Encoder(read(values), file, 10, n_items)
    weights["encoder.final_norm.bias"] = torch.zeros(8, dtype=torch.float64)
    save_file(weights, file)
    with pytest.raises(RequestError, match=r"final_norm\.bias is float64, not float32"):
        Encoder(read(values), file, 10, n_items)
    file.write_bytes(b"no weights at all")
    with pytest.raises(RequestError, match="is damaged"):
        Encoder(read(values), file, 10, n_items)

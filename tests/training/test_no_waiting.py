"""A training step asks the device for nothing.

Tensors on the ``meta`` device have shapes and no values: whatever would read a value, or a size that depends on one,
fails on them; on an accelerator it waits for all that is queued so far. So a step that runs there waits nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from recbole_logq.models.resolve import own_models
from recbole_logq.training.retrieval_trainer import RetrievalTrainer

META = torch.device("meta")
MASKED = [
    *((source, "corrected_logq") for source in ("cross_batch", "in_batch", "in_batch_unique", "mixed", "popularity")),
    *((source, "corrected_logq") for source in ("streaming", "systematic", "uniform")),
    ("hard", "corrected_logq"),
    *((source, "sampled_softmax") for source in ("bir", "xir")),
]
"""Sources, each with a loss that it goes with."""
WAITS = {"TwoTowerStrataCorrectedLogQ": "bincount", "TwoTowerStrataLogQ": "bincount"}
"""Recipes that score a user's items of the batch apart: how many there are says how they are laid out."""


class Watch(TorchDispatchMode):
    """Refuses what the meta device lets pass and an accelerator waits for."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        kinds = {tensor.device.type for tensor in tensors if tensor.dim()}
        name = func.overloadpacket.__name__
        result = func(*args, **kwargs)
        crosses = "meta" in kinds | {leaf.device.type for leaf in tree_leaves(result) if isinstance(leaf, Tensor)}
        if name == "_to_copy" and crosses and kinds == {"cpu"} and not kwargs.get("non_blocking"):
            raise RuntimeError("a copy to the device that is waited for")
        if len(kinds) > 1:
            raise RuntimeError(f"{name} of tensors on the host and on the device")
        if name == "_coalesce" and kinds == {"meta"}:
            raise RuntimeError("coalescing counts rows")
        if name.startswith("index_put") and any(
            index is not None and index.dtype == torch.bool and index.device == META for index in args[1]
        ):
            raise RuntimeError("indexing by truth values counts them")
        return result


def train(network: Any, config: Any, loader: Any) -> None:
    """Two of the trainer's steps on the meta device: some samplers use in a step what the one before has left."""
    network.to(META)
    config["device"] = META
    trainer = RetrievalTrainer(config, network.train())
    for group in trainer.optimizer.param_groups:
        group["fused"] = False  # there is no such kernel for meta
    batches = iter(type(loader)(config, loader.dataset))
    scaler, schedule = torch.amp.GradScaler("cpu", enabled=False), trainer._get_schedule(2)
    for _ in range(2):
        batch = next(batches)
        with Watch():
            loss = trainer._train_batch(batch, scaler, schedule)
    assert loss.device == META


@pytest.mark.parametrize("model", [model for model in own_models() if model not in WAITS])
def test_no_recipe_waits(build: Callable[..., Any], in_tmp: Path, model: str) -> None:
    train(*_parts(build, model))


@pytest.mark.parametrize("model", WAITS)
def test_those_that_do(build: Callable[..., Any], in_tmp: Path, model: str) -> None:
    with pytest.raises((NotImplementedError, RuntimeError), match=WAITS[model]):
        train(*_parts(build, model))


@pytest.mark.parametrize("mask", ["query", "history"])
@pytest.mark.parametrize(("source", "loss"), MASKED)
def test_no_source_waits_with_a_mask(
    build: Callable[..., Any], in_tmp: Path, source: str, loss: str, mask: str
) -> None:
    settings = {"negatives.source": source, "negatives.count": 4, "loss": loss, "mask": mask}
    train(*_parts(build, "TwoTowerCorrectedLogQ", **settings))


@pytest.mark.parametrize("model", ["TwoTowerFullSoftmax", "SASRecFullSoftmax"])
@pytest.mark.parametrize("mask", ["query", "history"])
def test_no_catalogue_waits_with_a_mask(build: Callable[..., Any], in_tmp: Path, model: str, mask: str) -> None:
    train(*_parts(build, model, mask=mask))


@pytest.mark.parametrize("source", ["in_batch", "mixed"])
def test_batches_of_a_segment_do_not_wait(build: Callable[..., Any], in_tmp: Path, source: str) -> None:
    settings = {"negatives.source": source, "negatives.count": 4, "segment_field": "user_id"}
    train(*_parts(build, "TwoTowerCorrectedLogQ", **settings))


@pytest.mark.parametrize("source", ["in_batch_unique", "streaming"])
@pytest.mark.parametrize("settings", [{"negatives.count": 8}, {"negatives.own": "window"}, {"mask": "query"}], ids=str)
def test_distinct_items_of_sequences_do_not_wait(
    build: Callable[..., Any], in_tmp: Path, source: str, settings: dict[str, Any]
) -> None:
    train(*_parts(build, "SASRecCorrectedLogQ", **{"negatives.source": source, **settings}))


@pytest.mark.parametrize(
    "settings",
    [
        {"block": "ligr", "feed_forward": "swiglu", "positions": "rotary"},
        {"similarity": "cosine", "temperature": 0.1, "temperature_mode": "learned"},
        {"temperature": 1.0, "temperature_mode": "scheduled", "temperature_end": 0.1, "temperature_steps": 10},
        {"gradient_cache": 4},
        {"negatives.own": "window"},
        {"multi_positive": 3},
        {"multi_positive": 3, "negatives.own": "window"},
        {"negatives.own": "window", "pools": 2, "negatives.source": "uniform", "negatives.count": 8},
        {"time": "both", "request_time": "known", "positions": "relative"},
        {"time": "bias", "block": "hstu", "bias_weights": "shared"},
        {"eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "TO", "group_by": "none"}},
    ],
    ids=str,
)
def test_no_option_waits(build: Callable[..., Any], in_tmp: Path, settings: dict[str, Any]) -> None:
    train(*_parts(build, "SASRecCorrectedLogQ", **settings))


def test_sparse_gradients_do_not_wait(build: Callable[..., Any], in_tmp: Path) -> None:
    # Without clipping: torch has no norm of sparse tensors without values.
    network, config, loaders = build("SASRecCorrectedLogQ", train_batch_size=16, sparse_embeddings=True)
    train(network, config, loaders[0])


def test_histories_do_not_wait(build: Callable[..., Any], in_tmp: Path) -> None:
    order = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    train(*_parts(build, "TwoTowerCorrectedLogQ", user_tower="history", eval_args=order))
    times = {"history_pooling": "attention", "time": "both", "request_time": "known", "time_context": ["hour"]}
    train(*_parts(build, "TwoTowerCorrectedLogQ", user_tower="history", eval_args=order, **times))


@pytest.mark.parametrize(
    ("model", "pooling"), [("SASRecFullSoftmax", None), *(("TwoTowerLogQ", how) for how in (None, "mean", "attention"))]
)
def test_features_do_not_wait(
    build: Callable[..., Any], featured_cut: Path, in_tmp: Path, model: str, pooling: str | None
) -> None:
    settings: dict[str, Any] = {"item_features": ["class", "release_year", "picture"], "id_dropout": 0.1}
    if model.startswith("TwoTower"):
        settings |= {"user_features": ["age"], "context_features": ["hour", "device"]}
        if pooling:
            order = {"split": {"LS": "valid_and_test"}, "order": "TO"}
            settings |= {"user_tower": "history", "history_pooling": pooling, "eval_args": order}
    train(*_parts(build, model, data_path=str(featured_cut), **settings))


def test_the_watch_sees() -> None:
    """The watch itself, on what it must not let pass."""
    on_device, mask = torch.zeros(3, device=META), torch.zeros(3, device=META) > 0
    waits: list[Callable[[], Any]] = [
        lambda: on_device.sum().item(),
        lambda: on_device[mask],
        lambda: on_device.nonzero(),
        lambda: on_device[torch.arange(2)],
        lambda: on_device.index_put_((mask,), on_device),
        lambda: torch.arange(2).to(META),
        lambda: torch.sparse_coo_tensor(torch.zeros(1, 3, dtype=torch.int64, device=META), on_device, (5,)).coalesce(),
    ]
    for wait in waits:
        with pytest.raises((RuntimeError, NotImplementedError)), Watch():
            wait()


def _parts(build: Callable[..., Any], model: str, **settings: Any) -> tuple[Any, Any, Any]:
    network, config, loaders = build(model, train_batch_size=16, clip_grad_norm={"max_norm": 1.0}, **settings)
    return network, config, loaders[0]

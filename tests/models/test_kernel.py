"""A model's step by the Triton kernel, in Triton's interpreter, and by torch."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from recbole_logq.config import Config
from recbole_logq.errors import RequestError
from recbole_logq.losses import fused_logsumexp as fused


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, which the interpreter is
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed: on Linux it comes with torch")
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("TwoTowerCorrectedLogQ", {"mask": "query"}),  # sets of items
        ("SASRecLogQ", {"negatives.own": "window"}),  # hits kept, columns of the row's window not
        ("SASRecMNSCorrectedLogQ", {"pools": 2, "negatives.count": 16}),
        ("TwoTowerFullSoftmax", {}),
    ],
)
def test_a_step_has_the_same_loss_and_gradient(build: Callable[..., Any], model: str, settings: dict[str, Any]) -> None:
    size = {"embedding_size": 16, "train_batch_size": 3 if model.startswith("SASRec") else 40}
    network, _, loaders = build(model, dropout=0.0, kernel="triton", **size, **settings)
    batch, state = next(iter(loaders[0])), network.sampler.generator.get_state()
    results = []
    for kernel in ("triton", "torch"):
        network.loss.kernel = kernel
        network.sampler.generator.set_state(state)
        network.zero_grad()
        loss = network.calculate_loss(batch)
        loss.backward()
        gradients = [parameter.grad.to_dense() for parameter in network.parameters() if parameter.grad is not None]
        results.append((loss.detach(), network.statistics.dropped, *gradients))
    assert len(results[0]) > 3
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_what_it_cannot_serve_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_interpreted", lambda: False)
    fused.no_kernel.cache_clear()
    try:
        with pytest.raises(RequestError, match=r"^kernel=triton: .*set kernel=auto$"):
            Config("TwoTowerLogQ", "ml-100k", None, {"kernel": "triton", "use_gpu": False})
    finally:
        fused.no_kernel.cache_clear()

"""What a training step costs with other negatives: measured time, and an estimate of the peak memory."""

from __future__ import annotations

from time import perf_counter, process_time
from typing import Any

import torch

from recbole_logq.data.batches.loaders import InteractionLoader, WindowLoader
from recbole_logq.lab.estimator import Estimator
from recbole_logq.losses import get_loss, limits
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import get_sampler
from recbole_logq.training.threads import is_small, threads_of_training

STEPS = 2
"""Steps that are timed, after one that is not."""


def take_on(network: Any, loader: Any, counts: TargetCounts, estimator: Estimator | None, n: int, batch: int) -> None:
    """Give a network other negatives, and its loader another batch size.

    Args:
        network: Model of this package; its encoder stays as it is.
        loader: Its training loader.
        counts: Training targets.
        estimator: Loss and source of negatives; None for the full softmax.
        n: Negatives.
        batch: Windows or interactions of a batch.
    """
    if estimator is None:
        network.loss, network.sampler = get_loss("full_softmax"), get_sampler("catalogue")(counts, count=None, seed=0)
    else:
        network.loss = estimator.build_loss(counts.n_items - 1)
        network.sampler = estimator.build_sampler(counts, n, 0)
    network.own = None if estimator is None else estimator.own
    network.hits, network.mask, network.pools, network.gradient_cache = network.loss.hits, "target", 1, None
    network.sampler.to(next(network.parameters()).device)
    loader.batch_size = batch


def seconds_of_step(network: Any, loader: Any) -> float:
    """Seconds of a step, loader, backward and Adam included: CPU seconds of this process, or an accelerator's time.

    With as many threads as training would give it.
    """
    with threads_of_training(is_small(network, loader.batch_size)):
        return _seconds_of_step(network, loader)


def _seconds_of_step(network: Any, loader: Any) -> float:
    network.train()
    device = next(network.parameters()).device
    optimizer = torch.optim.Adam(network.parameters(), lr=0.0)  # what is examined next is the same model

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            return perf_counter()
        return process_time()

    batches, start = iter(loader), 0.0
    for step in range(1 + STEPS):
        if step == 1:
            start = now()
        batch = next(batches, None)
        if batch is None:
            loader.start_epoch()
            batches = iter(loader)
            batch = next(batches)
        optimizer.zero_grad(set_to_none=True)
        network.calculate_loss(batch.to(device)).backward()
        optimizer.step()
        network.after_step()
    return (now() - start) / STEPS


def rows_of_step(loader: Any) -> float:
    """Training targets of a batch, on average."""
    units = loader.n_rows
    return float(loader.n_positives / max(units, 1) * min(loader.batch_size, units))


def peak_megabytes(network: Any, loader: Any, n: int) -> float:
    """An estimate of what a step holds at its peak, above what the program itself takes.

    Weights, their gradient and Adam's two moments; for each row the encoder's activations, some twelve vectors of the
    width and two of the inner size a layer; scores against the pool and the kept softmax, or a block of them where they
    would be too many; the pool's vectors; scores against the own window or history, where it is scored.

    Args:
        network: Model of this package.
        loader: Its training loader.
        n: Columns of a row.
    """
    weights = sum(value.numel() for value in network.parameters())
    rows, width = rows_of_step(loader), network.item_vectors(torch.tensor([1])).shape[-1]
    config = network_sizes(network)
    activations = rows * config["layers"] * (12 * width + 2 * config["inner"]) + 4 * rows * width
    scores = min(rows * n, limits.WHOLE_MATRIX) * 2.25  # the mask is a byte each
    own = 0.0  # scores of a window's items; where every row has a history of its own, their vectors too
    if network.own and isinstance(loader, WindowLoader):
        own = 2 * rows * loader.dataset.windows.length
    elif network.own and isinstance(loader, InteractionLoader):
        own = 2 * rows * loader.max_history * (1 + width)
    return 4e-6 * (4 * weights + activations + scores + 3 * n * width + own)


def network_sizes(network: Any) -> dict[str, int]:
    """Blocks of the encoder and the largest width inside them; of a two-tower model its matrices."""
    matrices = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
    inner = max((layer.out_features for layer in matrices), default=0)
    blocks = getattr(getattr(network, "encoder", None), "blocks", matrices)
    return {"layers": len(blocks), "inner": inner}

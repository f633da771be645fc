"""A trained model and its real batches as a subject of the laboratory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from recbole_logq.data.batches.loaders import WindowLoader
from recbole_logq.data.batches.window_batch import WindowBatch
from recbole_logq.errors import RequestError
from recbole_logq.experiment.restore import Restored
from recbole_logq.lab.subject import Batch, Subject
from recbole_logq.models.rows import Rows
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import UserItems


def training_rows(restored: Restored, limit: int, seed: int) -> Iterator[Rows]:
    """Encoded rows of shuffled training batches, without dropout, until ``limit`` rows have been given."""
    network, loader = restored.network.eval(), restored.loaders[0]
    loader.generator.manual_seed(seed)
    loader.start_epoch()
    left = limit
    with torch.no_grad():
        for batch in loader:
            rows = network.rows(batch.to(restored.config["device"]))
            yield rows
            left -= len(rows.positives)
            if left <= 0:
                return


def checkpoint_subject(restored: Restored, rows: int, seed: int = 0) -> Subject:
    """Training rows of a model, taken at random from a few batches.

    Args:
        restored: A model of this package.
        rows: Number of rows.
        seed: Seed of the choice.

    Raises:
        RequestError: Its batches are built from segments.
    """
    network, dataset = restored.network, restored.parts[0]
    loader, config = restored.loaders[0], restored.config
    if config["segment_field"]:
        raise RequestError(
            f"segment_field={config['segment_field']}: the laboratory examines models of random batches, and "
            "this one's are of one segment each"
        )
    # Of batches with far more rows: neighbours in one window would say the same thing twice.
    found = list(training_rows(restored, 64 * rows, seed))
    positives = torch.cat([one.positives for one in found])
    users = torch.cat([one.users for one in found])
    query = torch.cat([one.query for one in found])
    chosen = torch.randperm(len(positives), generator=torch.Generator().manual_seed(seed))[:rows]
    with torch.no_grad():
        items = network.item_vectors(None)[1:].double()
        scores = network.scorer.query(query[chosen]).double() @ items.T

    of_windows = isinstance(loader, WindowLoader)
    units = dataset.windows.expected_units(network.n_items) if of_windows else (None, None)
    scale = dataset.windows.length if of_windows else 1
    counts = TargetCounts(network.target_counts, units[0], units[1], None, scale)  # type: ignore[arg-type]

    def batches(_: int) -> Iterator[Batch]:
        # Positives only: nothing is encoded for a pool.
        loader.generator.manual_seed(seed + 1)
        while True:
            loader.start_epoch()
            for batch in loader:
                targets, n_units = batch[dataset.iid_field], len(batch)
                if isinstance(batch, WindowBatch):
                    targets = targets if batch.real is None else targets[batch.real]
                    n_units = len(batch.packing.lengths)
                yield Batch(positives=targets, n_units=n_units)

    return Subject(
        name=f"{config['model']} on {config['dataset']}",
        scores=scores.cpu(),
        positives=positives[chosen].cpu(),
        counts=counts,
        batches=batches,
        users=users[chosen].cpu(),
        history=UserItems(*dataset.training_pairs(), dataset.user_num),  # type: ignore[call-arg]
        facts={"training split": restored.fingerprint["train"], "seed": str(config["seed"])},
    )


def exact_weights(restored: Restored, limit: int, seed: int = 0) -> dict[str, Any]:
    """The probability that the model errs, ``w = 1 - P(+|u)``, of training positives, under the full softmax.

    Training estimates it from a pool (Khrylchenko et al., RecSys 2025); here it is exact.

    Args:
        restored: A model of this package.
        limit: Approximate number of rows to look at.
        seed: Seed of the batches' order.

    Returns:
        ``users``, ``items`` (int64 ``[rows]``) and ``weights`` (float64 ``[rows]``).
    """
    from recbole_logq.losses import get_loss

    network = restored.network
    loss, users, items, weights = get_loss("full_softmax"), [], [], []
    vectors = None
    for rows in training_rows(restored, limit, seed):
        with torch.no_grad():
            vectors = network.item_vectors(None) if vectors is None else vectors
            query = network.scorer.query(rows.query)
            value = loss.from_vectors(query.double(), vectors[rows.positives].double(), vectors[1:].double())
        users.append(rows.users.cpu())
        items.append(rows.positives.cpu())
        weights.append(-torch.expm1(-value).cpu())
    return {"users": torch.cat(users), "items": torch.cat(items), "weights": torch.cat(weights)}

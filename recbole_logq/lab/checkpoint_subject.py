"""A trained model and its real batches as a subject of the laboratory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from recbole_logq.data.batches.loaders import WindowLoader
from recbole_logq.data.batches.window_batch import WindowBatch
from recbole_logq.errors import RequestError
from recbole_logq.experiment.restore import Restored
from recbole_logq.lab.subject import Batch, Subject
from recbole_logq.lab.units import Units
from recbole_logq.models.rows import Rows
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import Exclusion, UserItems


def training_rows(restored: Restored, limit: int, seed: int) -> Iterator[Rows]:
    """Encoded rows of shuffled training batches, without dropout, until ``limit`` rows have been given."""
    network, loader = restored.network.eval(), restored.loaders[0]
    loader.generator.manual_seed(seed)
    loader.start_epoch()
    remaining = limit
    with torch.no_grad():
        for batch in loader:
            rows = network.rows(batch.to(restored.config["device"]))
            yield rows
            remaining -= len(rows.positives)
            if remaining <= 0:
                return


def checkpoint_subject(restored: Restored, rows: int, seed: int = 0) -> Subject:
    """Training rows of a model, every training target as likely as another, each in the unit that training has it in.

    Args:
        restored: A model of this package.
        rows: Number of rows.
        seed: Seed of the choice, of how sequences are cut into windows, and of the batches.

    Raises:
        RequestError: Its batches are built from segments.
    """
    network = restored.network.eval()
    with torch.no_grad():
        items = network.item_vectors(None)[1:].double()

    def scored(query: Tensor, *_: Any) -> Tensor:
        with torch.no_grad():
            scores: Tensor = network.scorer.query(query).double() @ items.T
        return scores.cpu()

    subject = subject_of(restored, rows, seed, scored, f"{restored.config['model']} on {restored.config['dataset']}")
    return replace(subject, sampler=network.sampler)


def subject_of(
    restored: Restored, rows: int, seed: int, scored: Callable[[Tensor, Tensor, Units, Subject], Tensor], name: str
) -> Subject:
    """Training rows of a dataset in their units, with scores from anywhere.

    Args:
        restored: Data, loaders and a network of the model's shape.
        rows: Number of rows.
        seed: Seed of the choice, of how sequences are cut into windows, and of the batches.
        scored: Function from the queries of chosen targets, these targets, the units and a subject without scores to
            ``[rows, items]``.
        name: Name of the subject.

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
    loader.generator.manual_seed(seed)
    loader.start_epoch()
    of_windows = isinstance(loader, WindowLoader)
    units = Units.of(dataset.windows) if of_windows else _interactions(dataset)
    chosen = torch.randperm(len(units.targets), generator=torch.Generator().manual_seed(seed))[:rows]
    history = UserItems(*dataset.training_pairs(), dataset.user_num)  # type: ignore[call-arg]
    counts = TargetCounts(network.target_counts.cpu())
    if of_windows:
        expected, n_units = dataset.windows.expected_units(network.n_items)
        counts = TargetCounts(counts.counts, expected, n_units, unit_scale=dataset.windows.length)

    def batches(_: int) -> Iterator[Batch]:
        # Positives only: nothing is encoded for a pool.
        loader.generator.manual_seed(seed + 1)
        while True:
            loader.start_epoch()
            for batch in loader:
                targets, users, n_units = batch[dataset.iid_field], batch[dataset.uid_field], len(batch)
                if isinstance(batch, WindowBatch):
                    if batch.real is not None:
                        targets, users = targets[batch.real], users[batch.real]
                    n_units = len(batch.packing.lengths)
                yield Batch(positives=targets.cpu(), n_units=n_units, users=users.cpu())

    def of_targets(targets_of_rows: Tensor, units: Units) -> Subject:
        query, windows = _encoded(network, loader, units, targets_of_rows)
        subject = Subject(
            name=name,
            scores=torch.empty(len(targets_of_rows), network.n_items - 1, dtype=torch.float64),
            positives=units.targets[targets_of_rows],
            counts=counts,
            batches=batches,
            users=units.users[targets_of_rows],
            history=history,
            windows=windows,
        )
        return replace(subject, scores=scored(query, targets_of_rows, units, subject))

    def others() -> Iterator[Subject]:
        stream, now, cut = torch.Generator().manual_seed(seed + 3), units, None
        while True:
            if of_windows and dataset.windows.start is not cut:  # the batches' next epoch has cut them anew
                now, cut = Units.of(dataset.windows), dataset.windows.start
            yield of_targets(torch.randint(len(now.targets), (rows,), generator=stream), now)

    return replace(
        of_targets(chosen, units),
        inside=lambda: units.with_rows(chosen, loader.batch_size, seed + 2),
        others=others,
        facts={"training split": restored.fingerprint["train"], "seed": str(config["seed"])},
    )


def _interactions(dataset: Any) -> Units:
    items, users = dataset.inter_feat[dataset.iid_field], dataset.inter_feat[dataset.uid_field]
    return Units(items, users, torch.ones_like(items), of_windows=False)


def _encoded(network: Any, loader: Any, units: Units, rows: Tensor) -> tuple[Tensor, Exclusion | None]:
    """The queries of some targets, ``[rows, d]``, and the items of the windows or histories that they come from."""
    own_units, number = units.unit_of[rows].unique(return_inverse=True)
    device = next(network.parameters()).device
    batch = loader.batch(own_units).to(device)
    before, network.own = network.own, "window"  # so that the rows bring along what the own stratum reads
    try:
        with torch.no_grad():
            encoded = network.rows(batch)
            own = network.own_items(encoded)
    finally:
        network.own = before
    if not isinstance(batch, WindowBatch):
        return encoded.query[number], None if encoded.further_own is None else _on_host(own, number)
    # Rows stand in the order of a packing: a row is found by its window and its position among the window's targets.
    key = batch.packing.sequence * loader.dataset.windows.length + batch.packing.position
    order = (key if batch.real is None else key[batch.real]).argsort().cpu()
    sizes = units.sizes[own_units]
    at = order[(sizes.cumsum(0) - sizes)[number] + rows - units.first[units.unit_of[rows]]]
    return encoded.query[at.to(device)], _on_host(own, at)


def _on_host(own: Exclusion, rows: Tensor) -> Exclusion:
    repeated = None if own.repeated is None else own.repeated.cpu()
    return Exclusion(own.row_set.cpu()[rows], own.pair_set.cpu(), own.pair_item.cpu(), own.n_sets, repeated)


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

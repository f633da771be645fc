"""Which losses go with which treatment of accidental hits."""

from __future__ import annotations

from recbole_logq.losses.loss import Hits, Loss

_REASONS = {
    "kept": "it counts the positive as one of the pool's draws, so taking its copies out leaves the negatives with "
    "less mass than Q says",
    "masked": "it has the positive in the denominator already, so a copy among the negatives would count it twice",
}


def check_pairing(loss: Loss, hits: Hits, allow_crossed: bool = False) -> None:
    """Refuses a loss with pool columns treated in a way that makes it inconsistent.

    Args:
        loss: The loss.
        hits: What happens to pool columns that hold the row's positive item: "masked" or "kept"; "catalogue" for a
            pool that is the whole catalogue.
        allow_crossed: Accept "masked" for a loss that needs "kept" and the reverse, for experiments about that bias.

    Raises:
        ValueError: The pair does not fit; the message says why. A catalogue loss on a sample, or a sampled loss on
            the catalogue, is refused in any case: the positive would be missing or counted twice in every row.
    """
    if hits not in ("masked", "kept", "catalogue"):
        raise ValueError(f"unknown treatment of accidental hits {hits!r}: expected 'masked', 'kept' or 'catalogue'")
    if hits == loss.hits:
        return
    if loss.hits == "catalogue":
        raise ValueError(f"loss {loss.name!r} sums over the whole catalogue and cannot take a sampled pool")
    if hits == "catalogue":
        raise ValueError(f"loss {loss.name!r} is made for sampled negatives; over the catalogue use 'full_softmax'")
    if not allow_crossed:
        raise ValueError(
            f"loss {loss.name!r} needs accidental hits {loss.hits}, not {hits}: {_REASONS[loss.hits]}, and the bias "
            f"of the gradient would stop falling with the number of negatives"
        )

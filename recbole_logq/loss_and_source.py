"""What a loss and a source of negatives state of themselves, and which of them go together; known without torch."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

CorrectedBy = Literal["loss", "resampling"]
"""What weighs the draws of a row by their law: the loss, by their log Q, or the resampling that made them."""
_REASONS = {
    "kept": "it counts the positive as one of the pool's draws, so taking its copies out leaves the negatives with "
    "less mass than Q says",
    "masked": "it has the positive in the denominator already, so a copy among the negatives would count it twice",
}


class StatedByLoss(Protocol):
    """Attributes of :class:`recbole_logq.losses.Loss`."""

    @property
    def name(self) -> str: ...
    @property
    def needs_log_q(self) -> bool: ...
    @property
    def hits(self) -> str: ...
    @property
    def takes_counts(self) -> bool: ...


class StatedBySource(Protocol):
    """Attributes of :class:`recbole_logq.samplers.Sampler`."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def resamples(self) -> bool: ...
    @property
    def corrected_by(self) -> CorrectedBy | None: ...


class DeclaredLoss(NamedTuple):
    """A loss as its class declares it."""

    name: str
    needs_log_q: bool
    hits: str
    over_catalogue: bool
    takes_counts: bool


class DeclaredSource(NamedTuple):
    """A source as its class declares it."""

    name: str
    kind: str
    resamples: bool
    corrected_by: CorrectedBy | None

    def check_loss(self, loss: Any) -> None:
        """As :meth:`recbole_logq.samplers.Sampler.check_loss`."""
        check_loss(self, loss)


def check_loss(source: StatedBySource, loss: StatedByLoss) -> None:
    """Refuse a loss that the pools of a source make no sense with.

    Raises:
        ValueError: The loss does not fit; one line with the reason.
    """
    if source.kind == "observed" and loss.needs_log_q:
        raise ValueError(f"loss {loss.name!r} needs log Q, and nobody knows the law of observed negatives")
    if source.resamples and not loss.takes_counts:
        raise ValueError(f"loss {loss.name!r} is no sum of exponentials, which resampled columns are counted in")
    if source.corrected_by == "resampling" and loss.needs_log_q:
        raise ValueError(
            f"loss {loss.name!r} with negatives {source.name!r}: their popularity is already taken out by the "
            "resampling, a second correction would overdo it; use 'sampled_softmax'"
        )
    if source.corrected_by == "loss" and not (loss.needs_log_q and loss.hits == "masked"):
        raise ValueError(
            f"loss {loss.name!r} with negatives {source.name!r}: what is drawn by the model's own scores must be "
            "weighted by that law; use 'corrected_logq' (or the source 'bir' for the uncorrected form)"
        )


def check_pairing(loss: StatedByLoss, hits: str, allow_crossed: bool = False) -> None:
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

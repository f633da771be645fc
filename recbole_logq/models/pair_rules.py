"""Rules of a loss and a source of negatives, and what a rule is; known without torch.

A rule names what it is between and says why a request breaks it and what to set instead, or None. The first that is
broken is the answer. The rules of all other settings stand in :mod:`recbole_logq.models.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from recbole_logq.loss_and_source import check_pairing
from recbole_logq.nearest import nearest
from recbole_logq.plugin_errors import described

if TYPE_CHECKING:
    from recbole_logq.losses import Loss
    from recbole_logq.samplers import Sampler


@dataclass(frozen=True)
class Request:
    """What rules look at.

    Attributes:
        loss: The loss.
        source: Class of the source of negatives.
        hits: Treatment of accidental hits, where it is set.
        allow_crossed: Whether what is inconsistent is asked for, in an experiment about that.
        values: All settings, checked one by one; empty where a pair is looked at alone.
        given: Settings that the user set.
        options: Options of the source.
        make_sampler: Makes a sampler of these settings.
        takes_segments: Whether the encoder has batches of one segment.
    """

    loss: Loss
    source: type[Sampler]
    hits: str | None = None
    allow_crossed: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    make_sampler: Callable[[], Sampler] | None = None
    takes_segments: bool = True

    @property
    def count(self) -> Any:
        """The number of negatives that the user set, if any."""
        return (self.given.get("negatives") or {}).get("count")

    @property
    def own(self) -> str | None:
        """Which of a user's other items are scored for certain."""
        own: str | None = self.values["negatives"].get("own")
        return own

    @property
    def is_kept(self) -> bool:
        """Whether accidental hits stay among the negatives."""
        return (self.hits or self.loss.hits) == "kept"

    @property
    def sampler(self) -> Sampler:
        """A sampler of these settings, over some catalogue."""
        assert self.make_sampler is not None
        return self.make_sampler()


class Rule(NamedTuple):
    """One rule.

    Attributes:
        between: Settings that it is about.
        reason: Function from a request to why it breaks the rule, and what to set instead; None where it does not.
    """

    between: str
    reason: Callable[[Request], str | None]


def first_reason(rules: Iterable[Rule], request: Request) -> str | None:
    """Why a request breaks the first of the rules that it breaks; None where it breaks none."""
    return next((reason for rule in rules if (reason := rule.reason(request))), None)


def refusal(check: Callable[..., Any], *arguments: Any) -> str | None:
    """What a check refuses its arguments with."""
    try:
        check(*arguments)
    except (ValueError, TypeError) as error:
        return described(error)
    return None


def unknown_option(source: str, options: Iterable[str], parameters: Iterable[str]) -> str | None:
    """Why an option is none of a source of negatives; None where all are.

    Args:
        source: Name of the source.
        options: Options that the user set.
        parameters: Parameters of the source's constructor.
    """
    known = set(parameters) - {"counts", "seed"}
    for option in sorted(set(options) - known):
        return (
            f"unknown setting negatives.{option}{nearest(option, {*known, 'source'})} (source={source} has "
            f"{', '.join(sorted(known))})"
        )
    return None


def rule(between: str, broken: Callable[[Request], Any], reason: Callable[[Request], str]) -> Rule:
    """A rule of a condition and what is said where it holds."""
    return Rule(between, lambda request: reason(request) if broken(request) else None)


PAIRS: tuple[Rule, ...] = (
    rule(
        "loss, negatives.source=catalogue",
        lambda r: r.source.kind == "catalogue" and not r.loss.over_catalogue,
        lambda r: f"loss={r.loss.name} is made of a sample, not of the whole catalogue: set another negatives.source",
    ),
    rule(
        "loss of the catalogue, negatives.source",
        lambda r: r.source.kind != "catalogue" and r.loss.over_catalogue,
        lambda r: f"loss={r.loss.name} goes over the whole catalogue: set negatives.source=catalogue, or another loss",
    ),
    Rule("loss, hits", lambda r: refusal(check_pairing, r.loss, r.hits or r.loss.hits, r.allow_crossed)),
    Rule("loss, negatives.source", lambda r: refusal(r.source.check_loss, r.loss)),
    rule(
        "hits, negatives.source=observed",
        lambda r: r.source.kind == "observed" and r.hits == "kept",
        lambda r: "hits=kept: an observed negative is never the row's own positive; leave hits out",
    ),
    rule(
        "loss, negatives.source of distinct ids",
        lambda r: r.loss.hits == "kept" and r.source.kind == "inclusion" and not r.allow_crossed,
        lambda r: (
            f"loss={r.loss.name} with negatives.source={r.source.name}: the form counts draws, distinct ids are none; "
            "set loss=corrected_logq, which weights them by inclusion probabilities"
        ),
    ),
)
"""Rules of a loss and a source, whatever else is set; a laboratory asks them too."""

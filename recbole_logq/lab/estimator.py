"""An estimator of the full softmax: a loss, a source of negatives, a mask and a number of negatives."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.losses import Loss
from recbole_logq.models.combination import SOME_COUNTS, build_loss, sampler_settings, why_not
from recbole_logq.models.resolve import recipes
from recbole_logq.nearest import nearest
from recbole_logq.parsing import parse_value
from recbole_logq.plugin_errors import described
from recbole_logq.probability import TargetCounts
from recbole_logq.registry import losses, samplers
from recbole_logq.registry import recipes as registered_recipes
from recbole_logq.samplers import MASKS, Sampler, get_sampler
from recbole_logq.setting_texts import option_kinds, read_option

DEFAULT = (
    "CorrectedLogQ",
    "LogQ",
    "InBatch",
    "Uniform",
    "Popularity",
    "MNSCorrectedLogQ",
    "MNS",
    "corrected_logq+in_batch_unique",
    "corrected_logq+in_batch_unique:q=frequency",
    "corrected_logq+hard",
    "BIR",
    "XIR",
    "CorrectedLogQ:hits=kept",
    "LogQ:hits=masked",
)
"""What `lab` looks at unless told otherwise; the last two are the crossed pairs."""


@dataclass(frozen=True)
class Estimator:
    """One line of the laboratory's table.

    Args:
        name: Name as the user wrote it.
        loss: Name of the loss.
        source: Name of the source of negatives.
        options: Options of the source.
        loss_options: Options of the loss.
        hits: Treatment of accidental hits; None for the loss's own.
        mask: What is masked, one of `MASKS`.
        own: The user's own other items that are scored exactly, "window" for those of the row's own window (two-tower:
            of the user's other rows in the batch), "history" for all that training knows; None for none.
        window_kept: Whether columns that the row's own window brought along stay among its negatives, at the weight of
            draws: what implementations do that look at the row's own column alone.
        given: Options that the user set, against the recipe's.
        frequency_q: Whether to state the frequency of targets as Q whatever the pool is: a common mistake, on purpose.
    """

    name: str
    loss: str
    source: str
    options: dict[str, Any] = field(default_factory=dict)
    loss_options: dict[str, Any] = field(default_factory=dict)
    hits: str | None = None
    mask: str = "target"
    frequency_q: bool = False
    own: str | None = None
    window_kept: bool = False
    given: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Estimator:
        """``RECIPE`` or ``LOSS+SOURCE``, with ``:key=value`` for hits, mask, own, window, q and the source's options.

        Raises:
            RequestError: The name is unknown, or the estimator is not measured in scores.
        """
        head, *changes = text.split(":")
        if "+" in head:
            loss, source = head.split("+", 1)
            estimator = cls(text, loss, source)
        else:
            if head not in recipes() and head not in registered_recipes.installed():
                known = set(recipes())
                raise RequestError(
                    f"no estimator named {head!r}{nearest(head, known)}: a recipe or LOSS+SOURCE (`models` lists both)"
                )
            recipe = registered_recipes.get(head)
            source, _, options = sampler_settings(recipe["negatives"])
            estimator = cls(text, recipe["loss"], source, options, recipe.get("loss_options") or {})
            estimator = replace(estimator, own=recipe["negatives"].get("own"))
        for change in changes:
            key, equals, value = change.partition("=")
            if not equals or not value:
                raise RequestError(f"{text}: write {key}=VALUE")
            estimator = estimator._with(key, parse_value(key, value))
        estimator._check()
        return estimator

    def _with(self, key: str, value: Any) -> Estimator:
        if key == "hits" and value in ("masked", "kept"):
            return replace(self, hits=value)
        if key == "mask" and value in MASKS:
            return replace(self, mask=value)
        if key == "q" and value == "frequency":
            return replace(self, frequency_q=True)
        if key == "own" and value in ("window", "history", "none"):
            return replace(self, own=None if value == "none" else value)
        if key == "window" and value == "kept":
            return replace(self, window_kept=True)
        if key in {"hits", "mask", "own", "q", "window"}:
            allowed = {"hits": "masked or kept", "mask": ", ".join(MASKS), "q": "frequency", "window": "kept"}
            raise RequestError(f"{self.name}: {key}={value}: {allowed.get(key, 'window, history or none')}")
        kinds = option_kinds(samplers, self.source).get(key, set()) if self.source in samplers else set()
        options = {**self.options, key: read_option(key, value, kinds)}
        return replace(self, options=options, given=self.given | {key})

    def _check(self) -> None:
        try:
            loss, sampler = self.build_loss(1000), samplers.get(self.source)
        except ValueError as error:
            raise RequestError(f"{self.name}: {error}") from error
        known = inspect.signature(sampler).parameters.keys() - {"counts", "seed", "count"}
        for option in self.options.keys() - known:
            raise RequestError(
                f"{self.name}: negatives {self.source} have no option {option}{nearest(option, set(known))}"
            )
        # Crossed pairs are what a laboratory is for; what cannot be computed is refused.
        if reason := why_not(loss, sampler, self.hits, allow_crossed=True):
            raise RequestError(f"{self.name}: {reason}")
        if loss.over_catalogue or sampler.kind == "catalogue" or sampler.per_row:
            raise RequestError(f"{self.name}: estimators of the full softmax from drawn negatives are examined here")
        if self.options.get("momentum") is not None:
            raise RequestError(
                f"{self.name}: scores here are those of the model as it is, and momentum keeps older ones; leave it out"
            )
        self.build_sampler(TargetCounts(SOME_COUNTS), 16, 0)  # refuses options that are out of range
        if self.window_kept and not sampler.from_batch:
            raise RequestError(f"{self.name}: negatives {self.source} have no columns of a window; leave window out")
        if self.own and not loss.takes_certain:
            raise RequestError(f"{self.name}: loss {loss.name} has no place for own items; leave own out")
        if self.own and self.mask != "target":
            raise RequestError(
                f"{self.name}: with own items the laboratory knows the whole softmax only, not a masked one; "
                "set mask=target"
            )
        if self.mask != "target" and (self.hits or loss.hits) == "kept":
            raise RequestError(f"{self.name}: hits that are kept leave nothing to mask, set mask=target")

    def build_loss(self, catalogue: int) -> Loss:
        """The loss."""
        return build_loss(self.loss, catalogue, self.loss_options, 0)

    def build_sampler(self, counts: TargetCounts, count: int, seed: int) -> Sampler:
        """The source, with a pool of ``count``.

        Raises:
            RequestError: The estimator does not take these options.
        """
        options = dict(self.options)
        if "memory" in inspect.signature(get_sampler(self.source)).parameters and "memory" not in self.given:
            # n columns in all, half from the batch and half from the memory.
            options["memory"] = count - count // 2
            count = max(count // 2, 1)
        if "warmup_steps" not in self.given:
            options.pop("warmup_steps", None)  # examined as after it
        try:
            return get_sampler(self.source)(counts, count=count, seed=seed, **options)
        except (ValueError, TypeError) as error:
            raise RequestError(f"{self.name}: {described(error)}") from error

    @property
    def consistent(self) -> bool:
        """Whether its bias is meant to fall to 0 with the number of negatives."""
        loss = losses.get(self.loss)
        crossed = self.hits is not None and self.hits != loss.hits
        wrong = crossed or self.frequency_q or self.window_kept
        return loss.needs_log_q and not wrong and loss.name != "logq_uncorrected_positive"

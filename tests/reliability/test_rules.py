"""What goes with what: each rule is broken once, says why, and stands in docs/reliability.md with its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from recbole_logq.config import Config
from recbole_logq.errors import RequestError
from recbole_logq.models.pair_rules import PAIRS, Rule
from recbole_logq.models.rules import SETTINGS, TRAINING, UNKNOWN_OPTION

RULES: tuple[Rule, ...] = (UNKNOWN_OPTION, *SETTINGS, *TRAINING)
LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO"}
OBSERVED = {
    "loss": "bce", "negatives": {"source": "observed", "field": "rating", "below": 3, "count": 8},
    "eval_args": LEAVE_ONE_OUT,
}  # fmt: skip
SHOWN = {"grade_field": "rating", "impression_field": "page"}
BROKEN: dict[str, tuple[str, dict[str, Any]]] = {  # rule: model and settings
    "negatives, names of the source's options": ("TwoTowerUniform", {"negatives.alpha": 0.5}),
    "loss, negatives.source=catalogue": ("TwoTowerLogQ", {"negatives.source": "catalogue"}),
    "loss of the catalogue, negatives.source": ("TwoTowerFullSoftmax", {"negatives.source": "uniform"}),
    "loss, hits": ("TwoTowerCorrectedLogQ", {"hits": "kept"}),
    "loss, negatives.source": ("TwoTowerBPR", {"negatives.source": "bir"}),
    "hits, negatives.source=observed": ("TwoTowerLogQ", {**OBSERVED, "hits": "kept", "allow_crossed": True}),
    "loss, negatives.source of distinct ids": ("TwoTowerLogQ", {"negatives.source": "in_batch_unique"}),
    "negatives.count, negatives.source=catalogue": ("TwoTowerFullSoftmax", {"negatives.count": 9}),
    "negatives, options of the source": ("TwoTowerMNS", {"negatives.uniform_share": 1}),
    "negatives.momentum, items of a plain table": ("TwoTowerCBNS", {"negatives.momentum": 0.999}),
    "negatives.proposal=learned, loss": ("TwoTowerSystematic", {"negatives.proposal": "learned", "loss": "infonce"}),
    "mask, hits": ("TwoTowerLogQ", {"mask": "query"}),
    "mask, loss": ("TwoTowerSCE", {"mask": "history"}),
    "negatives.own, loss of the catalogue": ("TwoTowerFullSoftmax", {"negatives.own": "history"}),
    "negatives.own, loss": ("TwoTowerBPR", {"negatives.own": "history"}),
    "negatives.own, mask": ("TwoTowerCorrectedLogQ", {"negatives.own": "history", "mask": "history"}),
    "negatives.own, negatives.law": (
        "SASRecMNS",
        {"loss": "logq", "negatives.law": "per_part", "negatives.own": "window"},
    ),
    "loss=infonce, similarity": ("TwoTowerInfoNCE", {"similarity": "dot"}),
    "similarity, temperature, temperature_mode": ("TwoTowerLogQ", {"temperature_mode": "scheduled"}),
    "negatives.source=observed, benchmark_filename": (
        "TwoTowerLogQ",
        {"loss": "bce", "negatives": OBSERVED["negatives"], "benchmark_filename": ["a", "b", "c"]},
    ),
    "negatives.source=observed, recbole_order": ("TwoTowerLogQ", {**OBSERVED, "recbole_order": True}),
    "negatives.source=observed, numerical_features": (
        "TwoTowerLogQ",
        {**OBSERVED, "numerical_features": ["timestamp"]},
    ),
    "negatives.source=observed, negatives.count": (
        "TwoTowerLogQ",
        {**OBSERVED, "negatives": {"source": "observed", "field": "rating", "below": 3}},
    ),
    "negatives.source=impression, impression_field, grade_field": (
        "TwoTowerBPR",
        {"negatives.source": "impression", "grade_field": "rating"},
    ),
    "negatives.source=impression, negatives.own": (
        "TwoTowerCorrectedLogQ",
        {**SHOWN, "negatives.source": "impression", "negatives.own": "history"},
    ),
    "negatives.grades=target, loss": (
        "TwoTowerBPR",
        {**SHOWN, "negatives.source": "impression", "negatives.grades": "target"},
    ),
    "impression_field, negatives.source": ("TwoTowerLogQ", SHOWN),
    "worker": ("TwoTowerLogQ", {"worker": 2}),
    "train_neg_sample_args": ("TwoTowerLogQ", {"train_neg_sample_args": {"sample_num": 2}}),
    "transform": ("TwoTowerLogQ", {"transform": "mask_itemseq"}),
    "learner=sparse_adam": ("TwoTowerLogQ", {"learner": "sparse_adam"}),
    "sparse_embeddings, loss, learner, weight_decay": (
        "TwoTowerLogQ",
        {"sparse_embeddings": True, "weight_decay": 0.1},
    ),
    "multi_positive, negatives of each row": ("SASRecLogQ", {**OBSERVED, "multi_positive": 2}),
    "multi_positive, hits": ("SASRecBCE", {"multi_positive": 2, "hits": "kept", "allow_crossed": True}),
    "multi_positive, request_time": ("SASRecLogQ", {"multi_positive": 2, "time": "gaps", "request_time": "known"}),
    "pools, negatives.source": ("TwoTowerFullSoftmax", {"pools": 2}),
    "pools, a source that learns": ("TwoTowerCBNS", {"pools": 2}),
    "pools, nproc": ("TwoTowerLogQ", {"pools": 2, "nproc": 2}),
    "nproc, negatives.source": ("TwoTowerBIR", {"nproc": 2}),
    "nproc, eval_args.mode": ("TwoTowerLogQ", {"nproc": 2, "eval_args.mode": "uni100"}),
    "nproc, segment_field": ("TwoTowerLogQ", {"nproc": 2, "segment_field": "country"}),
    "nproc, loss": ("TwoTowerSCE", {"nproc": 2}),
    "segment_field, encoder": ("SASRecLogQ", {"segment_field": "country"}),
    "segment_field, negatives.source": ("TwoTowerStreamingLogQ", {"segment_field": "country"}),
    "negatives.sampled_share=0, negatives.count": (
        "TwoTowerBPR",
        {**SHOWN, "negatives.source": "impression", "negatives.sampled_share": 0, "negatives.count": 8},
    ),
    "shuffle, negatives.source": ("TwoTowerLogQ", {"shuffle": False}),
    "negatives.count, train_batch_size": ("TwoTowerLogQ", {"negatives.count": 9, "train_batch_size": 8}),
    "pools, train_batch_size": ("TwoTowerUniform", {"pools": 9, "train_batch_size": 8}),
    "multi_positive, MAX_ITEM_LIST_LENGTH": ("SASRecLogQ", {"multi_positive": 9, "MAX_ITEM_LIST_LENGTH": 8}),
    "gradient_cache, train_batch_size, nproc": ("TwoTowerLogQ", {"gradient_cache": 8, "train_batch_size": 8}),
    "kernel, loss, negatives.source, use_gpu": ("TwoTowerBPR", {"kernel": "torch"}),
    "train_batch_tokens, train_batch_size": ("SASRecLogQ", {"train_batch_tokens": 4096, "train_batch_size": 64}),
    "cuda_graph, what the shapes of a step depend on": ("SASRecCorrectedLogQ", {"cuda_graph": True}),
    "negatives, options of a law, loss": ("TwoTowerMNS", {"negatives.law": "per_part", "loss": "sampled_softmax"}),
    "negatives.buckets, negatives.hashes": ("TwoTowerStreamingLogQ", {"negatives.buckets": 64}),
    "hits, negatives.source of distinct ids": (
        "TwoTowerCorrectedLogQ",
        {"negatives.source": "in_batch_unique", "hits": "kept", "allow_crossed": True},
    ),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.between)
def test_a_request_that_breaks_a_rule(rule: Rule, monkeypatch: pytest.MonkeyPatch, seen: Callable[..., None]) -> None:
    model, settings = BROKEN[rule.between]
    reasons = []
    monkeypatch.setattr("recbole_logq.models.combination.first_reason", _first_told(reasons))
    with pytest.raises(RequestError) as refusal:
        Config(model, "ml-100k", None, settings)
    assert reasons == [rule.between]  # it is this rule that answers, and no other
    shown = ", ".join(f"{key}={json.dumps(value)}" for key, value in settings.items())
    seen("rules", rule.between, f"`{model}: {shown}`", f"`{refusal.value}`")


def _first_told(reasons: list[str]) -> Callable[..., str | None]:
    def first_reason(rules: Any, request: Any) -> str | None:
        for rule in rules:
            if reason := rule.reason(request):
                reasons.append(rule.between)
                return reason
        return None

    return first_reason


def test_every_rule_is_broken_once_and_stands_in_the_page(names_in_page: Callable[[str], list[str]]) -> None:
    names = [rule.between for rule in RULES]
    assert len(names) == len(set(names))
    assert list(BROKEN) == names == names_in_page("rules")
    assert set(PAIRS) < set(SETTINGS)

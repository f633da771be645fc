"""What goes with what: every rule about losses, sources of negatives, masks, scores, batches and processes, in order.

``tests/reliability/test_rules.py`` breaks each of them once, and writes the table of docs/reliability.md. What a
rule is stands with those of a loss and a source, in :mod:`recbole_logq.models.pair_rules`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch

from recbole_logq.losses.corrected_logq import CorrectedLogQ
from recbole_logq.losses.fused_logsumexp import no_kernel
from recbole_logq.models import fixed_shapes
from recbole_logq.models.batch_rules import ASK_LESS, doubt_about_order, rows_of_batch, size_of_batch
from recbole_logq.models.pair_rules import PAIRS, Request, Rule, unknown_option
from recbole_logq.models.pair_rules import refusal as _refusal
from recbole_logq.models.pair_rules import rule as _rule
from recbole_logq.models.sparse import reason_against
from recbole_logq.modules.scorer import Scorer
from recbole_logq.samplers import Sampler


def _unknown_option(r: Request) -> str | None:
    return unknown_option(r.source.name, r.options, inspect.signature(r.source).parameters)


def _options(r: Request) -> str | None:
    refusal = _refusal(lambda: r.sampler)
    return refusal and f"negatives: {refusal}"


def _scorer(r: Request) -> str | None:
    names = ("similarity", "temperature", "temperature_mode", "temperature_end", "temperature_steps")
    return _refusal(Scorer, *(r.values[name] for name in names))


def _sparse(r: Request) -> str | None:
    reason = reason_against(r.values, r.loss.over_catalogue) if r.values["sparse_embeddings"] is True else None
    return reason and f"sparse_embeddings=true: {reason}"


_OWN: tuple[Rule, ...] = (
    _rule(
        "negatives.own, loss of the catalogue",
        lambda r: r.loss.over_catalogue,
        lambda r: f"negatives.own={r.own}: loss={r.loss.name} has the own items in its catalogue; leave own out",
    ),
    _rule(
        "negatives.own, loss",
        lambda r: not r.loss.takes_certain,
        lambda r: (
            f"negatives.own={r.own}: loss={r.loss.name} is no estimate of a partition function, which own items are a "
            "part of; set loss=corrected_logq, or leave own out"
        ),
    ),
    _rule(
        "negatives.own, mask",
        lambda r: r.values["mask"] in ("query", r.own),
        lambda r: (
            f"mask={r.values['mask']} with negatives.own={r.own}: the mask takes items out that own puts in; set "
            "mask=target" + (", or mask=history" if r.own == "window" else "")
        ),
    ),
    _rule(
        "negatives.own, negatives.law",
        lambda r: r.loss.name == "logq" and r.options.get("law") == "per_part",
        lambda r: (
            f"negatives.law=per_part with negatives.own={r.own}: loss=logq counts its positive as a draw of one law "
            "for all columns; set law=mixture"
        ),
    ),
)
_OBSERVED: tuple[Rule, ...] = (
    _rule(
        "negatives.source=observed, benchmark_filename",
        lambda r: r.values.get("benchmark_filename") is not None,
        lambda r: (
            "benchmark_filename with negatives.source=observed: rows that say no cannot be taken out of a ready-made "
            "split; give one .inter file and a split in eval_args"
        ),
    ),
    _rule(
        "negatives.source=observed, recbole_order",
        lambda r: r.values["recbole_order"],
        lambda r: (
            "recbole_order=true with negatives.source=observed: which of them came before a target needs the exact "
            "time; leave recbole_order out"
        ),
    ),
    _rule(
        "negatives.source=observed, numerical_features",
        lambda r: r.values["TIME_FIELD"] in (r.values.get("numerical_features") or []),
        lambda r: (
            f"numerical_features: negatives.source=observed needs {r.values['TIME_FIELD']} as it is in the file, "
            "leave it out"
        ),
    ),
    _rule(
        "negatives.source=observed, negatives.count",
        lambda r: r.count is None,
        lambda r: (
            "negatives.source=observed has columns of its own for every row, which take memory: set "
            "--negatives.count=8, or as many as you want"
        ),
    ),
)
_IMPRESSIONS: tuple[Rule, ...] = (
    _rule(
        "negatives.source=impression, impression_field, grade_field",
        lambda r: not (r.values["impression_field"] and r.values["grade_field"]),
        lambda r: (
            "negatives.source=impression: set --impression_field=COLUMN, which says what was shown together, and "
            "--grade_field=COLUMN, which says what came of it"
        ),
    ),
    _rule(
        "negatives.source=impression, negatives.own",
        lambda r: r.own is not None,
        lambda r: (
            f"negatives.own={r.own} with negatives.source=impression: own items would be scored beside both of its "
            "pools; leave own out"
        ),
    ),
    _rule(
        "negatives.grades=target, loss",
        lambda r: r.options.get("grades") == "target" and not r.loss.takes_targets,
        lambda r: (
            f"negatives.grades=target with loss={r.loss.name}: it takes positives for 1 and negatives for 0; set "
            "loss=bce, or weight_field, which weighs rows by their grade"
        ),
    ),
)
_OF_RECBOLE: tuple[Rule, ...] = (
    _rule(
        "worker",
        lambda r: r.values["worker"],
        lambda r: "worker: batches of these models are index arithmetic, no worker helps; leave it out",
    ),
    _rule(
        "train_neg_sample_args",
        lambda r: r.given.get("train_neg_sample_args") is not None,
        lambda r: "train_neg_sample_args is RecBole's sampler: set negatives.source and negatives.count",
    ),
    _rule(
        "transform",
        lambda r: r.values.get("transform") is not None,
        lambda r: "transform is a step of RecBole's own models and not supported here: leave it out",
    ),
    _rule(
        "learner=sparse_adam",
        lambda r: r.values["learner"] == "sparse_adam",
        lambda r: "learner=sparse_adam: set learner=adam, with sparse_embeddings=true for sparse gradients",
    ),
)
_TARGETS: tuple[Rule, ...] = (
    _rule(
        "multi_positive, negatives of each row",
        lambda r: r.source.per_row,
        lambda r: (
            f"multi_positive={r.values['multi_positive']}: negatives.source={r.source.name} has columns of each row's "
            "own, for one target; leave multi_positive out"
        ),
    ),
    _rule(
        "multi_positive, hits",
        lambda r: r.is_kept and not r.loss.takes_certain,
        lambda r: (
            f"hits=kept with multi_positive={r.values['multi_positive']}: loss={r.loss.name} takes a row's other "
            "targets out of its negatives; leave hits out"
        ),
    ),
    _rule(
        "multi_positive, request_time",
        lambda r: r.values["request_time"] == "known",
        lambda r: (
            f"request_time=known with multi_positive={r.values['multi_positive']}: a query would know when the first "
            "of its targets is asked for, and the others are later; leave one of them out"
        ),
    ),
)
_POOLS: tuple[Rule, ...] = (
    _rule(
        "pools, negatives.source",
        lambda r: r.source.kind == "catalogue" or r.source.per_row,
        lambda r: (
            f"pools={r.values['pools']}: negatives.source={r.source.name} is the same for all rows or each row's own; "
            "leave pools out"
        ),
    ),
    _rule(
        "pools, a source that learns",
        lambda r: r.source.after_step is not Sampler.after_step,
        lambda r: (
            f"pools={r.values['pools']}: negatives.source={r.source.name} learns from the pool of a step; leave pools "
            "out"
        ),
    ),
    _rule(
        "pools, nproc",
        lambda r: r.values["nproc"] > 1,
        lambda r: f"pools={r.values['pools']} with nproc={r.values['nproc']}: one of the two must be 1",
    ),
)
_PROCESSES: tuple[Rule, ...] = (
    _rule(
        "nproc, negatives.source",
        # Their draws are made per row, by the rows a process has; of one process they would be others.
        lambda r: r.source.resamples or r.source.per_row,
        lambda r: (
            f"nproc={r.values['nproc']}: negatives.source={r.source.name} draws for every row and runs in one process; "
            "leave nproc out"
        ),
    ),
    _rule(
        "nproc, eval_args.mode",
        lambda r: r.values["eval_args"].get("mode", "full") not in ("full", {"valid": "full", "test": "full"}),
        lambda r: (
            f"nproc={r.values['nproc']}: eval_args.mode={r.values['eval_args']['mode']} draws what is ranked, which "
            "one process does; set mode=full or leave nproc out"
        ),
    ),
    _rule(
        "nproc, segment_field",
        lambda r: r.values["segment_field"],
        lambda r: f"nproc={r.values['nproc']}: segment_field makes batches that one process takes; leave nproc out",
    ),
    _rule(
        "nproc, loss",
        lambda r: r.loss.skips_rows,
        lambda r: f"nproc={r.values['nproc']}: loss={r.loss.name} makes buckets of all rows in one process",
    ),
)


def _rules_if(applies: Callable[[Request], Any], rules: Iterable[Rule]) -> tuple[Rule, ...]:
    def only_then(rule: Rule) -> Rule:
        return Rule(rule.between, lambda r: rule.reason(r) if applies(r) else None)

    return tuple(map(only_then, rules))


_OF_ITEM_TOWERS = ("mlp_sizes", "item_features", "item_text")
"""Settings that make of items more than a row of a table."""
SETTINGS: tuple[Rule, ...] = (
    *PAIRS,
    _rule(
        "negatives.count, negatives.source=catalogue",
        lambda r: r.source.kind == "catalogue" and r.values["negatives"].get("count") is not None,
        lambda r: f"negatives.count: {r.loss.name} scores the whole catalogue, leave the count out",
    ),
    Rule("negatives, options of the source", _options),
    _rule(
        "negatives.momentum, items of a plain table",
        lambda r: r.options.get("momentum") is not None and not any(r.values.get(key) for key in _OF_ITEM_TOWERS),
        lambda r: (
            f"negatives.momentum={r.options['momentum']}: the items are a plain table, whose current vectors cost no "
            "more than old ones; set "
            + ("mlp_sizes or item_features" if "mlp_sizes" in r.values else "item_features")
            + ", or leave momentum out"
        ),
    ),
    _rule(
        "negatives.proposal=learned, loss",
        lambda r: r.sampler.learns and not isinstance(r.loss, CorrectedLogQ),
        lambda r: (
            f"negatives.proposal=learned with loss={r.loss.name}: what is learned is the softmax that corrected_logq "
            "estimates; set loss=corrected_logq, or another proposal"
        ),
    ),
    _rule(
        "mask, hits",
        lambda r: r.values["mask"] != "target" and r.is_kept,
        lambda r: f"mask={r.values['mask']}: loss={r.loss.name} keeps accidental hits among its draws; set mask=target",
    ),
    _rule(
        "mask, loss",
        lambda r: r.values["mask"] != "target" and r.loss.skips_rows,
        lambda r: f"mask={r.values['mask']}: loss={r.loss.name} picks its items itself; set mask=target",
    ),
    *_rules_if(lambda r: r.own is not None, _OWN),
    _rule(
        "loss=infonce, similarity",
        lambda r: r.loss.name == "infonce" and r.values["similarity"] != "cosine",
        lambda r: "loss=infonce with similarity=dot: it is defined on cosines; set similarity=cosine",
    ),
    Rule("similarity, temperature, temperature_mode", _scorer),
    *_rules_if(lambda r: r.source.kind == "observed", _OBSERVED),
    *_rules_if(lambda r: r.source.name == "impression", _IMPRESSIONS),
    _rule(
        "impression_field, negatives.source",
        lambda r: r.values["impression_field"] and r.source.name != "impression",
        lambda r: (
            f"impression_field={r.values['impression_field']}: negatives.source={r.source.name} reads no impressions; "
            "set negatives.source=impression, or leave it out (grade_field alone takes skips out of the positives)"
        ),
    ),
    *_OF_RECBOLE,
    Rule("sparse_embeddings, loss, learner, weight_decay", _sparse),
    *_rules_if(lambda r: r.values.get("multi_positive", 1) > 1, _TARGETS),
    *_rules_if(lambda r: r.values["pools"] > 1, _POOLS),
    *_rules_if(lambda r: r.values["nproc"] > 1, _PROCESSES),
    _rule(
        "segment_field, encoder",
        lambda r: r.values["segment_field"] and not r.takes_segments,
        lambda r: "segment_field: rows hold items of all of a user's segments; only TwoTower has it",
    ),
)
"""Rules of every request, whether it trains or not."""


def _too_many(r: Request) -> str | None:
    from_batch, rows = r.sampler.asks_of_batch, rows_of_batch(r.values)
    if from_batch is None or from_batch <= rows or r.count is None:
        return None
    count = r.values["negatives"]["count"]
    share = "" if from_batch == count else f", of which {from_batch} from the batch"
    return (
        f"negatives.count={count}{share}: a batch of {size_of_batch(r.values)} has at most "
        f"{rows} positives to take as negatives; {ASK_LESS}"
    )


def _cache(r: Request) -> str | None:
    cache, processes = r.values["gradient_cache"], r.values["nproc"]
    units = -(-r.values["train_batch_size"] // processes)
    if cache is None or cache < units or "train_batch_tokens=" in size_of_batch(r.values):
        return None
    share = f" in {processes} processes" if processes > 1 else ""
    return (
        f"gradient_cache={cache}: a batch of train_batch_size={r.values['train_batch_size']}{share} is encoded at once "
        f"then; set it below {units}, or leave it out"
    )


def _graph(r: Request) -> str | None:
    if r.values["cuda_graph"] is not True:
        return None
    reason = fixed_shapes.reason_against(r.values, r.loss, r.sampler)
    return None if reason is None else f"cuda_graph=true: {reason}"


def _order(r: Request) -> str | None:
    # Who builds batches by segment arranges them, and who asks for what is inconsistent gets it: both are warned.
    doubt = doubt_about_order(r.values, r.sampler)
    if not doubt or r.values["segment_field"] or r.values["allow_crossed"]:
        return None
    return (
        f"{doubt}; set shuffle=true, a source that no batch is in, such as uniform, or allow_crossed=true to train on "
        "all the same"
    )


def _unread_law(r: Request) -> str | None:
    unread = r.sampler.law_options & (r.given.get("negatives") or {}).keys()
    if r.loss.needs_log_q or not unread:
        return None
    return (
        f"negatives.{min(unread)}: it is about the probabilities of {r.source.name}, and loss={r.loss.name} reads "
        "none; leave it out"
    )


def _kernel(r: Request) -> str | None:
    kernel = r.values["kernel"]
    if kernel == "auto":
        return None
    if not r.loss.takes_kernel or r.source.resamples or r.source.per_row:
        return (
            f"kernel={kernel}: loss={r.loss.name} with negatives.source={r.source.name} has no sum over columns that "
            "all rows share, which is what a kernel computes; leave kernel out"
        )
    on_gpu = bool(r.values["use_gpu"] and torch.cuda.is_available())
    reason = no_kernel(torch.device("cuda" if on_gpu else "cpu")) if kernel == "triton" else None
    return reason and f"kernel=triton: {reason}; set kernel=auto"


TRAINING: tuple[Rule, ...] = (
    _rule(
        "segment_field, negatives.source",
        lambda r: r.values["segment_field"] and r.sampler.random_batches,
        lambda r: (
            f"segment_field={r.values['segment_field']}: the probabilities of negatives.source={r.source.name} are "
            "those of random batches; set in_batch or mixed, which know them per segment, or a source that no batch is "
            "in, such as uniform"
        ),
    ),
    _rule(
        "negatives.sampled_share=0, negatives.count",
        lambda r: r.options.get("sampled_share") == 0 and (r.count is not None or "beside" in r.options),
        lambda r: (
            f"negatives.sampled_share=0 with negatives.{'beside' if r.count is None else 'count'}: nothing is sampled; "
            "leave it out, or raise sampled_share"
        ),
    ),
    Rule("shuffle, negatives.source", _order),
    Rule("negatives.count, train_batch_size", _too_many),
    _rule(
        "pools, train_batch_size",
        lambda r: r.values["pools"] > rows_of_batch(r.values),
        lambda r: (
            f"pools={r.values['pools']}: a batch of {size_of_batch(r.values)} has at most "
            f"{rows_of_batch(r.values)} rows to share; {ASK_LESS}"
        ),
    ),
    _rule(
        "multi_positive, MAX_ITEM_LIST_LENGTH",
        lambda r: r.values.get("multi_positive", 1) > r.values["MAX_ITEM_LIST_LENGTH"],
        lambda r: (
            f"multi_positive={r.values['multi_positive']}: a window of MAX_ITEM_LIST_LENGTH="
            f"{r.values['MAX_ITEM_LIST_LENGTH']} has no more targets; lower it"
        ),
    ),
    Rule("gradient_cache, train_batch_size, nproc", _cache),
    Rule("kernel, loss, negatives.source, use_gpu", _kernel),
    _rule(
        "train_batch_tokens, train_batch_size",
        lambda r: r.given.get("train_batch_tokens") and "train_batch_size" in r.given,
        lambda r: f"{size_of_batch(r.values)} is the size of a batch: leave train_batch_size out",
    ),
    Rule("cuda_graph, what the shapes of a step depend on", _graph),
    Rule("negatives, options of a law, loss", _unread_law),
    _rule(
        "negatives.buckets, negatives.hashes",
        lambda r: (r.given.get("negatives") or {}).get("buckets") is not None and not r.options.get("hashes"),
        lambda r: f"negatives.buckets={r.options['buckets']}: set negatives.hashes too, or leave it out",
    ),
    _rule(
        "hits, negatives.source of distinct ids",
        lambda r: r.values["hits"] not in (None, r.loss.hits) and r.source.kind == "inclusion",
        lambda r: (
            f"hits={r.values['hits']} with negatives.source={r.source.name}: of distinct ids a row's own is the only "
            "hit there is; leave hits out"
        ),
    ),
)
"""Rules of training alone; checkpoints that were trained otherwise can still be used."""
UNKNOWN_OPTION = Rule("negatives, names of the source's options", _unknown_option)
"""Asked before all others, which read the options."""

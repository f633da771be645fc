"""Every setting changes something, is refused where it cannot, or stands below with its reason.

The settings come from the code, so that a new one without a line here fails. A line trains (or prepares) twice, without
and with the setting, and names what it must have changed.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import logging
import re
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.config import Config
from recbole_logq.effects import MISWRITTEN, WORKED_OUT
from recbole_logq.errors import RequestError
from recbole_logq.evaluation_settings import EVAL_ARGS, OF_TEMPORAL
from recbole_logq.losses import Loss
from recbole_logq.models.encoders import encoder_settings
from recbole_logq.registry import losses, samplers
from recbole_logq.samplers import Sampler
from recbole_logq.settings import ClipSettings, RetrievalSettings

ENCODERS = ("TwoTower", "SASRec")
LAST_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO"}
GTS = {"split": {"GTS": [0.7, 0.15, 0.15]}, "order": "TO"}
EARLY = {"split": {"GTS": [0.02, 0.4, 0.58]}, "order": "TO"}
COLUMNS = {"inter": ["user_id", "item_id", "rating", "timestamp"]}
ALL_COLUMNS = {"inter": [*COLUMNS["inter"], "hour", "friend"]}
BASE: dict[str, dict[str, Any]] = {
    "TwoTower": {"train_batch_size": 128, "embedding_size": 8, "learning_rate": 0.05},
    "SASRec": {"train_batch_size": 16, "embedding_size": 8, "inner_size": 16, "n_layers": 1, "MAX_ITEM_LIST_LENGTH": 6}
    | {"initializer_range": 0.3},
    "BPR": {"train_batch_size": 128, "embedding_size": 8, "learning_rate": 0.05},
}
HISTORY = {"user_tower": "history", "eval_args": LAST_OUT}

REASONS = {
    "model": "what is trained: every model is, in tests/reliability/test_same_numbers.py",
    "dataset": "what it is trained on",
    "gpu_id": "names a device, and the tests have none",
    "use_gpu": "the same; what a run computes on is in its record",
    "reproducibility": "makes an accelerator's library repeat itself; the CPU does anyway",
    "eval_batch_size": "how much memory an evaluation takes; tests/reliability/test_same_numbers.py holds all numbers",
    "nproc": "tests/training/test_processes.py compares one process with two, to the same numbers",
    "gradient_cache": "saves memory; tests/models/test_gradient_cache.py holds the gradients of the whole batch",
    "kernel": "computes the same; tests/models/test_kernel.py holds losses and gradients, and what is refused",
    "log_wandb": "tells a service; tests/experiment/test_tracking.py reads what it is told",
    "log_mlflow": "tells a store; tests/experiment/test_tracking.py reads it",
    "log_energy": "puts energy into the record; tests/experiment/test_tracking.py looks at it",
    "plugins": "makes names known, and changes nothing by itself: one without a name is refused, tests/test_plugins.py",
    "allow_crossed": "a permission: it takes away a refusal, which the lines of hits and shuffle show",
}
"""Settings without a line of their own."""
ELSEWHERE = {
    "MAX_ITEM_LIST_LENGTH, user_tower=id": "no sequences; one value for all models of a comparison passes",
    "recbole_order, eval_args.order=RO": "there is no order: it is the same either way",
    "data_path, dataset=ml-100k": "RecBole has that one inside its package",
    "normalize_all, normalize_field, without recbole_order": "RecBole sets it for ml-100k; weights, features and times "
    "stay in the units of the file, which tests/data/batches/test_loaders.py holds",
}
"""Where a setting that has a line is accepted and changes nothing."""


@dataclass(frozen=True)
class Line:
    """One setting, and what it does.

    Attributes:
        key: The setting, with a dot into a section.
        value: What is tried.
        by: What must differ from the run without it: a key of what `observe` gives; or, for ``refused``, a part of
            the refusal.
        model: The model; an encoder's name stands for its corrected logQ.
        beside: Other settings of both runs.
        refused: Whether it is refused instead.
    """

    key: str
    value: Any
    by: str
    model: str = "TwoTower"
    beside: dict[str, Any] = field(default_factory=dict)
    refused: bool = False

    @property
    def name(self) -> str:
        beside = "".join(f", {key}={json.dumps(value)}" for key, value in self.beside.items())
        return f"{self.model}: {self.key}={json.dumps(self.value)}{beside}"


def no(key: str, value: Any, by: str, model: str = "TwoTower", **beside: Any) -> Line:
    return Line(key, value, by, model, beside, refused=True)


def yes(key: str, value: Any, by: str, model: str = "TwoTower", **beside: Any) -> Line:
    return Line(key, value, by, model, beside)


UNIFORM = {"negatives.source": "uniform", "negatives.count": 32}
SYSTEMATIC = {"negatives.source": "systematic", "negatives.count": 16}
LEARNED = {**SYSTEMATIC, "negatives.proposal": "learned"}
FEW = {"negatives.count": 4}
MIXED, UNIQUE, BIR = ({"negatives": {"source": name, "count": 32}} for name in ("mixed", "in_batch_unique", "bir"))
UNCORRECTED = {"loss": "sampled_softmax"}
SCE = {"loss": "sce", "negatives.source": "catalogue", "negatives.count": None}
OBSERVED = {"loss": "bpr", "load_col": COLUMNS, "negatives.source": "observed", "negatives.count": 4}
JUDGED = {**OBSERVED, "negatives.field": "rating", "negatives.below": 2}
GRADED = {"grade_field": "grade"}
SHOWN = {**GRADED, "impression_field": "page", "loss": "bpr", "negatives.source": "impression", "negatives.count": 32}
ITEMS, USERS = {"item_features": ["length"]}, {"user_features": ["age"]}
HOURS, TEXT = {"context_features": ["hour"]}, {"item_text": ["genre"]}
AUC = {"metrics": ["GAUC"], "valid_metric": "GAUC"}
SCHEDULED = {"temperature_mode": "scheduled", "temperature_end": 0.1, "temperature_steps": 3}

LINES: list[Line] = [
    # How long, how fast, how watched
    yes("seed", 7, "split"),
    yes("epochs", 3, "losses"),
    yes("train_batch_size", 64, "losses"),
    yes("train_batch_tokens", 60, "losses", "SASRec"),
    yes("cuda_graph", True, "losses"),
    no("cuda_graph", True, "set train_batch_tokens", "SASRec"),
    yes("learning_rate", 0.01, "losses"),
    yes("learner", "sgd", "optimizer"),
    no("learner", "sparse_adam", "sparse_embeddings=true"),
    yes("weight_decay", 0.1, "losses"),
    yes("clip_grad_norm.max_norm", 0.001, "losses"),
    yes("clip_grad_norm.norm_type", 1.0, "losses", **{"clip_grad_norm.max_norm": 0.001}),
    yes("clip_grad_norm.error_if_nonfinite", True, "clipping", **{"clip_grad_norm.max_norm": 0.001}),
    yes("lr_schedule", "linear", "losses"),
    yes("warmup_steps", 5, "losses"),
    yes("eval_step", 2, "record"),
    yes("stopping_step", 0, "record", epochs=9, learning_rate=1.0),
    no("stopping_step", 3, "there is none", eval_step=0),
    no("stopping_step", 3, "there is none", eval_args={"split": {"LS": "test_only"}, "order": "TO"}),
    no("stopping_step", 3, "there is none", eval_args={"split": {"RS": [0.8, 0, 0.2]}}),
    yes("max_train_cpu_seconds", 1e-6, "record"),
    yes("enable_amp", True, "losses", mlp_sizes=[4]),
    yes("enable_amp", True, "losses", "SASRec"),
    no("enable_amp", True, "no layer"),
    no("enable_scaler", True, "none is used"),
    no("wandb_project", "mine", "nothing is sent to W&B"),
    no("mlflow_uri", "sqlite:///x.db", "nothing is sent to MLflow"),
    no("mlflow_experiment", "mine", "nothing is sent to MLflow"),
    no("run_name", "mine", "it is for W&B and MLflow"),
    no("country_iso_code", "DEU", "no energy is measured"),
    yes("shuffle", False, "losses", **UNIFORM),
    yes("shuffle", False, "log", allow_crossed=True),
    yes("shuffle", False, "log", load_col=ALL_COLUMNS, segment_field="friend"),
    *(
        no("shuffle", False, "those of random batches", loss=loss, **{"negatives.source": source})
        for loss, source in [
            ("corrected_logq", "in_batch"),
            ("corrected_logq", "in_batch_unique"),
            ("corrected_logq", "mixed"),
            ("corrected_logq", "cross_batch"),
            ("corrected_logq", "cross_device"),
            ("corrected_logq", "streaming"),
            ("corrected_logq", "hard"),
            ("sampled_softmax", "in_batch"),
            ("sampled_softmax", "bir"),
            ("sampled_softmax", "xir"),
        ]
    ),
    no("shuffle", False, "those of random batches", "SASRec"),
    no("worker", 2, "no worker helps"),
    yes("diagnostics", False, "record"),
    yes("loss_decimal_place", 7, "log"),
    yes("show_progress", True, "progress bar"),
    yes("state", "WARNING", "log"),
    no("state", "chatty", "one of DEBUG"),
    yes("checkpoint_dir", "kept", "files"),
    no("require_pow", True, "set weight_decay"),
    no("transform", "mask_itemseq", "not supported"),
    no("train_neg_sample_args", {"distribution": "uniform"}, "set negatives.source"),
    *(no(key, True, "a pickle") for key in ("save_dataset", "save_dataloaders")),
    *(no(key, "kept.pth", "a pickle") for key in ("dataset_save_path", "dataloaders_save_path")),
    *(no(key, 1, "is worked out: set") for key in WORKED_OUT),
    *(no(key, "a.yaml", "on the command line") for key in MISWRITTEN),
    # Evaluation
    yes("metrics", ["MRR", "Recall"], "metrics"),
    yes("topk", [5, 10], "metrics"),
    no("topk", [5], "have no cut-off", eval_args={"mode": "uni5"}, **AUC),
    yes("valid_metric", "Recall@10", "record"),
    no("valid_metric_bigger", False, "a larger value is better"),
    yes("metric_decimal_place", 2, "metrics"),
    yes("filter_history", False, "metrics"),
    yes("request_time", "known", "split", eval_args=LAST_OUT),
    yes("request_time", "known", "shapes", "SASRec", time="gaps"),
    no("request_time", "known", "set eval_args.order=TO"),
    yes("repeatable", True, "metrics"),
    no("repeatable", True, "leave one of them out", filter_history=False),
    yes("tail_ratio", 0.9, "metrics", metrics=["TailPercentage", "MRR"]),
    no("tail_ratio", 0.9, "TailPercentage"),
    yes("eval_args.split", {"RS": [0.5, 0.2, 0.3]}, "split"),
    yes("eval_args.order", "TO", "split"),
    yes("eval_args.group_by", "none", "split"),
    no("eval_args.group_by", "none", "over all users", eval_args=GTS),
    yes("eval_args.mode", "uni20", "metrics"),
    yes("eval_args.targets", "first", "split", eval_args=GTS, data_path="late"),
    no("eval_args.targets", "first", "unknown setting"),
    yes("eval_args.unseen", "keep", "split", eval_args=EARLY, data_path="late", **FEW),
    no("eval_args.unseen", "keep", "unknown setting"),
    yes("recbole_order", True, "split", eval_args=LAST_OUT, data_path="late"),
    # Data
    yes("data_path", "other", "split"),
    yes("encoding", "utf-16", "data refused"),
    yes("field_separator", ",", "data refused"),
    yes("seq_separator", ",", "columns", load_col={**COLUMNS, "item": ["item_id", "genre"]}),
    yes("seq_len", {"genre": 1}, "columns", load_col={**COLUMNS, "item": ["item_id", "genre"]}),
    yes("load_col", COLUMNS, "columns"),
    yes("unload_col", {"inter": ["rating"]}, "columns", load_col=None),
    yes("unused_col", {"inter": ["rating"]}, "columns", load_col=COLUMNS),
    yes("USER_ID_FIELD", "friend", "split", load_col=ALL_COLUMNS),
    yes("ITEM_ID_FIELD", "friend", "split", load_col=ALL_COLUMNS),
    yes("TIME_FIELD", "hour", "split", load_col=ALL_COLUMNS, eval_args=LAST_OUT),
    no("RATING_FIELD", "hour", "nothing reads a rating"),
    no("RATING_FIELD", "hour", "known only after", **HOURS),
    no("LABEL_FIELD", "hour", "nothing makes or reads labels"),
    no("LABEL_FIELD", "hour", "known only after", **HOURS),
    yes("threshold", {"rating": 3}, "split or refused", load_col=COLUMNS),
    yes("grade_field", "grade", "split"),
    yes("grade_field", "grade", "split", "BPR"),
    no("grade_field", "rating", "context_features", context_features=["rating"]),
    no("grade_field", "friend", "declare it as friend:float"),
    yes("rm_dup_inter", "first", "split", data_path="other"),
    yes("val_interval", {"rating": "[3,inf)"}, "split", load_col=COLUMNS),
    yes("user_inter_num_interval", "[13,inf)", "split", data_path="other"),
    yes("item_inter_num_interval", "[20,inf)", "split"),
    Line(
        *("filter_inter_by_user_or_item", True, "split"),
        beside={"filter_inter_by_user_or_item": False, "load_col": {**COLUMNS, "item": ["item_id", "length"]}},
    ),
    no("filter_inter_by_user_or_item", True, "neither is loaded"),
    yes("alias_of_user_id", ["friend"], "ids", load_col=ALL_COLUMNS),
    yes("alias_of_item_id", ["friend"], "ids", load_col=ALL_COLUMNS),
    no("seq_len", {"gerne": 1}, "no column 'gerne'"),
    no("unused_col", {"inter": ["rating"]}, "load_col leaves it out"),
    no("unload_col", {"inter": ["rateing"]}, "no column 'rateing'", load_col=None),
    no("unload_col", {"itme": ["genre"]}, "no such file", load_col=None),
    yes("benchmark_filename", ["train", "valid", "test"], "split", data_path="parts"),
    *(
        no(key, value, "a knowledge graph")
        for key, value in {
            **{f"{name}_ID_FIELD": "item_id" for name in ("ENTITY", "HEAD_ENTITY", "TAIL_ENTITY", "RELATION")},
            **{f"alias_of_{name}_id": ["friend"] for name in ("entity", "relation")},
            **{f"{name}_kg_num_interval": "[2,inf)" for name in ("entity", "relation")},
            "kg_reverse_r": True,
        }.items()
    ),
    no("NEG_PREFIX", "not_", "have pools"),
    no("POSITION_FIELD", "place", "made of positions"),
    no("preload_weight", {"item_id": "length"}, "item_features"),
    no("additional_feat_suffix", ["ent"], "only the .inter"),
    no("discretization", {"length": {"method": "LD"}}, "as they are"),
    no("numerical_features", ["length"], "context models"),
    yes("normalize_all", True, "split", recbole_order=True, eval_args=LAST_OUT, data_path="late"),
    yes("normalize_field", ["timestamp"], "split", recbole_order=True, eval_args=LAST_OUT, data_path="late"),
    yes("MAX_ITEM_LIST_LENGTH", 3, "losses", "SASRec"),
    yes("MAX_ITEM_LIST_LENGTH", 1, "losses", **HISTORY),
    yes("LIST_SUFFIX", "_before", "batches", "SASRec"),
    yes("ITEM_LIST_LENGTH_FIELD", "length", "columns", "SASRec"),
    *(no(key, "x", "no column of sequences") for key in ("LIST_SUFFIX", "ITEM_LIST_LENGTH_FIELD")),
    # Loss, negatives, scores
    yes("loss", "logq", "losses"),
    no("loss", "full_softmax", "set negatives.source=catalogue"),
    yes("loss_options.t", 0.2, "losses", loss="gbce", **UNIFORM),
    no("loss_options.t", 0.2, "no such option"),
    no("loss_options.catalogue_size", 10, "no such option", loss="gbce", **UNIFORM),
    *(
        yes(f"loss_options.{key}", value, "losses", **SCE, **{"loss_options.bucket_rows": 9})
        for key, value in {"buckets": 3, "bucket_items": 9, "seed": 9}.items()
    ),
    yes("loss_options.bucket_rows", 9, "losses", **SCE),
    no("loss_options.bucket_items", 50, "at most 40", **SCE),
    no("loss_options.bucket_rows", 130, "at most 128", **SCE),
    yes("negatives.source", "uniform", "losses"),
    yes("negatives.count", 9, "record"),
    no("negatives.count", 9, "leave the count out", **SCE),
    no("negatives.count", 129, "at most 128 positives"),
    no("negatives.count", 97, "at most 96 positives", "SASRec"),
    no("negatives.count", 500, "tiny has at most", train_batch_size=4096, eval_args=LAST_OUT, data_path="other"),
    no("negatives.count", 41, "40 distinct items", **{"negatives.source": "in_batch_unique"}),
    no("negatives.count", 258, "129 from the batch", **{"negatives.source": "mixed"}),
    *(
        no("negatives.count", 129, "at most 128 positives", loss=loss, **{"negatives.source": source})
        for loss, source in [
            ("corrected_logq", "cross_batch"),
            ("corrected_logq", "cross_device"),
            ("corrected_logq", "hard"),
            ("corrected_logq", "streaming"),
            ("sampled_softmax", "bir"),
            ("sampled_softmax", "xir"),
        ]
    ),
    yes("negatives.own", "window", "losses"),
    yes("negatives.own", "history", "losses", **UNCORRECTED),
    no("negatives.own", "window", "in its catalogue", **SCE),
    no("negatives.own", "window", "no estimate of a partition function", **UNIFORM, loss="bpr"),
    no("mask", "history", "takes items out that own puts in", **{"negatives.own": "history"}),
    yes("multi_positive", 3, "losses", "SASRec"),
    no("multi_positive", 3, "unknown setting"),
    yes("negatives.alpha", 0.1, "losses", **{**UNIFORM, "negatives.source": "popularity"}),
    no("negatives.alpha", 0.1, "unknown setting"),
    yes("negatives.uniform_share", 0.1, "losses", **MIXED),
    yes("negatives.proposal", "frequency", "losses", **SYSTEMATIC),
    yes("negatives.alpha", 0.1, "losses", **SYSTEMATIC, **{"negatives.proposal": "popularity"}),
    yes("negatives.uniform_share", 0.1, "losses", **SYSTEMATIC),
    no("negatives.alpha", 0.1, "option of proposal=popularity", **SYSTEMATIC),
    yes("negatives.rate", 0.5, "losses", **LEARNED, **{"negatives.refresh": 2}),
    yes("negatives.refresh", 2, "losses", **LEARNED),
    no("negatives.refresh", 10, "never use what it learns", **LEARNED),
    no("negatives.count", 500, "takes each once", **{"negatives.source": "systematic"}),
    no("negatives.rate", 0.5, "option of proposal=learned", **SYSTEMATIC),
    yes("negatives.law", "per_part", "losses", **MIXED),
    no("negatives.law", "per_part", "reads none", **MIXED, **UNCORRECTED),
    *(
        yes(f"negatives.{key}", value, "losses", **{"negatives.source": "cross_batch", "negatives.memory": 40})
        for key, value in {"memory": 9, "warmup_steps": 4}.items()
    ),
    no("negatives.warmup_steps", 100, "never use its memory", **{"negatives.source": "cross_batch"}),
    yes("negatives.momentum", 0.5, "losses", **ITEMS, **{"negatives.source": "cross_batch", "negatives.memory": 40}),
    no("negatives.momentum", 0.5, "the items are a plain table", **{"negatives.source": "cross_batch"}),
    *(
        yes(f"negatives.{key}", value, "losses", **{"negatives.source": "streaming", "train_batch_size": 40, **beside})
        for key, value, beside in [
            ("rate", 0.9, {}),
            ("hashes", 3, {"negatives.buckets": 50, "negatives.hashes": 1}),
            ("buckets", 20, {"negatives.buckets": 7, "negatives.hashes": 2}),
        ]
    ),
    no("negatives.buckets", 9, "set negatives.hashes", **{"negatives.source": "streaming"}),
    no("negatives.rate", 0.9, "reads none", **{"negatives.source": "streaming"}, **UNCORRECTED),
    yes("negatives.draws", 3, "losses", **BIR, **UNCORRECTED),
    yes("negatives.cache_weight", 0.1, "losses", **UNCORRECTED, **{"negatives.source": "xir", "negatives.count": 32}),
    yes("negatives.hard", 3, "losses", **{"negatives.source": "hard"}),
    yes("negatives.sampled", 3, "losses", **JUDGED),
    yes("negatives.field", "hour", "losses", **{**JUDGED, "load_col": ALL_COLUMNS}),
    yes("negatives.below", 3, "losses", **JUDGED),
    yes("impression_field", "user_id", "losses", **SHOWN),
    no("impression_field", "page", "reads no impressions", **GRADED),
    no("impression_field", "hour", "declare it as hour:token", **SHOWN),
    yes("negatives.shown", 1, "losses", **SHOWN),
    yes("negatives.sampled_share", 0.1, "losses", **SHOWN),
    no("negatives.sampled_share", 0, "nothing is sampled", **SHOWN),
    yes("negatives.beside", "in_batch", "losses", **SHOWN),
    yes("negatives.grades", "target", "losses", **{**SHOWN, "loss": "bce"}),
    no("negatives.grades", "target", "set loss=bce", **SHOWN),
    no("negatives.count", 129, "at most 128 positives", **SHOWN, **{"negatives.beside": "in_batch"}),
    no("shuffle", False, "those of random batches", **SHOWN, **{"negatives.beside": "mixed"}),
    yes("hits", "kept", "losses", loss="sampled_softmax", allow_crossed=True),
    no("hits", "kept", "needs accidental hits masked"),
    no("hits", "kept", "the only hit", **UNIQUE, allow_crossed=True),
    yes("mask", "history", "losses"),
    yes("mask", "query", "losses"),
    no("mask", "query", "set mask=target", loss="logq"),
    no("mask", "query", "set mask=target", **SCE),
    yes("pools", 3, "losses", **UNIFORM),
    no("pools", 3, "leave pools out", **SCE),
    no("pools", 129, "at most 128 rows", **UNIFORM),
    yes("weight_field", "rating", "losses"),
    no("weight_field", "nosuch", "no such column"),
    yes("segment_field", "friend", "losses", load_col=ALL_COLUMNS),
    no("segment_field", "friend", "those of random batches", load_col=ALL_COLUMNS, **UNIQUE),
    no("segment_field", "friend", "only TwoTower has it", "SASRec"),
    yes("similarity", "dot", "losses"),
    yes("temperature", 0.9, "losses"),
    yes("temperature_mode", "learned", "shapes"),
    no("temperature_end", 0.1, "others take neither"),
    no("temperature_steps", 3, "others take neither"),
    yes("temperature_end", 0.05, "losses", **SCHEDULED),
    yes("temperature_steps", 9, "losses", **SCHEDULED),
    # Both encoders
    *(yes("embedding_size", 4, "shapes", model) for model in ENCODERS),
    *(yes("dropout", 0.5, "losses", model) for model in ENCODERS),
    no("gradient_cache", 128, "encoded at once"),
    no("gradient_cache", 16, "encoded at once", "SASRec"),
    yes("sparse_embeddings", True, "optimizer"),
    no("sparse_embeddings", True, "set learner=adam", learner="sgd"),
    no("sparse_embeddings", True, "gradient for every item", **SCE),
    no("sparse_embeddings", True, "set one of them", weight_decay=0.1),
    *(yes("item_features", ["length"], "shapes", model) for model in ENCODERS),
    yes("user_features", ["age"], "shapes"),
    no("user_features", ["age"], "set item_features", "SASRec"),
    yes("context_features", ["hour"], "shapes"),
    no("context_features", ["hour"], "set item_features", "SASRec"),
    *(yes("item_text", ["genre"], "shapes", model) for model in ENCODERS),
    no("item_text", ["length"], "takes token, token_seq"),
    yes("user_text", ["motto"], "shapes"),
    no("user_text", ["motto"], "set item_text", "SASRec"),
    yes("text_buckets", 64, "shapes", **TEXT),
    no("text_buckets", 64, "set item_text or user_text"),
    yes("text_length", 2, "losses", **TEXT),
    no("text_length", 2, "set item_text or user_text"),
    yes("use_item_id", False, "shapes", **ITEMS),
    no("use_item_id", False, "needs item_features"),
    yes("id_dropout", 0.5, "losses", **ITEMS),
    no("id_dropout", 0.5, "set item_features"),
    # TwoTower
    yes("mlp_sizes", [4], "shapes"),
    yes("user_tower", "history", "shapes", eval_args=LAST_OUT),
    yes("use_user_id", False, "shapes", **USERS),
    no("use_user_id", False, "needs user_features"),
    no("use_user_id", False, "leave it out", **HISTORY),
    yes("max_history", 1, "losses", **HISTORY),
    no("max_history", 1, "set user_tower=history"),
    yes("history_pooling", "attention", "shapes", **HISTORY),
    no("history_pooling", "attention", "set user_tower=history"),
    yes("time", "gaps", "shapes", **HISTORY),
    no("time", "gaps", "set user_tower=history"),
    yes("time_buckets", 9, "shapes", time="gaps", **HISTORY),
    no("time_buckets", 9, "set time=gaps"),
    yes("second_histories", {"search": "query"}, "shapes", **HISTORY, request_time="known"),
    no("second_histories", {"search": "query"}, "set user_tower=history"),
    no("second_histories", {"search": "query"}, "set request_time=known", **HISTORY),
    no("second_histories", {"clicks": "query"}, "does not exist", **HISTORY, request_time="known"),
    yes("example_age", True, "shapes", eval_args=LAST_OUT),
    no("example_age", True, "times are rounded", recbole_order=True),
    yes("time_context", ["hour"], "shapes", request_time="known", eval_args=LAST_OUT, data_path="late"),
    no("time_context", ["hour"], "set request_time=known"),
    # SASRec
    yes("n_layers", 2, "shapes", "SASRec"),
    yes("n_heads", 1, "losses", "SASRec"),
    yes("inner_size", 8, "shapes", "SASRec"),
    yes("block", "ligr", "shapes", "SASRec"),
    no("norm", "post", "is pre-norm", "SASRec", block="ligr"),
    yes("norm", "post", "losses", "SASRec"),
    yes("feed_forward", "relu", "losses", "SASRec"),
    yes("positions", "learned", "shapes", "SASRec"),
    yes("positions", "relative", "shapes", "SASRec"),
    yes("block", "hstu", "shapes", "SASRec", inner_size=256),
    no("inner_size", 8, "no feed-forward layer", "SASRec", block="hstu"),
    *(yes("time", way, "shapes", "SASRec") for way in ("gaps", "bias")),
    no("time", "gaps", "times are rounded", "SASRec", recbole_order=True),
    yes("time_buckets", 9, "shapes", "SASRec", time="bias"),
    no("time_buckets", 9, "set time=gaps", "SASRec"),
    yes("bias_weights", "shared", "shapes", "SASRec", time="bias", n_layers=2),
    no("bias_weights", "shared", "for several layers", "SASRec", time="bias"),
    yes("input_norm", False, "shapes", "SASRec"),
    yes("scale_embedding", True, "losses", "SASRec", input_norm=False),
    no("scale_embedding", True, "divides the factor out", "SASRec", positions="none"),
    yes("initializer_range", 0.5, "initial weights", "SASRec"),
    # RecBole's models: what their trainer and loaders, which are this package's, have to follow
    yes("shuffle", False, "losses", "BPR"),
    yes("train_neg_sample_args", {"distribution": "popularity"}, "losses", "BPR"),
    yes("train_neg_sample_args.sample_num", 3, "losses", "BPR"),
    yes("train_batch_size", 64, "losses", "BPR"),
    yes("learner", "sgd", "optimizer", "BPR"),
    yes("weight_decay", 0.1, "losses", "BPR"),
    yes("clip_grad_norm.max_norm", 0.001, "losses", "BPR"),
    yes("stopping_step", 0, "record", "BPR", epochs=9, learning_rate=1.0),
    no("stopping_step", 3, "there is none", "BPR", eval_step=0),
    yes("eval_step", 2, "record", "BPR"),
    yes("filter_history", False, "metrics", "BPR"),
    yes("repeatable", True, "metrics", "BPR"),
    yes("eval_args.mode", "uni20", "metrics", "BPR"),
    yes("recbole_order", True, "split", "BPR", eval_args=LAST_OUT, data_path="late"),
    yes("NEG_PREFIX", "not_", "batches", "BPR"),
    no("enable_scaler", True, "none is used", "BPR"),
    no("wandb_project", "mine", "nothing is sent to W&B", "BPR"),
    no("mlflow_uri", "sqlite:///x.db", "nothing is sent to MLflow", "BPR"),
    no("mlflow_experiment", "mine", "nothing is sent to MLflow", "BPR"),
    no("run_name", "mine", "it is for W&B and MLflow", "BPR"),
    no("country_iso_code", "DEU", "no energy is measured", "BPR"),
    no("valid_metric_bigger", False, "a larger value is better", "BPR"),
    no("nproc", 2, "runs in one process", "BPR"),
    *(no(key, 1, "is worked out: set", "BPR") for key in WORKED_OUT),
]  # fmt: skip


def written(text: str, folder: Path, name: str = "tiny.inter") -> None:
    (folder / "tiny").mkdir(parents=True, exist_ok=True)
    (folder / "tiny" / name).write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Path:
    """A folder of datasets called ``tiny``: with features, with fewer and repeated rows, in parts, in Unix time."""
    folder = tmp_path_factory.mktemp("settings")
    head, *lines = tiny.splitlines()
    rows = [line.split("\t") for line in lines]
    # Pages of five rows, of which two are taken.
    more = [[*row, str(n % 7), f"u{n % 65}", f"p{n // 5}", str(max(n % 5 - 2, 0))] for n, row in enumerate(rows)]
    head += "\thour:float\tfriend:token\tpage:token\tgrade:float"
    written("\n".join([head, *map("\t".join, more)]), folder / "data")
    items = "".join(f"i{n}\t{n % 9}\tg{n % 3} g{n % 5}\n" for n in range(38))  # two have no line
    written("item_id:token\tlength:float\tgenre:token_seq\n" + items, folder / "data", "tiny.item")
    written(
        "user_id:token\tage:float\tmotto:token\n" + "".join(f"u{n}\t{n % 40}\tto {n % 6}\n" for n in range(60)),
        folder / "data",
        "tiny.user",
    )
    searches = "".join(f"{row[0]}\tq{n % 9} q{n % 4}\t{float(row[3]) - 1}\n" for n, row in enumerate(rows))
    written("user_id:token\tquery:token_seq\ttimestamp:float\n" + searches, folder / "data", "tiny.search")
    fewer = [row for n, row in enumerate(more) if n % 3] + more[:200:3] + more[:30]
    written("\n".join([head, *map("\t".join, fewer)]), folder / "other")
    # By turns, a second apart; the last one far off, so that the others are close on a scale from 0 to 1.
    late = [[*row[:3], str(1e9 + 60 * (float(row[3]) % 100) + n / 12), *row[4:]] for n, row in enumerate(more)]
    late[-1][3] = "4e9"
    written("\n".join([head, *map("\t".join, late[::-1])]), folder / "late")
    written("\n".join([head, *map("\t".join, more)]), folder / "parts")
    for number, part in enumerate(("train", "valid", "test")):
        chosen = more[number::3] if number else more
        written("\n".join([head, *map("\t".join, chosen)]), folder / "parts", f"tiny.{part}.inter")
    return folder


def digest(value: Any) -> str:
    """A short text that differs where tensors in a structure do."""
    if isinstance(value, torch.Tensor):
        return hashlib.sha256(value.detach().double().nan_to_num().numpy().tobytes()).hexdigest()[:12]
    if isinstance(value, dict):
        return json.dumps({str(key): digest(item) for key, item in value.items()}, sort_keys=True)
    return str(value)


def settings_of(line: Line, with_it: bool) -> tuple[str, dict[str, Any]]:
    model = f"{line.model}CorrectedLogQ" if line.model in ENCODERS else line.model
    values = {"epochs": 2, "data_path": "data", "show_progress": False, **BASE[line.model], **line.beside}
    if line.model in ENCODERS and "negatives" not in values and "negatives.count" not in values:
        values["negatives.count"] = 32
    if with_it:
        values |= {line.key: line.value}
        if line.key == "valid_metric":
            values["metrics"] = ["MRR", "Recall"]
        if line.key == "train_batch_tokens":  # stands in place of the other
            del values["train_batch_size"]
    return model, values


def observe(model: str, values: dict[str, Any]) -> dict[str, str]:
    """All that a setting may change, name to content.

    Args:
        model: Name.
        values: The settings, dotted keys as on the command line.
    """
    found: dict[str, str] = {}

    def look(trainer: Any, loaders: Any) -> None:
        part, network = loaders[0].dataset if hasattr(loaders[0], "dataset") else loaders[0]._dataset, trainer.model
        tables = {"inter": part.inter_feat, "user": part.user_feat, "item": part.item_feat}
        found["columns"] = digest(
            {
                kind: {name: list(table[name].shape) for name in table.interaction}
                for kind, table in tables.items()
                if table is not None
            }
        )
        found["ids"] = f"{part.user_num} users, {part.item_num} items"
        shapes = {name: value.shape for name, value in network.state_dict().items() if hasattr(value, "shape")}
        found["shapes"] = digest({name: list(shape) for name, shape in shapes.items()})
        found["initial weights"] = digest(dict(network.named_parameters()))
        groups = [
            {key: value for key, value in group.items() if key != "params"} for group in trainer.optimizer.param_groups
        ]
        found["optimizer"] = f"{type(trainer.optimizer).__name__} {groups}"
        found["clipping"] = str(trainer.clip_grad_norm)
        state = loaders[0].generator.get_state()
        found["batches"] = digest(dict(next(iter(loaders[0])).interaction))
        loaders[0].generator.set_state(state)

    bars, before = io.StringIO(), set(Path("log").rglob("*.log"))
    try:
        with redirect_stderr(bars):
            result = run(model, "tiny", config_dict=values, saved=False, callback=look)
    except RequestError as error:
        return {"refused": str(error)}
    finally:
        for handler in [*logging.getLogger().handlers]:
            if isinstance(handler, logging.FileHandler):
                handler.close()
    (log,) = set(Path("log").rglob("*.log")) - before
    text = [line.split("  ", 1)[-1] for line in log.read_text(encoding="utf-8").splitlines()]
    text = [line for line in text if not re.match(r"(model|training|measured|device|log|data|split) {2,}", line)]
    text = [re.sub(r"\d+\.\d\ds?\b|\d+ s\b", "TIME", line) for line in text if " = " not in line]
    found["log"] = "\n".join(line for line in text if " left" not in line)
    found["progress bar"] = "it/s]" if "it/s]" in bars.getvalue() else ""
    found["split"] = digest(result["fingerprint"])
    history = result["history"]
    found["losses"] = str([row["train_loss"] for row in history])
    found["metrics"] = str([[row.get("valid_result") for row in history], result["test_result"]])
    clocks = {"train_seconds", "train_cpu_seconds", "train_loss", "valid_result"}
    found["record"] = str([{key: value for key, value in row.items() if key not in clocks} for row in history])
    found["files"] = str(sorted(path.name for path in Path().iterdir()))
    return found


@pytest.fixture(scope="module")
def seen_without() -> Callable[[str, dict[str, Any]], dict[str, str]]:
    """`observe` of what lines have in common, once."""
    known: dict[str, dict[str, str]] = {}

    def look(model: str, values: dict[str, Any]) -> dict[str, str]:
        key = json.dumps([model, values], sort_keys=True)
        if key not in known:
            known[key] = observe(model, values)
        return known[key]

    return look


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_it_changes_something_or_is_refused(
    line: Line, place: Path, monkeypatch: pytest.MonkeyPatch, seen_without: Any, seen: Any
) -> None:
    monkeypatch.chdir(place)
    changed = observe(*settings_of(line, True))
    if line.refused:
        assert line.by in changed.get("refused", "nothing is refused"), changed.get("refused")
        assert any(key.split(".")[0] in changed["refused"] for key in (line.key, *line.beside))
        assert "\n" not in changed["refused"]
        says = f"refused: {changed['refused']}"
    else:
        without = seen_without(*settings_of(line, False))
        assert "refused" not in without, without
        if "refused" in line.by:
            assert "refused" in changed or without["split"] != changed["split"]
        else:
            assert "refused" not in changed, changed
            assert without[line.by] != changed[line.by], f"{line.by}: {without[line.by][:300]}"
        says = f"changes: {line.by}"
    seen("settings", f"`{line.name}`", says)


def accepted() -> set[str]:
    """Every name that an own model takes, sections by their parts."""
    names = {name for model in ENCODERS for name in Config(f"{model}CorrectedLogQ", "tiny").accepted()}
    names |= {f"clip_grad_norm.{name}" for name in ClipSettings.model_fields}
    names |= {f"eval_args.{name}" for name in (*EVAL_ARGS, *OF_TEMPORAL)}
    names |= {"negatives.source", "negatives.count", "negatives.own"}
    return names - {"clip_grad_norm", "eval_args", "negatives", "loss_options"}


def options_of(entry: type[Loss] | type[Sampler]) -> set[str]:
    """What a user may set of a loss or a source, but for the count."""
    inside = {"counts", "count", "catalogue_size"} | ({"seed"} if issubclass(entry, Sampler) else set())
    return inspect.signature(entry).parameters.keys() - inside


def source_of(line: Line) -> str:
    section = line.beside.get("negatives", {})
    return str(line.beside.get("negatives.source", section.get("source", "in_batch")))


def test_no_setting_is_without_a_line(seen: Any) -> None:
    keys = {line.key for line in LINES}
    assert accepted() - keys - REASONS.keys() == set()
    assert keys & REASONS.keys() <= {"nproc", "gradient_cache", "allow_crossed"}
    assert REASONS.keys() <= accepted()
    names = [line.name for line in LINES]
    assert len(names) == len(set(names))
    for key, reason in {**REASONS, **ELSEWHERE}.items():
        seen("settings", f"`{key}`", f"{'not tried' if key in REASONS else 'nothing'}: {reason}")


@pytest.mark.parametrize("model", ENCODERS)
def test_what_an_encoder_alone_has_is_tried_with_it(model: str) -> None:
    own = encoder_settings(model).model_fields.keys() - RetrievalSettings.model_fields.keys()
    tried = {line.key for line in LINES if line.model == model and not line.refused}
    assert own - tried == set()


@pytest.mark.parametrize("source", samplers.names())
def test_options_of_sources_are_tried(source: str) -> None:
    lines = [line for line in LINES if source_of(line) == source and not (line.refused and line.by == "reads none")]
    tried = {line.key for line in lines if not line.refused}
    assert {f"negatives.{option}" for option in options_of(samplers.get(source))} <= tried
    if samplers.get(source).from_batch:
        refused = {line.key for line in lines if line.refused}
        assert {"shuffle", "negatives.count"} <= refused


@pytest.mark.parametrize("loss", losses.names())
def test_options_of_losses_are_tried(loss: str) -> None:
    tried = {line.key for line in LINES if line.beside.get("loss") == loss and not line.refused}
    assert {f"loss_options.{option}" for option in options_of(losses.get(loss))} <= tried


def test_the_table_is_whole(names_in_page: Callable[[str], list[str]]) -> None:
    names = [*(line.name for line in LINES), *REASONS, *ELSEWHERE]
    assert names_in_page("settings") == [f"`{name}`".replace("|", "\\|") for name in names]

"""How a run begins on the screen: the lines that say what is trained, on what, and how it is measured."""

from __future__ import annotations

from typing import Any

import torch

from recbole_logq.allowed_values import value_text
from recbole_logq.models.resolve import split_name

WIDTH = 12
"""Columns of the names."""


def request_lines(config: Any, log_file: Any) -> list[str]:
    """What is known before the data is read.

    Args:
        config: The checked settings.
        log_file: file of the log; None for none.
    """
    lines = [("model", _model(config)), *_step(config), ("training", _training(config))]
    lines += [("measured", _measured(config)), ("device", _device(config))]
    if log_file is not None:
        lines.append(("log", f"{log_file}; it has all settings, --state=DEBUG shows them here"))
    return _aligned(lines)


def data_lines(config: Any, data: Any, parts: Any) -> list[str]:
    """What was read, and how it is split.

    Args:
        config: The checked settings.
        data: The dataset.
        parts: Its training, validation and test part.
    """
    size = f"{data.user_num - 1:,} users, {data.item_num - 1:,} items, {data.inter_num:,} interactions"
    rows = ", ".join(f"{name} {len(part):,}" for name, part in zip(("train", "valid", "test"), parts, strict=True))
    return _aligned([("data", f"{config['dataset']}: {size}"), ("split", f"{_split(config)}; rows: {rows}")])


def _aligned(lines: list[tuple[str, str]]) -> list[str]:
    return [f"{name:<{WIDTH}}{text}" for name, text in lines]


def _model(config: Any) -> str:
    parts = split_name(config["model"])
    if parts is None:
        return f"{config['model']}, RecBole's or of its kind"
    return f"{config['model']}: encoder {parts[0]}, recipe {parts[1]}"


def _step(config: Any) -> list[tuple[str, str]]:
    if split_name(config["model"]) is None:
        return []
    negatives = config["negatives"]
    options = [f"{key} {value_text(negatives[key])}" for key in negatives if key not in ("source", "count", "own")]
    options += [f"own items of the {own} exactly"] if (own := negatives.get("own")) else []
    size = "all that there are" if negatives.get("count") is None else f"{negatives['count']:,} a pool"
    loss = [config["loss"], *(f"{key} {value_text(value)}" for key, value in (config["loss_options"] or {}).items())]
    mode = "" if config["temperature_mode"] == "fixed" else f", {config['temperature_mode']}"
    score = f"{config['similarity']} over temperature {config['temperature']}{mode}"
    return [
        ("loss", f"{', '.join(loss)}; score: {score}"),
        ("negatives", f"{', '.join([negatives['source'], size, *options])}; never a negative: {_masked(config)}"),
    ]


def _masked(config: Any) -> str:
    return {
        "target": "the positive",
        "query": "the user's positives of the batch",
        "history": "all that the user had",
    }[config["mask"]]


def _training(config: Any) -> str:
    budget = config["max_train_cpu_seconds"]
    limit = "" if budget is None else f" or {budget:g} CPU seconds"
    return (
        f"up to {config['epochs']:,} epochs{limit}, {config['train_batch_size']:,} rows a step, "
        f"{config['learner']} at {config['learning_rate']:g}, seed {config['seed']}"
    )


def _measured(config: Any) -> str:
    mode = config["eval_args"].get("mode", "full")
    mode = next(iter(mode.values())) if isinstance(mode, dict) else mode
    ranking = "over all items" if mode == "full" else f"mode {mode}"
    interval, patience = config["eval_step"], config["stopping_step"]
    if not interval:
        return f"after training, {ranking}; no validation"
    epochs = "every epoch" if interval == 1 else f"every {interval} epochs"
    return f"{config['valid_metric']} {epochs}, {ranking}; ends after {patience + 1} validations without a better one"


def _device(config: Any) -> str:
    device = config["device"]
    if device.type == "cuda":
        return f"{device}, {torch.cuda.get_device_name(device)}"
    processes = f", {config['nproc']} processes" if config["nproc"] > 1 else ""
    return f"{device}, {torch.get_num_threads()} threads{processes}"


def _split(config: Any) -> str:
    if config["benchmark_filename"] is not None:
        return f"ready-made parts {', '.join(config['benchmark_filename'])}"
    arguments = config["eval_args"]
    order = {"TO": "in time order", "RO": "in random order"}.get(arguments.get("order", "RO"), "")
    kinds = {"RS": "shares", "LS": "leave one out", "GTS": "by time"}
    split = arguments.get("split") or {}
    return ", ".join([*(f"{kinds.get(kind, kind)} {value_text(value)}" for kind, value in split.items()), order])

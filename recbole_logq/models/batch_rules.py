"""What a batch can give: its order, its size, and what is asked of both."""

from __future__ import annotations

from logging import getLogger
from typing import Any

from recbole.utils import ModelType

from recbole_logq.errors import RequestError
from recbole_logq.samplers import Sampler

ASK_LESS = "lower it, or raise train_batch_size"


def check_data(config: Any, model: Any, loader: Any) -> None:
    """Refuse sizes that this data has not got.

    Args:
        config: The checked settings.
        model: Model with its sampler, its loss and ``target_counts``.
        loader: The training loader.

    Raises:
        RequestError: The batches cannot give what the sampler needs; one line with the numbers.
    """
    chosen, sampler, steps = config.given(), model.sampler, loader.steps_per_epoch * config["epochs"]
    negatives, options = chosen.get("negatives") or {}, chosen.get("loss_options") or {}
    rows, items = min(rows_of_batch(config), loader.n_positives), int((model.target_counts > 0).sum())
    most, unit = (min(rows, items), "distinct items") if _takes_distinct(sampler) else (rows, "positives")
    if negatives.get("count") is not None and (sampler.asks_of_batch or 0) > most:
        raise RequestError(
            f"negatives.count={negatives['count']}: {config['dataset']} has at most {most:,} {unit} in a batch of "
            f"{size_of_batch(config)} to take as negatives; lower it"
        )
    if negatives.get("warmup_steps", 0) >= steps:
        raise RequestError(
            f"negatives.warmup_steps={negatives['warmup_steps']}: the run has {steps:,} steps and would never use its "
            "memory; lower it, or raise epochs"
        )
    catalogue = len(model.target_counts) - 1
    if _takes_distinct(sampler) and not sampler.from_batch and (negatives.get("count") or 0) > catalogue:
        raise RequestError(
            f"negatives.count={negatives['count']}: {config['dataset']} has {catalogue:,} items, and {sampler.name} "
            "takes each once; lower it, or take loss=full_softmax"
        )
    if negatives.get("refresh", 0) >= steps:
        raise RequestError(
            f"negatives.refresh={negatives['refresh']}: the run has {steps:,} steps and would never use what it "
            "learns; lower it, or raise epochs"
        )
    if sampler.learns and sampler.refresh >= steps:
        getLogger().warning(
            f"negatives.refresh={sampler.refresh} by default: the run has {steps:,} steps and ends before what it "
            "learns is used; set a lower one, or raise epochs"
        )
    for option, limit in (("bucket_items", catalogue), ("bucket_rows", rows)):
        if (options.get(option) or 0) > limit:
            raise RequestError(f"loss_options.{option}={options[option]}: there are at most {limit:,}; lower it")


def shortfall(sampler: Sampler, statistics: Any) -> str | None:
    """What a user should know where the batches gave fewer negatives than were asked for; None where they did not.

    Args:
        sampler: The source.
        statistics: Statistics of an epoch.
    """
    distinct = _takes_distinct(sampler)
    mean = statistics.negatives if distinct else statistics.rows
    if sampler.asks_of_batch is None or mean >= sampler.asks_of_batch:
        return None
    return (
        f"a step has {mean:.0f} {'distinct items' if distinct else 'positives'} on average and takes no more from the "
        f"batch; raise train_batch_size to have {sampler.asks_of_batch}"
    )


def _takes_distinct(sampler: Sampler) -> bool:
    """Whether what a pool takes are distinct items; rows with columns of their own take none."""
    return sampler.kind == "inclusion" and not sampler.per_row


def doubt_about_order(values: Any, sampler: type[Sampler] | Sampler) -> str | None:
    """Why log Q does not hold for the order of the batches; None where it does.

    Args:
        values: The final settings.
        sampler: The source.
    """
    if values["shuffle"] or not sampler.from_batch:
        return None
    return (
        f"shuffle=false with negatives.source={sampler.name}: its probabilities are those of random batches, and rows "
        "in the order of the file are none"
    )


def _tokens(values: Any) -> int | None:
    if "train_batch_tokens" not in values:  # of an encoder whose batches are no windows
        return None
    tokens: int | None = values["train_batch_tokens"]
    return tokens


def size_of_batch(values: Any) -> str:
    """The setting that says how large a batch is, with its value."""
    tokens = _tokens(values)
    return f"train_batch_tokens={tokens}" if tokens else f"train_batch_size={values['train_batch_size']}"


def rows_of_batch(values: Any) -> int:
    """Rows that a batch can have at most."""
    if tokens := _tokens(values):
        return int(-(-tokens // values["MAX_ITEM_LIST_LENGTH"]) * values["MAX_ITEM_LIST_LENGTH"])
    length = values["MAX_ITEM_LIST_LENGTH"] if values["MODEL_TYPE"] == ModelType.SEQUENTIAL else 1
    return int(values["train_batch_size"] * length)

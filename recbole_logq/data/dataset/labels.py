"""Labels that ``threshold`` makes: which models read them, and what to set for those that do not."""

from __future__ import annotations

from logging import getLogger
from typing import Any

from recbole.utils import InputType, ModelType

from recbole_logq.errors import RequestError


def check_threshold(values: dict[str, Any], model_class: type) -> None:
    """Refuse labels for a model of this package, which takes every interaction for a positive.

    Args:
        values: The final settings.
        model_class: Class of the model.

    Raises:
        RequestError: The settings do not fit each other; one line names what to set instead.
    """
    if values["threshold"] and hasattr(model_class, "check_settings"):
        field, least = next(iter(values["threshold"].items()))
        raise RequestError(
            f"threshold.{field}={least}: {values['model']} learns from positives and reads no labels; keep the rows "
            f"from {least} up by {_filter_of(field, least)}, or take the others for negatives by --loss=bce "
            f"--negatives.source=observed --negatives.field={field} --negatives.below={least} --negatives.count=8"
        )


def say_unread_labels(config: Any) -> None:
    """Say of a model of RecBole that ``threshold`` changes nothing for it: its labels come from sampling, if any."""
    if not config["threshold"] or "labeled" in config["eval_args"]["mode"].values():
        return
    pointwise = getattr(config.model_class, "input_type", None) == InputType.POINTWISE
    labelled = pointwise or config["MODEL_TYPE"] in (ModelType.CONTEXT, ModelType.DECISIONTREE)
    if labelled and config["train_neg_sample_args"]["distribution"] == "none":
        return
    field, least = next(iter(config["threshold"].items()))
    getLogger().warning(
        f"threshold.{field}={least}: {config['model']} takes every interaction for a positive here, whatever its "
        f"label; {_filter_of(field, least)} keeps those from {least} up alone"
    )


def _filter_of(field: str, least: Any) -> str:
    return f'--val_interval.{field}="[{least},inf)" --load_col.inter="*"'

"""What the laboratory's questions take, with defaults and limits."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from recbole_logq.allowed_values import Allowed
from recbole_logq.flags import File, Flags, Folder, Name, Number, NumberOrZero, Plugins, YesNo, whole
from recbole_logq.setting_types import read_number

GROUPS = 8
"""Independent groups of pools, from whose spread the error of the bias is taken."""


_Whole = Annotated[int, BeforeValidator(whole), Field(strict=True, lt=2**32)]


def _list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _names(value: Any) -> Any:
    return [str(name) for name in value] if isinstance(value, list) else str(value or "").split()


class FoldingOptions(Flags):
    """Options of the two-language toy."""

    seed: NumberOrZero = Field(0, description="seed of all random numbers")


class OfCheckpoint(FoldingOptions):
    """Options of what looks at a trained model."""

    checkpoint: File | None = Field(None, description="trained model to look at")
    data_path: Folder | None = Field(None, description="folder of the datasets, where they have moved since training")
    plugins: Plugins | None = Field(None, description="files and modules of your own, by name")


class WeightOptions(OfCheckpoint):
    """Options of the sample weights of a trained model."""

    limit: Number = Field(50_000, description="training positives to look at")
    top: Number = Field(15, description="entries of the lists of most and least certain positives")


class TemperatureOptions(OfCheckpoint):
    """Options of the softmax of a trained model against the temperature."""

    temperatures: Annotated[
        list[Annotated[float, BeforeValidator(read_number), Field(strict=True, ge=1e-6, lt=1e6)]],
        BeforeValidator(_list),
    ] = Field([], description="temperatures to try; seven around the model's own by default")
    rows: Number = Field(512, description="rows that are looked at")


class GradientOptions(OfCheckpoint):
    """Options of bias and spread of estimators."""

    estimators: Annotated[list[str], BeforeValidator(_names), Allowed('"NAME LOSS+SOURCE:key=value"')] = Field(
        [], description="estimators to measure, recipes or losses with sources; a standard set by default"
    )
    counts: Annotated[
        list[Annotated[int, BeforeValidator(whole), Field(strict=True, ge=2, lt=2**32)]], BeforeValidator(_list)
    ] = Field([64, 256, 1024], description="numbers of negatives")
    rows: Number = Field(64, description="rows that are looked at; of --temperature 512 by default")
    pools: Annotated[_Whole, Field(ge=2 * GROUPS)] = Field(256, description="pools of each row")
    items: Annotated[_Whole, Field(ge=10)] = Field(
        1000, description="items of the synthetic world, which stands in for a checkpoint; up to 200,000"
    )
    zipf: Annotated[float, BeforeValidator(read_number), Field(strict=True, ge=0, lt=10)] = Field(
        1.0, description="exponent of its items' popularity"
    )
    stage: Literal["early", "mid", "converged"] = Field("mid", description="stage of training of its model")
    inside: YesNo = Field(
        True,
        description="whether rows of a checkpoint are examined in batches that hold them too, as training has them",
    )
    show_progress: YesNo = Field(True, description="whether to draw a progress bar")


class AdviceOptions(OfCheckpoint):
    """Options of advice."""

    dataset: Name | None = Field(None, description="dataset to train on; its model is guessed from the data alone")
    grade_field: Name | None = Field(
        None, description="column of the dataset's outcomes: rows with a grade of 0 or less are no positives"
    )
    memory_mb: Annotated[float, BeforeValidator(read_number), Field(strict=True, gt=0, lt=1e9)] = Field(
        2000.0, description="memory of a training step, in MB, above what the program itself takes"
    )
    minutes: Annotated[float, BeforeValidator(read_number), Field(strict=True, gt=0, lt=1e7)] = Field(
        30.0, description="time of the training, in minutes of the processor that the command runs on"
    )
    rows: Number = Field(32, description="rows whose gradient is looked at")
    pools: Annotated[_Whole, Field(ge=2 * GROUPS)] = Field(32, description="pools of each row")
    show_progress: YesNo = Field(True, description="whether to draw a progress bar")

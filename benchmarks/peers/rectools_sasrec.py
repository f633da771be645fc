"""Positives per CPU second of RecTools' SASRec; run by sequential_training.py in an environment of RecTools' own.

Reads user_id, item_id and timestamp of an atomic file and prints one JSON line: the versions, and for every loss the
rates of its repeats. Steps are timed between two batches, loader and optimizer included; the first ones are left out.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from importlib.metadata import version
from time import process_time
from typing import Any

import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

LENGTH, BATCH = 50, 128
SKIPPED, STEPS = 2, 5


class Stopwatch(Callback):
    """Positives and CPU seconds of every repeat of ``STEPS`` batches."""

    def __init__(self, repeats: int) -> None:
        self.left = repeats
        self.rates: list[float] = []
        self.batch, self.positives, self.start = -1, 0, 0.0

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: dict[str, torch.Tensor], index: int) -> None:
        self.batch += 1
        now = process_time()
        if self.batch >= SKIPPED and (self.batch - SKIPPED) % STEPS == 0:
            if self.batch > SKIPPED:
                self.rates.append(self.positives / (now - self.start))
                self.left -= 1
                trainer.should_stop = self.left == 0
            self.positives, self.start = 0, now
        self.positives += int((batch["y"] > 0).sum())


def measure(dataset: Dataset, loss: str, negatives: int, repeats: int) -> list[float]:
    """Rates of one model."""
    watch = Stopwatch(repeats)

    def trainer() -> Trainer:
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        steps = SKIPPED + STEPS * repeats + 1
        return Trainer(max_steps=steps, callbacks=[watch], accelerator="cpu", enable_model_summary=False, **quiet)

    model = SASRecModel(
        n_blocks=2,
        n_heads=2,
        n_factors=64,
        dropout_rate=0.2,
        session_max_len=LENGTH,
        batch_size=BATCH,
        loss=loss,
        n_negatives=negatives,
        get_trainer_func=trainer,
    )
    model.fit(dataset)
    # RecTools trains with a copy of the trainer.
    return next(callback.rates for callback in model.fit_trainer.callbacks if isinstance(callback, Stopwatch))


def main() -> None:
    """Measure all losses."""
    file, repeats = sys.argv[1], int(sys.argv[2])
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    table = pd.read_csv(file, sep="\t").rename(columns=lambda name: name.split(":")[0])
    table = table[["user_id", "item_id", "timestamp"]]
    table.columns = [Columns.User, Columns.Item, Columns.Datetime]
    table[Columns.Datetime] = pd.to_datetime(table[Columns.Datetime], unit="s")
    table[Columns.Weight] = 1
    dataset = Dataset.construct(table)
    rates = {
        "full softmax": measure(dataset, "softmax", 1, repeats),
        "sampled softmax, 256 per position": measure(dataset, "sampled_softmax", 256, repeats),
        "gBCE, 256 per position": measure(dataset, "gBCE", 256, repeats),
    }
    print(json.dumps({"rectools": version("rectools"), "torch": torch.__version__, "rates": rates}))


if __name__ == "__main__":
    main()

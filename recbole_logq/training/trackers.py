"""Where the numbers of a run go while it trains: TensorBoard, and the experiment trackers that were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from logging import getLogger
from typing import Any, Literal, Protocol

Numbers = dict[str, float]
Outcome = Literal["finished", "failed", "stopped"]
"""How a run ended; ``stopped`` by what chooses among trials, which is no failure."""


class Tracker(Protocol):
    """What is told of a run; may raise anything, since it talks to a service."""

    name: str

    def log(self, values: Numbers, epoch: int) -> None:
        """Take the numbers of an epoch."""

    def summarise(self, values: Numbers) -> None:
        """Take the numbers of the whole run."""

    def end(self, outcome: Outcome) -> None:
        """Take that it is over."""


class TensorBoard:
    """RecBole's writer under RecBole's names; a disk that is full ends the run, as it does at every other file."""

    _TAGS = {"train/train_loss": "Loss/Train", "valid/score": "Valid_score"}

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, values: Numbers, epoch: int) -> None:
        """Write the numbers of an epoch."""
        for name, value in values.items():
            self._writer.add_scalar(self._tag(name), value, epoch)

    def _tag(self, name: str) -> str:
        if name in self._TAGS:
            return self._TAGS[name]
        group, _, suffix = name.partition("/")
        if suffix.startswith("train_loss_"):  # one of several losses of a model of RecBole's
            return "Loss/Train" + suffix.removeprefix("train_loss_")
        for key, head in (("sample_weight/", "SampleWeight/"), ("diagnostics/", "Diagnostics/")):
            if suffix.startswith(key):
                return head + suffix.removeprefix(key)
        return f"{group.capitalize()}/{suffix}"


class Trackers:
    """All of them as one; a tracker that fails is left out from then on, and that is said once.

    ``log_metrics`` and ``log_eval_metrics`` are those of RecBole's logger for W&B, which its own loops call.

    Args:
        writer: TensorBoard's writer.
    """

    def __init__(self, writer: Any) -> None:
        self._board = TensorBoard(writer)
        self._trackers: list[Tracker] = []
        self._epoch = 0

    def start(self, trackers: Sequence[Tracker], history: Sequence[Mapping[str, Any]]) -> None:
        """Tell these from now on, and of the epochs before a run was resumed.

        Args:
            trackers: Trackers of this run.
            history: Records of its epochs so far.
        """
        self._trackers = list(trackers)
        for record in history:
            self.log_epoch(record)

    def log_epoch(self, record: Mapping[str, Any]) -> None:
        """Tell of an epoch.

        Args:
            record: Its entry in the history.
        """
        values = numbers_of(record)
        self._board.log(values, record["epoch"])
        self._tell("log", values, record["epoch"])

    def log_metrics(self, metrics: Mapping[str, Any], head: str = "train", commit: bool = True) -> None:
        """Tell of an epoch of a loop of RecBole's own, which has no record; its writer has it already."""
        self._epoch = int(metrics.get("epoch", metrics.get("valid_step", self._epoch)))
        values = {
            f"{head}/{key}": value for key, value in metrics.items() if key not in ("epoch", "train_step", "valid_step")
        }
        self._tell("log", {key: float(value) for key, value in values.items() if _is_number(value)}, self._epoch)

    def log_eval_metrics(self, metrics: Mapping[str, Any], head: str = "eval") -> None:
        """Ask for nothing: the test is told of once, by :meth:`summarise`."""

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Tell of the whole run."""
        self._tell("summarise", {key: float(value) for key, value in values.items() if _is_number(value)})

    def end(self, outcome: Outcome) -> None:
        """Tell that the run is over, once."""
        self._tell("end", outcome)
        self._trackers = []

    def _tell(self, method: str, *values: Any) -> None:
        for tracker in list(self._trackers):
            try:
                getattr(tracker, method)(*values)
            except Exception as error:  # of a service; training is worth more
                self._trackers.remove(tracker)
                reason = " ".join(str(error).split())[:300] or type(error).__name__
                getLogger().warning(f"{tracker.name} is told nothing more of this run: {reason}")


def numbers_of(record: Mapping[str, Any]) -> Numbers:
    """The numbers of an epoch by name: ``train/train_loss``, ``train/sample_weight/d10``, ``valid/ndcg@10``, ...

    Args:
        record: Entry of a history.
    """
    heads = {"valid_result": "valid", "observed_result": "observed"}
    values: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            values |= {f"{heads.get(key, f'train/{key}')}/{name}": part for name, part in value.items()}
        elif key != "epoch":
            values["valid/score" if key == "valid_score" else f"train/{key}"] = value
    return {key: float(value) for key, value in values.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

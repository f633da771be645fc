"""The training loop of every model: RecBole's trainer with safe checkpoints, exact resuming, a budget and a record."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from time import perf_counter, process_time, strftime
from typing import Any

import torch
from recbole.trainer import Trainer as RecBoleTrainer
from recbole.utils import calculate_valid_score, dict2str, early_stopping, set_color

from recbole_logq.errors import RequestError
from recbole_logq.plugins import checksums
from recbole_logq.ranks import from_first, gather_rows, own_share, rank, sum_over_ranks, wait_for_all
from recbole_logq.training import checkpoint, ranking
from recbole_logq.training.clock import Clock
from recbole_logq.training.divergence import gone_wrong, not_finite
from recbole_logq.training.item_metrics import ItemCollector, right
from recbole_logq.training.memory import peak_device_memory_mb, peak_memory_mb
from recbole_logq.training.plain_values import encode
from recbole_logq.training.resumable import best_model_of
from recbole_logq.training.trackers import Trackers


class Trainer(RecBoleTrainer):
    """RecBole's Trainer, same log lines and result, with what its users miss.

    * checkpoints hold plain values, are written atomically, and collide with nobody's;
    * ``<name>-last.pth`` is written at every validation, so that an interrupted run resumes where it stopped, to the
      same result; ``<name>.pth`` is the best epoch, as in RecBole;
    * ``max_train_cpu_seconds`` ends training by CPU time, ``history`` records every epoch.

    Args:
        config: A :class:`recbole_logq.config.Config`.
        model: The model, on its device.
    """

    fingerprint: dict[str, str]
    id_fingerprint: str
    best_valid_score: float
    best_valid_result: dict[str, float] | None
    cur_step: int

    def __init__(self, config: Any, model: torch.nn.Module) -> None:
        # RecBole's logger would begin a W&B run here; trackers begin theirs once there is something to tell of.
        log_wandb, config["log_wandb"] = config["log_wandb"], False
        super().__init__(config, model)
        config["log_wandb"] = log_wandb
        self.trackers = self.wandblogger = Trackers(self.tensorboard)
        # What measures energy while a run trains: `read` gives what has been used so far.
        self.meter: Any = None
        self.eval_collector = ItemCollector(config)
        right(self.evaluator, config)
        # RecBole's names have one-second resolution: two runs started together would share a file.
        name = f"{config['model']}-{config['dataset']}-{strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}.pth"
        self.saved_model_file = os.path.join(self.checkpoint_dir, from_first(name))
        self.history: list[dict[str, Any]] = []
        self.best_epoch: int | None = None
        self.fingerprint, self.id_fingerprint = {}, ""
        # A loader that every validation also evaluates and records; no decision ever looks at it.
        self.observed_data: Any = None
        # Gets each loader that is evaluated and its ranking, which the metrics are made of.
        self.watch_ranking: Callable[[Any, ranking.Ranking], None] | None = None
        self.train_cpu_seconds = 0.0
        self.train_seconds = 0.0
        self.positives = 0
        self._stopped = False
        self._steps = 0
        self._resumed: dict[str, Any] | None = None
        self._resumed_from = ""

    # --- one run --------------------------------------------------------------------------------------------------

    def fit(
        self,
        train_data: Any,
        valid_data: Any = None,
        verbose: bool = True,
        saved: bool = True,
        show_progress: bool = False,
        callback_fn: Any = None,
    ) -> tuple[float, dict[str, float] | None]:
        """Train until the last epoch, the budget, or ``stopping_step`` validations without improvement.

        Args:
            train_data: Training loader.
            valid_data: Validation loader; without it every epoch is saved and the last one counts.
            verbose: Whether to log.
            saved: Whether to write checkpoints.
            show_progress: Whether to draw a progress bar.
            callback_fn: Function called with ``(epoch, valid_score)`` after every validation.

        Returns:
            The best validation score and result.
        """
        self.eval_collector.data_collect(train_data)
        if self.config["train_neg_sample_args"].get("dynamic", False):
            train_data.get_model(self.model)
        self._restore_random_state(train_data)
        if self.start_epoch and (reason := self._why_over()):
            # Resumed after its end: training on would change the result.
            self.logger.info(f"Nothing is left to train: {reason}")
            return self.best_valid_score, self.best_valid_result
        clock = Clock(self.epochs - self.start_epoch)
        stop, eval_step = False, min(self.eval_step, self.epochs)  # Pop, ItemKNN and their like have one epoch
        for epoch in range(self.start_epoch, self.epochs):
            record = self._train_one_epoch(train_data, epoch, verbose, show_progress)
            out_of_budget = self._out_of_budget()
            due = eval_step > 0 and ((epoch + 1) % eval_step == 0 or out_of_budget)
            improved = not valid_data or eval_step <= 0  # nothing to compare with: the latest epoch counts
            if valid_data and due:
                stop, improved = self._validate(valid_data, epoch, record, verbose, show_progress)
            if self.meter is not None:
                record |= self.meter.read()
            self.history.append(record)
            self.trackers.log_epoch(record)
            self._stopped = stop
            if saved and (improved or due):
                self._save_both(epoch, train_data, improved, verbose)
            if callback_fn and "valid_score" in record:
                callback_fn(epoch, record["valid_score"])
            if out_of_budget and verbose:
                self.logger.info(f"Stopping: {self.train_cpu_seconds:.0f} CPU seconds of training are used up")
            if stop or out_of_budget:
                break
            if verbose:
                self.logger.info(clock.line(epoch + 1 - self.start_epoch))
        if verbose and self.best_epoch is not None:
            self.logger.info(f"Finished training, best eval result in epoch {self.best_epoch}")
        self._add_hparam_to_tensorboard(self.best_valid_score)
        return self.best_valid_score, self.best_valid_result

    def _train_one_epoch(self, train_data: Any, epoch: int, verbose: bool, show_progress: bool) -> dict[str, Any]:
        start, cpu = perf_counter(), process_time()
        self._steps = 0
        loss = self._train_epoch(train_data, epoch, show_progress=show_progress)
        if not_finite(self.model):  # the last step has had no loss after it that would tell
            raise gone_wrong(self, "what training has made", epoch, None)
        end = perf_counter()
        self.train_seconds += end - start
        # Of all processes together: a budget ends for all of them at once.
        spent = torch.tensor(process_time() - cpu, dtype=torch.float64, device=self.device)
        self.train_cpu_seconds += float(sum_over_ranks(spent))
        self.positives += _n_positives(train_data)
        self.train_loss_dict[epoch] = sum(loss) if isinstance(loss, tuple) else loss
        if verbose:
            self.logger.info(self._generate_train_loss_output(epoch, start, end, loss))
        parts = {f"train_loss_{number}": part for number, part in enumerate(loss)} if isinstance(loss, tuple) else {}
        device_memory = peak_device_memory_mb(self.device)
        return {
            "epoch": epoch,
            "train_loss": self.train_loss_dict[epoch],
            **parts,
            "train_seconds": round(self.train_seconds, 3),
            "train_cpu_seconds": round(self.train_cpu_seconds, 3),
            "steps": self._steps,
            "peak_memory_mb": peak_memory_mb(),
            **({} if device_memory is None else {"peak_device_memory_mb": device_memory}),
        }

    def _validate(
        self, valid_data: Any, epoch: int, record: dict[str, Any], verbose: bool, show_progress: bool
    ) -> tuple[bool, bool]:
        start = perf_counter()
        score, result = self._valid_epoch(valid_data, show_progress=show_progress)
        self.best_valid_score, self.cur_step, stop, improved = early_stopping(
            score, self.best_valid_score, self.cur_step, max_step=self.stopping_step, bigger=self.valid_metric_bigger
        )
        if improved:
            self.best_valid_result, self.best_epoch = result, epoch
        record |= {"valid_score": float(score), "valid_result": dict(result)}
        if self.observed_data is not None:
            record["observed_result"] = dict(self.evaluate(self.observed_data, load_best_model=False))
        if verbose:
            head = set_color(f"epoch {epoch} evaluating", "green")
            self.logger.info(
                f"{head} [{set_color('time', 'blue')}: {perf_counter() - start:.2f}s, "
                f"{set_color('valid_score', 'blue')}: {score:f}]"
            )
            self.logger.info(set_color("valid result", "blue") + ": \n" + dict2str(result))
        return stop, improved

    def _valid_epoch(self, valid_data: Any, show_progress: bool = False) -> tuple[float, dict[str, float]]:
        result = self.evaluate(valid_data, load_best_model=False, show_progress=show_progress)
        return calculate_valid_score(result, self.valid_metric), result

    def evaluate(
        self, eval_data: Any, load_best_model: bool = True, model_file: str | None = None, show_progress: bool = False
    ) -> Any:
        """See RecBole's ``Trainer.evaluate``; the best model comes out of a safe checkpoint.

        What metrics of the best k items need is ranked in small memory (:mod:`recbole_logq.training.ranking`); the rest
        goes RecBole's way.
        """
        if load_best_model and eval_data:
            file = model_file or self.saved_model_file
            checkpoint.load_weights(self.model, checkpoint.load(file, self.device), file)
            self.logger.info(f"Loading model structure and parameters from {file}")
        reason = ranking.why_not(self.config, eval_data)
        if reason:
            self.logger.debug(f"evaluation the way RecBole does it: {reason}")
            return super().evaluate(eval_data, load_best_model=False, show_progress=show_progress)
        self.model.eval()
        share = own_share(eval_data.sample_size)
        try:
            ranked = ranking.rank(
                self.model, eval_data, max(self.config["topk"]), share.start, share.stop, show_progress=show_progress
            )
        except ranking.PairsOnlyError:
            eval_data.rank_pairs()
            return self.evaluate(eval_data, load_best_model=False, show_progress=show_progress)
        ranked = ranking.Ranking(*(gather_rows(matrix.to(self.device)).rows.cpu() for matrix in ranked))
        if self.watch_ranking is not None:
            self.watch_ranking(eval_data, ranked)
        return ranking.metrics(ranked, self.eval_collector, self.evaluator)

    def _why_over(self) -> str | None:
        """Why a resumed run has no epoch left under the settings of now; None where it goes on."""
        if self.cur_step > self.stopping_step:
            return f"{self.cur_step} validations without improvement, stopping_step={self.stopping_step}"
        if self._out_of_budget():
            return f"max_train_cpu_seconds={self.config['max_train_cpu_seconds']} are used up"
        return f"all epochs={self.epochs} are done" if self.start_epoch == self.epochs else None

    def _out_of_budget(self) -> bool:
        budget = self.config["max_train_cpu_seconds"]
        return budget is not None and self.train_cpu_seconds >= budget

    def _check_nan(self, loss: torch.Tensor) -> None:
        # Called by RecBole's loops in every step.
        self._steps += 1
        if not torch.isfinite(loss):
            epoch = len(self.history) if type(self).fit is Trainer.fit else None
            raise gone_wrong(self, "the training loss", epoch, self._steps)

    # --- checkpoints ----------------------------------------------------------------------------------------------

    @property
    def last_file(self) -> str:
        """The checkpoint that a run resumes from."""
        stem, suffix = os.path.splitext(self.saved_model_file)
        return f"{stem}-last{suffix}"

    def _save_both(self, epoch: int, train_data: Any, improved: bool, verbose: bool) -> None:
        if rank() == 0:
            state = self._state(epoch, train_data)
            if improved:
                checkpoint.save(state, self.saved_model_file)
                if verbose:
                    self.logger.info(set_color("Saving current", "blue") + f": {self.saved_model_file}")
            checkpoint.save(state, self.last_file)
        wait_for_all()

    def _save_checkpoint(self, epoch: int, verbose: bool = True, **kwargs: Any) -> None:
        # Called by RecBole's trainers that bring their own loop.
        checkpoint.save(self._state(epoch, None), kwargs.get("saved_model_file", self.saved_model_file))

    def _state(self, epoch: int, train_data: Any) -> dict[str, Any]:
        return {
            "config": self.config.plain(),
            "given": self.config.given(),
            "fingerprint": self.fingerprint,
            "id_fingerprint": self.id_fingerprint,
            "epoch": epoch,
            "cur_step": self.cur_step,
            "best_valid_score": float(self.best_valid_score),
            "best_valid_result": checkpoint.plain(dict(self.best_valid_result or {})),
            "best_epoch": self.best_epoch,
            "stopped": self._stopped,
            "best_file": os.path.basename(self.saved_model_file),
            "history": checkpoint.plain(self.history),
            "spent": (self.train_seconds, self.train_cpu_seconds, self.positives),
            "state_dict": self.model.state_dict(),
            "other_parameter": encode(self.model.other_parameter()),
            "optimizer": self.optimizer.state_dict(),
            "random": checkpoint.random_state(),
            "loader": [generator.get_state() for generator in _generators(train_data)],
            "plugins": checksums(self.config["plugins"]),
            "model_class": self.config.given_class,
        }

    def save_pretrained_model(self, epoch: int, saved_model_file: str) -> None:
        """Save a checkpoint in place of the pickle that RecBole's pretraining writes."""
        checkpoint.save(self._state(epoch, None), saved_model_file)
        self.saved_model_file = saved_model_file

    def resume_checkpoint(self, resume_file: str) -> None:
        """Continue from a checkpoint of the same model, dataset and split.

        Raises:
            RequestError: The checkpoint belongs to something else, or its best model is gone.
        """
        if type(self).fit is not Trainer.fit:
            raise RequestError(f"--resume: {self.config['model']} has a training loop of its own, which cannot resume")
        state = checkpoint.load(resume_file, self.device)
        best = best_model_of(state, resume_file, self.config, self.fingerprint, self.id_fingerprint)
        checkpoint.check_times(self.model, state, resume_file)
        checkpoint.load_weights(self.model, state, resume_file)
        self.saved_model_file, self._resumed_from = str(best), resume_file
        try:
            self._take_up(state)
        except checkpoint.DAMAGE as error:
            raise checkpoint.damaged(resume_file, error) from error
        if self.epochs < self.start_epoch:
            raise RequestError(
                f"epochs={self.epochs}: {resume_file} has trained {self.start_epoch}, which cannot be taken back; set "
                "more, or evaluate it"
            )
        self.logger.info(f"Checkpoint loaded. Resume training from epoch {self.start_epoch}")

    def _take_up(self, state: dict[str, Any]) -> None:
        if state["epoch"] >= state["config"].get("epochs", self.epochs):
            raise ValueError(f"epoch {state['epoch']} is beyond its last one")
        checkpoint.load_optimizer(self.optimizer, state["optimizer"])
        self.start_epoch, self.cur_step = state["epoch"] + 1, state["cur_step"]
        self.best_valid_score = state["best_valid_score"]
        self.best_valid_result = state["best_valid_result"] or None
        self.best_epoch = state["best_epoch"]
        self.history = list(state["history"])
        self.train_seconds, self.train_cpu_seconds, self.positives = state["spent"]
        self._resumed = state

    def _restore_random_state(self, train_data: Any) -> None:
        # Right before the first epoch: everything built until here has drawn from the generators.
        if self._resumed is None:
            return
        try:
            checkpoint.set_random_state(self._resumed["random"])
            for generator, saved in zip(_generators(train_data), self._resumed["loader"], strict=True):
                generator.set_state(saved.cpu())
        except checkpoint.DAMAGE as error:
            raise checkpoint.damaged(self._resumed_from, f"its random state cannot be set, {error}") from error
        self._resumed = None


def _n_positives(train_data: Any) -> int:
    if hasattr(train_data, "n_positives"):
        return int(train_data.n_positives)
    # RecBole's loader for knowledge graphs is made of two, and has no dataset itself.
    return len(getattr(train_data, "general_dataloader", train_data).dataset)


def _generators(train_data: Any) -> list[torch.Generator]:
    # RecBole's loader for knowledge graphs is made of two.
    loaders = (train_data, *(getattr(train_data, name, None) for name in ("general_dataloader", "kg_dataloader")))
    return [loader.generator for loader in loaders if isinstance(getattr(loader, "generator", None), torch.Generator)]

"""The training step of the own models."""

from __future__ import annotations

from contextlib import nullcontext
from logging import INFO, WARNING
from typing import Any

import torch
from recbole.utils import set_color
from torch.nn.utils.clip_grad import clip_grad_norm_
from tqdm import tqdm

from recbole_logq.data.batches.planned_batch import PlannedBatch
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.evaluation.diagnostics import MAX_CATALOGUE, diagnose
from recbole_logq.models.batch_rules import check_data, doubt_about_order, shortfall
from recbole_logq.ranks import rank, sum_over_ranks, world_size
from recbole_logq.terminal import bar_options
from recbole_logq.training.divergence import FirstBadLoss, gone_wrong, temperature_warning
from recbole_logq.training.fixed_step import FixedStep, why_not
from recbole_logq.training.gradients import average_gradients
from recbole_logq.training.lazy_adam import LazyAdam, merge_rows
from recbole_logq.training.schedule import create_schedule, load_schedule
from recbole_logq.training.threads import is_small, threads_of_training
from recbole_logq.training.trainer import Trainer


class RetrievalTrainer(Trainer):
    """One optimizer step a batch, a schedule, and a record of what the steps did."""

    def __init__(self, config: Any, model: torch.nn.Module) -> None:
        super().__init__(config, model)
        self.schedule: Any = None
        self.fixed_step: FixedStep | None = None
        self._small_steps = is_small(model, config["train_batch_size"])
        if self._small_steps and torch.get_num_threads() > 1:
            self.logger.info("steps are small: trained with one thread, ranked with all")

    def _build_optimizer(self, **kwargs: Any) -> torch.optim.Optimizer:
        scale = getattr(self.model.scorer, "log_scale", None)
        if scale is not None and "params" not in kwargs:
            # Decay would pull a learned temperature to 1, which nothing says is its rest.
            parameters = [parameter for parameter in self.model.parameters() if parameter is not scale]
            kwargs["params"] = [{"params": parameters}, {"params": [scale], "weight_decay": 0.0}]
        if any(getattr(module, "sparse", False) for module in self.model.modules()):
            # Without weight decay, which the settings rule out here, AdamW is Adam.
            optimizer: torch.optim.Optimizer = LazyAdam(
                kwargs.get("params", self.model.parameters()), self.learning_rate
            )
            self.logger.info("id tables have sparse gradients: Adam on the rows of a step (sparse_embeddings)")
        else:
            optimizer = super()._build_optimizer(**kwargs)
        if isinstance(optimizer, torch.optim.Adam):  # AdamW and LazyAdam are
            # One pass over each parameter instead of a dozen; torch builds the loop version unless asked.
            for group in optimizer.param_groups:
                group["fused"] = True
        return optimizer

    def _train_epoch(
        self, train_data: Any, epoch_idx: int, loss_func: Any = None, show_progress: bool = False
    ) -> float:
        model = self.model.train()
        if world_size() > 1:
            # Dropout differs between processes, and a resumed run draws the same again.
            torch.manual_seed((self.config["seed"] * 1_000_003 + epoch_idx) * 1_009 + rank())
        self._plan_steps(train_data)
        train_data.start_epoch()
        model.statistics.reset()
        schedule = self._get_schedule(train_data.steps_per_epoch)
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.enable_scaler)
        batches = train_data
        if show_progress:
            batches = tqdm(train_data, **bar_options(), desc=set_color(f"Train {epoch_idx:>5}", "pink"))
        # In double precision: in single, a sum over millions of steps no longer takes in the loss of one.
        total, bad = torch.zeros((), dtype=torch.float64, device=self.device), FirstBadLoss(self.device)
        for step, batch in enumerate(batches, 1):
            if isinstance(batch, PlannedBatch):
                assert self.fixed_step is not None
                loss = self.fixed_step(batch)
                schedule.step()
            else:
                loss = self._train_batch(batch, scaler, schedule)
            total += loss
            # A process that stopped alone would leave the others waiting for it.
            if bad.add(step, loss) and world_size() == 1 and bad.step():
                break
        self._steps = step
        total = sum_over_ranks(total) / world_size()
        if not torch.isfinite(total):
            raise gone_wrong(self, "the training loss", epoch_idx, bad.step())
        self._report(epoch_idx, train_data, batch.make(batch.plan) if isinstance(batch, PlannedBatch) else batch)
        return float(model.statistics.loss)

    def _plan_steps(self, train_data: Any) -> None:
        """Let steps have fixed shapes where the settings ask for it and nothing is against it; once, before the first.

        Raises:
            RequestError: They ask for it, and something is.
        """
        setting = self.config["cuda_graph"]
        if self.fixed_step is not None or not setting or (setting == "auto" and self.device.type != "cuda"):
            return
        reason = why_not(self.config, self.model, train_data)
        if reason and setting != "auto":
            raise RequestError(f"cuda_graph=true: {reason}")
        if reason:
            self.logger.info(f"steps are not captured (cuda_graph): {reason}")
            return
        train_data.least = max(self.model.sampler.asks_of_batch or 1, 1)
        seed, amp = self.config["seed"] + 2, self.enable_amp
        self.fixed_step = FixedStep(self.model, self.optimizer, self.device, seed, self.clip_grad_norm, amp)
        self.logger.info("steps have fixed shapes" + (" and are one CUDA graph" if self.device.type == "cuda" else ""))

    def _train_batch(self, batch: Any, scaler: torch.amp.GradScaler, schedule: Any) -> torch.Tensor:
        """One optimizer step; the loss, on the device and not asked for."""
        model = self.model
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, dtype=torch.bfloat16) if self.enable_amp else nullcontext():
            loss: torch.Tensor = model.calculate_loss(batch.to(self.device))
        scaler.scale(loss).backward()
        average_gradients(model)
        if self.clip_grad_norm:
            scaler.unscale_(self.optimizer)
            merge_rows(model)
            clip_grad_norm_(model.parameters(), **self.clip_grad_norm)
        scale = scaler.get_scale()
        scaler.step(self.optimizer)
        scaler.update()
        if scaler.get_scale() >= scale:  # otherwise the gradients overflowed and the step was left out
            schedule.step()
            model.after_step()
        return loss.detach()

    def _get_schedule(self, steps: int) -> Any:
        if self.schedule is None:
            name, warmup = self.config["lr_schedule"], self.config["warmup_steps"]
            self.schedule = create_schedule(self.optimizer, name, warmup, steps * self.epochs)
            if self._schedule_state is not None:
                load_schedule(self.schedule, self._schedule_state, self._resumed_from)
                # Building a schedule sets the rate of its first step; loading its state does not set it back.
                for group, rate in zip(self.optimizer.param_groups, self.schedule.get_last_lr(), strict=True):
                    group["lr"] = rate
        return self.schedule

    def _report(self, epoch: int, train_data: Any, batch: Any) -> None:
        statistics = self.model.statistics
        if world_size() > 1:
            statistics.sum_over_ranks()
        if epoch == self.start_epoch:
            self.logger.info(
                f"a step has {statistics.rows:.0f} positives and {statistics.negatives:.0f} negatives each, on average"
            )
        dropped = int(statistics.dropped)
        if dropped == statistics.positives:
            raise WorkError(
                f"epoch {epoch}: no row had a valid negative, so nothing was trained: its pools held what is masked "
                "alone; take a source that draws from the catalogue, such as negatives.source=uniform"
            )
        if dropped:
            reason = "were in no bucket" if self.model.loss.skips_rows else "had no valid negative"
            self.logger.info(f"epoch {epoch}: {dropped} rows {reason} and were left out")
        weights = statistics.weights()
        if weights:
            deciles = " ".join(f"{weights[f'd{d}']:.3f}" for d in range(10, 100, 10))
            self.logger.info(f"epoch {epoch} sample weight [mean: {weights['mean']:.4f}, deciles: {deciles}]")
        setting = f"negatives.count={self.config['negatives'].get('count')}"
        if epoch == self.start_epoch and (short := shortfall(self.model.sampler, statistics)):
            chosen = (self.config.given().get("negatives") or {}).get("count") is not None
            self.logger.log(WARNING if chosen else INFO, f"{setting}: {short}")
        self._record = {
            "dropped_rows": dropped,
            "negatives_per_step": round(statistics.negatives, 1),
            **({"sample_weight": weights} if weights else {}),
        }
        if self.model.scorer.mode != "fixed":
            self._record["temperature"] = round(self.model.scorer.temperature, 6)
            self.logger.info(f"epoch {epoch} temperature [{self.model.scorer.temperature:.4f}]")
        if warning := temperature_warning(self.model.scorer):
            self.logger.warning(f"epoch {epoch}: {warning}")
        if self.config["diagnostics"] and rank() == 0 and len(self.model.target_counts) <= MAX_CATALOGUE:
            self._record["diagnostics"] = diagnostics = self._diagnose(epoch, batch)
            self.logger.info(
                f"epoch {epoch} diagnostics [{', '.join(f'{name}: {value}' for name, value in diagnostics.items())}]"
            )

    @torch.no_grad()
    def _diagnose(self, epoch: int, batch: Any) -> dict[str, float | None]:
        """Diagnostics of the epoch's last batch, without dropout, so that nothing is drawn."""
        model = self.model.eval()
        rows, items = model.rows(batch.to(self.device)), model.item_vectors(None)
        query, positives = model.scorer.query(rows.query), rows.positives
        if rows.real is not None:
            query, positives = query[rows.real], positives[rows.real]
        if not torch.isfinite(query.sum() + items.sum()):  # the last step has had no loss after it that would tell
            raise gone_wrong(self, "a vector", epoch, None)
        diagnostics = diagnose(query, positives, items, model.target_counts)
        model.train()
        return diagnostics

    _record: dict[str, Any] = {}
    _schedule_state: dict[str, Any] | None = None

    def _train_one_epoch(self, train_data: Any, epoch: int, *args: Any) -> dict[str, Any]:
        if epoch == self.start_epoch:
            check_data(self.config, self.model, train_data)
            if doubt := doubt_about_order(self.config, self.model.sampler):
                self.logger.warning(doubt)
        with threads_of_training(self._small_steps):
            record = super()._train_one_epoch(train_data, epoch, *args)
        return record | self._record

    def _state(self, epoch: int, train_data: Any) -> dict[str, Any]:
        schedule = self.schedule.state_dict() if self.schedule is not None else None
        return {**super()._state(epoch, train_data), "schedule": schedule}

    def resume_checkpoint(self, resume_file: str) -> None:
        """See :meth:`Trainer.resume_checkpoint`."""
        super().resume_checkpoint(resume_file)
        epochs = self._resumed["config"]["epochs"] if self._resumed else self.epochs
        if self.config["lr_schedule"] != "constant" and epochs != self.epochs:
            raise RequestError(
                f"epochs={self.epochs}: the {self.config['lr_schedule']} schedule was laid over {epochs}"
            )

    def _take_up(self, state: dict[str, Any]) -> None:
        super()._take_up(state)
        self._schedule_state = state["schedule"]

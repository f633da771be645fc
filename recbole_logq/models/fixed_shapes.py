"""Whether the shapes of a step can be the same for all batches, which a captured step needs."""

from __future__ import annotations

from typing import Any

from recbole_logq.losses.loss import Loss
from recbole_logq.models.pooled_losses import takes_pools
from recbole_logq.samplers.sampler import Sampler


def reason_against(values: Any, loss: Loss, sampler: Sampler) -> str | None:
    """Why steps cannot have fixed shapes under these settings, and what to set instead; None where they can.

    Args:
        values: The checked settings.
        loss: The loss.
        sampler: The source of negatives.
    """
    if "train_batch_tokens" in values and not values["train_batch_tokens"]:
        return "the number of positions differs from batch to batch; set train_batch_tokens, or leave cuda_graph out"
    if "multi_positive" in values and values["multi_positive"] > 1:
        return f"multi_positive={values['multi_positive']}: the number of targets depends on the batch"
    if sampler.kind == "catalogue":
        pools = None if not loss.skips_rows else f"loss={loss.name} picks its items itself"
    elif not takes_pools(loss, sampler):
        pools = f"loss={loss.name} on negatives.source={sampler.name} has no form of fixed shapes"
    else:
        pools = None if sampler.count else "without negatives.count a pool has the size of its batch"
    own = values["negatives"].get("own")
    against = {
        f"nproc={values['nproc']}: the processes' shares differ in size": values["nproc"] > 1,
        f"mask={values['mask']}: the number of masked items depends on the batch": values["mask"] != "target",
        f"negatives.own={own}: the number of own items depends on the batch": own is not None,
        "segment_field: the batches of a segment are not all of one size": values["segment_field"],
        "gradient_cache: a part of a batch has any size": values["gradient_cache"],
        "enable_scaler=true: a step whose gradients overflow is left out, which the host must be told": values[
            "enable_scaler"
        ],
        "clip_grad_norm.error_if_nonfinite=true: the host must be told of a norm": (values["clip_grad_norm"] or {}).get(
            "error_if_nonfinite"
        ),
        pools: pools,
    }
    reason = next((reason for reason, holds in against.items() if holds), None)
    return None if reason is None else f"{reason}; leave one of the two out"

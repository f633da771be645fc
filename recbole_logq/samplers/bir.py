"""Batch importance resampling: negatives of the batch, drawn again for every row by how hard they are."""

from __future__ import annotations

from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.in_batch import InBatch
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.resampling import draw_counts
from recbole_logq.samplers.sampler import Sampler


@samplers.register("bir", summary="in-batch, drawn again per row by score - log popularity (Chen et al. 2022)")
class BIR(InBatch):
    """`draws` columns per row, with replacement, from `softmax(s - log p)` over the pool (NeurIPS 2022, section 3.2).

    The weight turns the pool's popularity into an approximate draw from the model's own softmax; the loss over the
    draws is the uncorrected one, and no gradient flows through the draw. As published it claims no consistency: drawn
    by softmax and weighted by softmax, the gradient tends to the square of the probabilities, and the draws come from
    only as many columns as the batch has.

    When to use: to emphasise hard negatives of the batch.

    Goes with: uncorrected softmax losses: `sampled_softmax`, `infonce`.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> sampler = get_sampler("bir")(counts, count=4, seed=0)
        >>> sampler.resample(torch.zeros(1, 4), sampler.sample(torch.tensor([1, 2, 1, 3]))).exp()  # draws by column
        tensor([[0., 1., 0., 3.]])

    Args:
        draws: Draws per row. Default: as many as the pool has columns.

    Raises:
        ValueError: `draws` is smaller than 1.
    """

    name = "bir"
    resamples = True
    corrected_by = "resampling"

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int, draws: int | None = None) -> None:
        super().__init__(counts, count=count, seed=seed)
        if draws is not None:
            self.check_whole(draws=draws)
        self.draws = draws

    def negatives_of_row(self, pool: Pool) -> int:
        """As `Sampler.negatives_of_row`: what it draws of them."""
        return self.draws or len(pool.ids)

    def resample(self, scores: Tensor, pool: Pool, valid: Tensor | None = None) -> Tensor:
        """As `Sampler.resample`."""
        return resampled(self, scores - pool.log_q_of(pool.ids), valid, self.draws or len(pool.ids)).log()


def resampled(sampler: Sampler, log_weight: Tensor, valid: Tensor | None, n: int) -> Tensor:
    """Counts of n draws per row from the valid columns, by the sampler's own random numbers."""
    if valid is not None:
        log_weight = log_weight.masked_fill(~valid, float("-inf"))
    return draw_counts(log_weight, n, sampler.generator)

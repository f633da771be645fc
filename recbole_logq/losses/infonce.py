"""InfoNCE, the contrastive loss."""

from __future__ import annotations

from recbole_logq.losses.sampled_softmax import SampledSoftmax
from recbole_logq.registry import losses


@losses.register("infonce", summary="contrastive: cosine over a temperature, other rows' positives, no correction")
class InfoNCE(SampledSoftmax):
    """`softplus(LSE(s) - s+)` on cosine scores over a temperature (van den Oord et al. 2018; Chen et al., ICML 2020).

    The arithmetic of `sampled_softmax` under the name that contrastive learning uses for it; the cosine is the
    scorer's, and models refuse this loss with a dot product.

    When to use: for contrastive training on cosines, as a baseline that is not corrected for popularity.

    Goes with: `in_batch` and `similarity: cosine` with a temperature of about 0.05 to 0.1.

    Example:
        >>> from recbole_logq.losses import get_loss
        >>> positive, negatives = torch.tensor([1.0]), torch.tensor([[0.5, 2.0]])
        >>> get_loss("infonce")(positive / 0.1, negatives / 0.1)  # cosines over the temperature
        tensor([10.0000])
    """

    name = "infonce"

"""InfoNCE, the contrastive loss."""

from __future__ import annotations

from recbole_logq.losses.sampled_softmax import SampledSoftmax
from recbole_logq.registry import losses


@losses.register("infonce", summary="contrastive: cosine over a temperature, other rows' positives, no correction")
class InfoNCE(SampledSoftmax):
    """`softplus(LSE(s) - s+)` on cosine scores over a temperature (van den Oord et al. 2018; Chen et al., ICML 2020).

    The arithmetic of `sampled_softmax` under the name that contrastive learning uses for it; the cosine is the
    scorer's, and models refuse this loss with a dot product.
    """

    name = "infonce"

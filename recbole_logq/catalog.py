"""What there is to choose from, as a listing."""

from __future__ import annotations

from recbole_logq.errors import RequestError
from recbole_logq.losses import get_loss  # noqa: F401  (fills the registry)
from recbole_logq.models.resolve import ENCODERS, recbole_models, recipes
from recbole_logq.registry import losses, samplers
from recbole_logq.samplers import get_sampler  # noqa: F401  (fills the registry)

_ENCODER_SUMMARIES = {
    "TwoTower": "user and item towers; rows are interactions. Plain retrieval, serves from an index",
    "SASRec": "causal transformer over the item sequence; rows are positions. Best where order matters",
}
_ADVICE = """\
Which one? Data with timestamps and some history per user: SASRec...; otherwise TwoTower...
  - up to about 20,000 items: ...FullSoftmax is exact and hard to beat; compare against it
  - more items: ...CorrectedLogQ, then raise --negatives.count
  - items of the tail matter: ...MNSCorrectedLogQ, which draws half of its negatives uniformly
  - for comparison: ...LogQ, ...Uniform, ...GBCE, ...BPR; ...InBatch, ...MNS and ...InfoNCE are uncorrected
Any recipe can be changed in place: --loss=NAME --negatives.source=NAME --negatives.count=N"""


def print_catalog() -> None:
    """Print models, recipes, losses and sources of negatives."""
    print("Models: an encoder and a recipe, such as TwoTowerCorrectedLogQ")
    _section("Encoders", {name: _ENCODER_SUMMARIES[name] for name in ENCODERS})
    _section("Recipes", {name: str(values["summary"]) for name, values in recipes().items()})
    _section(
        "Losses (--loss=)",
        {name: f"{losses.summary(name)} [accidental hits: {losses.get(name).hits}]" for name in losses.names()},
    )
    _section("Negatives (--negatives.source=)", {name: samplers.summary(name) for name in samplers.names()})
    print(f"\n{_ADVICE}")
    try:
        names = recbole_models()
    except RequestError:
        return
    print("\nRecBole's own models run through the same command:")
    line = " "
    for name in names:
        if len(line) + len(name) > 110:
            print(line)
            line = " "
        line += f" {name}"
    print(line)


def _section(title: str, rows: dict[str, str]) -> None:
    print(f"\n{title}")
    width = max(map(len, rows))
    for name, summary in rows.items():
        print(f"  {name:<{width}}  {summary}")

"""What there is to choose from, as a listing."""

from __future__ import annotations

from recbole_logq.declared_options import Declared, declared
from recbole_logq.errors import RequestError
from recbole_logq.models.pair_rules import PAIRS, Request, first_reason
from recbole_logq.models.resolve import recbole_models, recipes
from recbole_logq.registry import EVERY, encoders, losses, metrics, models, samplers

_ADVICE = """\
Which one? Data with timestamps and some history per user: SASRec...; otherwise TwoTower...
  - up to about 20,000 items: ...FullSoftmax is exact and hard to beat; compare against it
  - more items: SASRecStrataCorrectedLogQ, TwoTowerMNSCorrectedLogQ, then raise --negatives.count
  - small batches: ...CBNSCorrectedLogQ, which remembers earlier ones; nobody counted the items: ...StreamingLogQ
  - dislikes in the data: --negatives.source=observed with bce or bpr
  - what was shown and skipped: --negatives.source=impression with bpr, bce or corrected_logq
  - for comparison: ...LogQ, ...Uniform, ...GBCE, ...BPR; ...InBatch, ...MNS and ...InfoNCE are uncorrected
Any recipe can be changed in place: --loss=NAME --negatives.source=NAME --negatives.count=N"""
_OPTIONS = """\
Further choices, for any recipe:
  --mask=target|query|history       what is never a negative: the positive, the user's others in the batch, all of them
  --weight_field=COLUMN             interactions weigh unlike; a weight never enters Q
  --grade_field=COLUMN              rows with a grade of 0 or less were skipped: they are no positives, anywhere
  --impression_field=COLUMN         what was shown together, for negatives.source=impression
  --segment_field=COLUMN            batches of one segment each, Q per segment (TwoTower)
  --similarity=dot|cosine --temperature=T --temperature_mode=fixed|learned|scheduled
  --hits=masked|kept --allow_crossed=true    accidental hits against the form, for experiments about that bias"""


def print_catalog() -> None:
    """Print models, recipes, losses and sources of negatives, those of plug-ins and installed packages included.

    Torch is imported for those of plug-ins and installed packages alone.
    """
    recipes()  # the packaged ones keep their names
    problems = [line for registry in EVERY for line in registry.load_installed()]
    every_loss, every_source = declared(losses), declared(samplers)
    print("Models: an encoder and a recipe, such as TwoTowerCorrectedLogQ")
    _section("Encoders", {name: encoders.summary(name) for name in encoders.names()})
    _section("Recipes", {name: str(values["summary"]) for name, values in recipes().items()})
    _section(
        "Losses (--loss=)",
        {name: f"{loss.summary} [accidental hits: {loss.stated.hits}]" for name, loss in every_loss.items()},
    )
    _section("Negatives (--negatives.source=)", {name: source.summary for name, source in every_source.items()})
    _section("What goes with what (each source, and the losses that it takes)", fitting(every_loss, every_source))
    if metrics.names():
        _section("Metrics (--metrics=), beside RecBole's", {name: metrics.summary(name) for name in metrics.names()})
    print("\n" + _OPTIONS)
    print(f"\n{_ADVICE}")
    if models.names():
        _section("Models of RecBole's kind", {name: models.summary(name) for name in models.names()})
    if problems:
        print("\nInstalled, and not usable\n  " + "\n  ".join(problems))
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


def fitting(every_loss: dict[str, Declared], every_source: dict[str, Declared]) -> dict[str, str]:
    """The losses that go with each source, by what both state of themselves."""

    def fits(loss: Declared, source: Declared) -> bool:
        return first_reason(PAIRS, Request(loss.stated, source.stated)) is None

    return {
        name: ", ".join(own for own, loss in every_loss.items() if fits(loss, source))
        for name, source in every_source.items()
    }


def _section(title: str, rows: dict[str, str]) -> None:
    print(f"\n{title}")
    width = max(map(len, rows))
    for name, summary in rows.items():
        print(f"  {name:<{width}}  {summary}")

"""A page for each loss and sampler, from its docstring and what it declares."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from formulas import mathml

from recbole_logq.catalog import fitting
from recbole_logq.declared_options import Declared, declared
from recbole_logq.losses import get_loss  # noqa: F401  (fills the registry)
from recbole_logq.markup import in_markdown, markdown_table
from recbole_logq.models.resolve import recipes
from recbole_logq.registry import Registry, losses, samplers
from recbole_logq.samplers import get_sampler  # noqa: F401  (fills the registry)

_LABEL = re.compile(r"^(When to use|Goes with|Example|Args|Raises|Returns|Buffers|Attributes):", re.MULTILINE)
_HITS = {
    "masked": "masked: an item of the pool that is the row's positive is none of its negatives",
    "kept": "kept: a copy of the positive among the draws is a draw like any other",
    "catalogue": "the columns are all items, the positive among them",
}
_KINDS = {
    "draws": "the probability that a draw is the item",
    "inclusion": "the probability that the pool holds the item",
}


def registry_pages() -> Iterator[tuple[str, str]]:
    """Address and Markdown of every page, indices included."""
    for registry, folder in ((losses, "losses"), (samplers, "samplers")):
        known = declared(registry)
        names = [name for name in registry.names() if registry.packaged(name)]
        rows = []
        for name in names:
            parts = _parts(inspect.getdoc(registry.get(name)) or "")
            rows.append([f"[`{name}`]({name}.md)", in_markdown(known[name].summary), _linked(parts["When to use"], "")])
            yield f"{folder}/{name}.md", _page(registry, name, parts, known[name])
        text = _INTRODUCTIONS[folder] + "\n" + markdown_table(["name", "what it is", "when to use"], rows)
        yield f"{folder}/index.md", text + "\n"


_INTRODUCTIONS = {
    "losses": """# Losses

A loss turns scores and log-probabilities into one number a row. `--loss=NAME` sets it, and
`recbole_logq.losses.get_loss(NAME)` gives it to any PyTorch project. In the formulas s+ is the positive's score, s the
scores of the pool, n the number of its columns, Q the law that they were drawn by, and LSE the log of the sum of
exponentials. `models` prints
[what goes with what](../negatives.md).
""",
    "samplers": """# Samplers

A sampler builds the pool of negatives of a step and states its log Q. `--negatives.source=NAME` sets it,
`--negatives.count=N` says how many columns. In the formulas p is an item's share of the training targets and C the
number of items. [Negatives](../negatives.md) compares them, with masks and the user's own items.
""",
}


def _parts(text: str) -> dict[str, str]:
    """Parts of a docstring by their labels; what stands before the first has an empty one."""
    pieces = _LABEL.split(text)
    labels = ["", *pieces[1::2]]
    return {label: inspect.cleandoc(piece).strip() for label, piece in zip(labels, pieces[::2], strict=True)}


def _page(registry: Registry[Any], name: str, parts: dict[str, str], known: Declared) -> str:
    entry = registry.get(name)
    first, _, rest = parts[""].partition("\n\n")
    sections = [f"# {name}", f"**{in_markdown(known.summary)}**", *_formula(first), _linked(rest, name)]
    sections += [f"## When to use\n\n{_linked(_sentence(parts['When to use']), name)}"]
    sections += [f"## Goes with\n\n{_linked(_sentence(parts['Goes with']), name)}\n\n{_pairs(registry, name, known)}"]
    sections += [f"## Example\n\n```pycon\n{parts['Example']}\n```"]
    if known.options:
        rows = [
            [
                f"`{_prefix(registry)}.{o.name}`",
                f"`{in_markdown(o.default)}`",
                in_markdown(o.allowed),
                _linked(o.description, name),
            ]
            for o in known.options
        ]
        sections += [f"## Options\n\n{markdown_table(['setting', 'default', 'allowed', 'meaning'], rows)}"]
    if "Raises" in parts:
        errors = [f"- {_linked(line, name)}" for line in re.split(r"\n(?! )", parts["Raises"])]
        sections += ["## Errors\n\n" + "\n".join(errors)]
    face, setting = ("losses", "loss") if registry is losses else ("samplers", "negatives.source")
    module = entry.__module__
    sections += [
        f"## In code\n\nSetting `{setting}: {name}`; class "
        f"[`recbole_logq.{face}.{entry.__name__}`](../api/{face}.md#{module}.{entry.__qualname__}), in the file "
        f"`{module.replace('.', '/')}.py`."
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def _prefix(registry: Registry[Any]) -> str:
    return "loss_options" if registry is losses else "negatives"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] if not text.startswith("`") else text


def _formula(first: str) -> list[str]:
    """The first paragraph; a formula with which it begins is set as one, on a line of its own."""
    match = re.match(r"`([^`]+)`(\.?)\s*", first)
    drawn = mathml(match[1], block=True) if match else None
    if match is None or drawn is None or not re.search(r"[ (]", match[1]):
        return [_linked(first, "")]
    rest = first[match.end() :].lstrip(",;: ")
    return [f"<div class='formula' tabindex='0'>{drawn}</div>", _linked(rest, "") if rest else ""]


def _linked(text: str, own: str) -> str:
    """Text of a docstring with links at names of losses and samplers, and formulas as such."""

    def code(match: re.Match[str]) -> str:
        name = match[1]
        for registry, folder in ((losses, "losses"), (samplers, "samplers")):
            if name in registry.names() and name != own:
                return f"[`{name}`](../{folder}/{name}.md)"
        drawn = mathml(name)
        return match[0] if drawn is None else drawn

    return re.sub(r"`([^`]+)`", code, " ".join(text.split()) if "\n\n" not in text else text)


def _pairs(registry: Registry[Any], name: str, known: Declared) -> str:
    """Who goes with it by the rules of the package, its accidental hits or its law, and the recipes that have it."""
    allowed = {source: fits.split(", ") for source, fits in fitting(declared(losses), declared(samplers)).items()}
    if registry is losses:
        partners = [f"[`{source}`](../samplers/{source}.md)" for source, fits in allowed.items() if name in fits]
    else:
        partners = [f"[`{loss}`](../losses/{loss}.md)" for loss in allowed[name]]
    used = [
        f"`{recipe}`"
        for recipe, values in recipes().items()
        if name == (values["loss"] if registry is losses else values["negatives"]["source"])
    ]
    kind = "Sources" if registry is losses else "Losses"
    lines = [f"- {kind} that the rules allow: {', '.join(partners)}"]
    if registry is losses:
        lines.append(f"- Accidental hits: {_HITS[known.stated.hits]}")
    elif known.stated.kind in _KINDS:
        lines.append(f"- Its Q: {_KINDS[known.stated.kind]}")
    lines.append(f"- Recipes: {', '.join(used) or 'none; set it by its name'}")
    return "\n".join(lines)

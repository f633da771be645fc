"""What makes pages for the site: formulas as MathML, and links between files as links between pages."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(ROOT / "docs_build")
    yield
    for name in ("formulas", "repository_links"):
        sys.modules.pop(name, None)


def drawn(text: str) -> ElementTree.Element:
    from formulas import mathml

    formula = mathml(text, block=True)
    assert formula is not None, text
    return ElementTree.fromstring(formula.replace("&nbsp;", " "))


def spoken(element: ElementTree.Element) -> str:
    """A formula as text, with brackets around what stands above and below a line and what is raised or lowered."""
    inner = [spoken(part) for part in element]
    if element.tag == "mfrac":
        return "{" + inner[0] + "}/{" + inner[1] + "}"
    if element.tag in ("msup", "msub"):
        return inner[0] + {"msup": "^", "msub": "_"}[element.tag] + inner[1]
    if element.tag == "msubsup":
        return f"{inner[0]}_{inner[1]}^{inner[2]}"
    return (element.text or "") + "".join(inner)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("softplus(LSE(s - log Q') - log n - s+)", "softplus(LSE(s−logQ′)−logn−s^+)"),
        ("Q'(d) = Q(d) / (1 - Q+ - Q_own)", "Q′(d)={Q(d)}/{1−Q^+−Q_own}"),
        ("(softplus(-s+) + sum softplus(s-)) / (k + 1)", "{softplus(−s^+)+sumsoftplus(s^−)}/{k+1}"),
        ("a (t (1 - 1/a) + 1/a)", "a(t(1−{1}/{a})+{1}/{a})"),
        ("(n_b p_d + n_u / C) / (n_b + n_u)", "{n_bp_d+{n_u}/{C}}/{n_b+n_u}"),
        ("pi_d = 1 - C(N - U_d, units) / C(N, units)", "π_d=1−{C(N−U_d,units)}/{C(N,units)}"),
        ("w = 1 - P(+|u) = 1 - e^-loss", "w=1−P(+|u)=1−e^−loss"),
        ("LSE over the catalogue - s+", "LSE over the catalogue −s^+"),
        ("s+ - log Q'+", "s^+−logQ′^+"),
    ],
)
def test_a_formula_says_what_its_text_says(text: str, expected: str) -> None:
    assert spoken(drawn(text)) == expected


@pytest.mark.parametrize(
    "text",
    ["count", "excluded_log_q", "log_n", "[rows]", "state_dict", "negatives.own", "s +", "softplus(s", "/ n"],
)
def test_what_is_no_formula_stays_code(text: str) -> None:
    from formulas import mathml

    assert mathml(text) is None


@pytest.mark.parametrize(
    ("link", "path", "address", "expected"),
    [
        ("[a](docs/lab.md#advice)", "README.md", "index.md", "[a](lab.md#advice)"),
        ("![a](docs/x.svg)", "README.md", "index.md", "![a](x.svg)"),
        ("[a](../README.md#start)", "docs/lab.md", "lab.md", "[a](index.md#start)"),
        ("[a](../lab.md)", "docs/tutorials/first.ipynb", "tutorials/first.md", "[a](../lab.md)"),
        ("[a](../benchmarks/report.py)", "docs/lab.md", "lab.md", "a"),
        ("[a](nowhere.md)", "docs/lab.md", "lab.md", "[a](nowhere.md)"),
        ("[a](https://a.invalid/lab.md)", "docs/lab.md", "lab.md", "[a](https://a.invalid/lab.md)"),
        ("```\n[a](docs/lab.md)\n```", "README.md", "index.md", "```\n[a](docs/lab.md)\n```"),
    ],
)
def test_links(link: str, path: str, address: str, expected: str) -> None:
    from repository_links import rewritten

    places = {"README.md": "index.md", "docs/lab.md": "lab.md", "docs/x.svg": "x.svg"}
    assert rewritten(link, path, address, places, ROOT) == expected

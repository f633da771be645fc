"""The picture of the README: what a row is trained against, and how far an estimator's gradient is from the softmax's.

    uv run benchmarks/estimator_picture.py    # writes docs/estimators.svg

The curves are those of benchmarks/results/laboratory/synthetic.json (benchmarks/laboratory.py measures it); report.py
writes this file too, and its check holds the two together. One file, no script, no fonts from elsewhere; the colours
follow the reader's light or dark setting.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from recbole_logq.lab.lab_report import bias_of
from recbole_logq.markup import escape
from recbole_logq.report.svg import Plot, Scale

STORED = Path(__file__).parent / "results" / "laboratory" / "synthetic.json"
PICTURE = Path(__file__).parents[1] / "docs" / "estimators.svg"
ESTIMATORS = {
    "InBatch": ("no correction", "#c22f3c", "#ff8b8f"),
    "LogQ": ("logQ", "#a85314", "#f0a35e"),
    "CorrectedLogQ": ("corrected logQ", "#1d62c4", "#7fb2ff"),
    "corrected_logq+in_batch_unique": ("corrected logQ, distinct items", "#1a7a4a", "#62cf94"),
}
"""Name in the picture, colour in light and in dark; all with the batch's own items as negatives."""
LEFT, PLOT, HEIGHT = 400, 440, 290
WIDTH = LEFT + PLOT


def _style() -> str:
    light = "".join(f".s{n}{{--c:{colour}}}" for n, (_, colour, _) in enumerate(ESTIMATORS.values()))
    dark = "".join(f".s{n}{{--c:{colour}}}" for n, (_, _, colour) in enumerate(ESTIMATORS.values()))
    return (
        ":root{--ink:#1f2328;--soft:#59636e;--paper:#fff;--fill:#eef2f7;--good:#1a7a4a;--bad:#c22f3c}"
        f"{light}@media (prefers-color-scheme:dark){{:root{{--ink:#e6e8eb;--soft:#a4adb8;--paper:#1b1e24;"
        f"--fill:#2a2f38;--good:#62cf94;--bad:#ff8b8f}}{dark}}}"
        "svg{font:12px system-ui,sans-serif}text{fill:var(--ink)}.soft{fill:var(--soft)}.head{font-weight:600;"
        "font-size:13px}.grid{stroke:#8884}.paper{fill:var(--paper)}.box{fill:var(--fill);stroke:#8886}"
        ".up{fill:none;stroke:var(--good);stroke-width:2}.down{fill:none;stroke:var(--bad);stroke-width:1.6}"
        ".good{fill:var(--good)}.bad{fill:var(--bad)}.line{fill:none;stroke:var(--c);stroke-width:2}"
        "circle,.tip{fill:var(--c)}.key{stroke:var(--c);stroke-width:3}"
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f"<text class='{kind}' x='{x}' y='{y}' text-anchor='{anchor}'>{escape(text)}</text>"


def _box(x: float, y: float, width: float, height: float, *lines: str) -> str:
    first = y + height / 2 + 4 - 7.5 * (len(lines) - 1)
    texts = "".join(
        _text(x + width / 2, first + 15 * n, line, "soft" if n else "", "middle") for n, line in enumerate(lines)
    )
    return f"<rect class='box' x='{x}' y='{y}' width='{width}' height='{height}' rx='6'/>{texts}"


def _scheme() -> str:
    """The left half: one row of a step, its positive, its pool, and what is subtracted of a negative's score."""
    parts = [_text(16, 24, "What a row is trained against", "head")]
    parts += [_box(16, 96, 92, 44, "user", "query vector")]
    parts += [_box(236, 42, 148, 38, "the item they took", "positive, score s+")]
    for n in (2, 1, 0):
        parts.append(f"<rect class='box' x='{236 + 4 * n}' y='{112 + 4 * n}' width='140' height='38' rx='6'/>")
    parts.append(_box(236, 112, 140, 38, "n sampled items", "negatives, scores s"))
    parts.append("<path class='up' d='M108,110L228,66M228,66l-9,-1M228,66l-6,7'/>")
    parts.append("<path class='down' d='M108,124L228,134M228,134l-8,-5M228,134l-9,4'/>")
    parts.append(_text(150, 76, "pulled", "good", "middle") + _text(166, 147, "pushed", "bad", "middle"))
    lines = [
        "A popular item is drawn more often: with probability Q.",
        "Without a correction it is pushed more often, too.",
        "logQ: with s - log Q the pool counts like the catalogue.",
        "corrected logQ: and the positive is no draw, it is certain.",
    ]
    parts += [_text(16, 192 + 22 * n, line, "soft" if n < 2 else "") for n, line in enumerate(lines)]
    return "".join(parts)


def _curves() -> str:
    """The right half: relative bias against the number of negatives."""
    entries = json.loads(STORED.read_text(encoding="utf-8"))["estimators"]
    series = {
        name: sorted((float(entry["n"]), *bias_of(entry)) for entry in entries if entry["estimator"] == name)
        for name in ESTIMATORS
    }
    places = [point for points in series.values() for point in points]
    x, y = Scale([n for n, *_ in places], log=True), Scale([0.001, *(bias for _, bias, _ in places)], log=True)
    label = "Relative bias of the gradient against the number of negatives, by estimator"
    ticks = sorted({n for n, *_ in places})
    plot = Plot(label, x, y, "negatives of a row, n", "relative bias of the gradient", HEIGHT - 34, ticks)
    for number, (name, points) in enumerate(series.items()):
        plot.line([(n, bias) for n, bias, is_bound in points if not is_bound], number, ESTIMATORS[name][0])
        for n, bias, is_bound in points:
            if is_bound:
                plot.bound(n, bias, number, ESTIMATORS[name][0])
    keys = "".join(
        f"<g class='s{n}'><path class='key' d='M66,{156 + 15 * n - 4}h14'/>{_text(85, 156 + 15 * n, name)}</g>"
        for n, (name, *_) in enumerate(ESTIMATORS.values())
    )
    drawing = re.sub(r"^<svg ", f"<svg x='{LEFT}' y='34' width='{PLOT}' height='{HEIGHT - 34}' ", plot.svg())
    title = _text(LEFT + 58, 24, "How far its gradient is from the full softmax's", "head")
    return title + drawing.removesuffix("</svg>") + keys + "</svg>"


def picture() -> str:
    """The drawing as the text of a file."""
    label = (
        "Left: a row is trained against its positive and n sampled items, whose scores are corrected by the log "
        "of their probability. Right: without a correction the bias of the gradient stays; with logQ it falls with "
        "n, with corrected logQ to half of that."
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' "
        f"aria-label='{escape(label)}'>"
        f"<style>{_style()}</style><rect class='paper' width='{WIDTH}' height='{HEIGHT}' rx='8'/>"
        f"{_scheme()}{_curves()}</svg>\n"
    )


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")

"""What estimators do to the gradient of trained models: sources x numbers of negatives x own items.

    uv run run_recbole_logq.py convert --input=amazon-sports.txt --dataset=sports   # one user a line, as published
    uv run benchmarks/trained_bias.py [--only=NAME] [--train] [--table]

Trains each model once (`saved/trained_bias/`, one thread), then examines it. Results are kept in
benchmarks/results/trained_bias/; delete a file there to measure it again. `--train` stops after training. The picture,
docs/trained-bias.svg, is drawn of what is stored.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
from pathlib import Path
from time import process_time
from typing import Any

import torch

from recbole_logq import run
from recbole_logq.experiment.restore import restore_own
from recbole_logq.experiment.run import versions
from recbole_logq.lab.checkpoint_subject import checkpoint_subject
from recbole_logq.lab.command import about, entry
from recbole_logq.lab.estimator import Estimator
from recbole_logq.lab.lab_report import heading, markdown, markdown_lies, markdown_seen
from recbole_logq.report.svg import Plot, Scale

FOLDER = Path(__file__).parent / "results" / "trained_bias"
PICTURE = Path(__file__).parents[1] / "docs" / "trained-bias.svg"
CHECKPOINTS = Path("saved") / "trained_bias"
SOURCES = (
    "CorrectedLogQ",
    "LogQ",
    "MNSCorrectedLogQ",
    "Popularity",
    "corrected_logq+in_batch_unique",
    "Systematic",
    (LEARNED := "LearnedSystematic"),
)
OWN = ("", ":own=window")
HISTORY = ":own=history"
"""Beside these on ml-1m, whose users have far more than a window holds."""
KEPT = ("CorrectedLogQ:window=kept", "LogQ:window=kept")
"""With the columns of a row's own window in its pool, at the weight of draws."""
COUNTS = (256, 64, 1024)
ROWS, POOLS = 64, 48
COLOURS = (
    ("blue", "#1d62c4"),
    ("orange", "#d06a1f"),
    ("green", "#1a7a4a"),
    ("purple", "#a02c8c"),
    ("brown", "#6b5a00"),
    ("red", "#c22f3c"),
)
STYLE = (
    "svg{font:12px sans-serif;background:#fff}.grid{stroke:#8883}.level{stroke:#666;stroke-dasharray:4 3}"
    + "".join(f".s{number} circle{{fill:{colour}}}" for number, (_, colour) in enumerate(COLOURS))
)
_SPORTS = {"dropout": 0.5, "positions": "learned", "train_batch_size": 256}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sports": ("SASRecCorrectedLogQ", "sports", {"epochs": 20, **_SPORTS}),
    "ml-1m": ("SASRecCorrectedLogQ", "ml-1m", {"epochs": 16, "positions": "learned"}),
    "two-tower": ("TwoTowerCorrectedLogQ", "ml-1m", {"epochs": 3}),
}


def trained(name: str) -> str:
    """The checkpoint of a model, which is trained once."""
    model, dataset, settings = MODELS[name]
    folder = CHECKPOINTS / name
    record = folder / "done.json"
    if record.is_file():
        return str(json.loads(record.read_text(encoding="utf-8"))["checkpoint"])
    known = sorted(folder.glob("*-last.pth"))
    settings = {
        "eval_step": settings["epochs"],
        "valid_metric": "NDCG@10",
        "show_progress": False,
        "seed": 1,
    } | settings
    settings |= {"checkpoint_dir": str(folder), "use_gpu": False}
    start = process_time()
    result = run(model, dataset, config_dict=settings, resume=str(known[-1]) if known else None)
    kept = {key: result[key] for key in ("checkpoint", "best_valid_result", "test_result", "protocol", "fingerprint")}
    record.write_text(json.dumps(kept | {"cpu_seconds": process_time() - start}) + "\n", encoding="utf-8")
    return str(result["checkpoint"])


def examine(name: str) -> None:
    """Measure what is missing of a model; what is measured is stored at once."""
    file = FOLDER / f"{name}.json"
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"estimators": []}
    known = {(row["estimator"], row["n"]) for row in report["estimators"]}
    owns = (*OWN, HISTORY) if name == "ml-1m" else OWN
    counts = COUNTS if name == "sports" else COUNTS[:1]
    jobs = [
        (source + own, n)
        for n, source, own in itertools.product(counts, SOURCES, owns)
        if n == COUNTS[0] or source != LEARNED  # the fewer columns, the more pools it takes to learn
    ]
    jobs += [(estimator, COUNTS[0]) for estimator in KEPT if MODELS[name][0].startswith("SASRec")]
    missing = [job for job in jobs if job not in known]
    if not missing:
        return
    training = json.loads((CHECKPOINTS / name / "done.json").read_text(encoding="utf-8"))
    subject = checkpoint_subject(restore_own(trained(name), state="WARNING", show_progress=False), ROWS)
    report = {**about(subject), "pools": POOLS, "seed": 0, "versions": versions(), "training": training} | report
    FOLDER.mkdir(parents=True, exist_ok=True)
    for estimator, n in missing:
        start = process_time()
        row = entry(Estimator.parse(estimator), subject, n, POOLS)
        report["estimators"].append(row | {"cpu_seconds": round(process_time() - start, 1)})
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def table(name: str, part: str = "estimators") -> str:
    """One of a model's tables, under what was examined.

    Args:
        name: Model.
        part: ``lies`` (where the gradient lies), ``estimators``, or ``seen`` (what each sees of it).
    """
    report = _stored(name)
    if report is None:
        return "Not measured yet."
    text = {"lies": markdown_lies, "estimators": markdown, "seen": markdown_seen}[part](report)
    if part != "lies":
        return text
    seconds = sum(entry["cpu_seconds"] for entry in report["estimators"])
    facts = f"{MODELS[name][2]['epochs']} epochs; examined in {seconds:.0f} CPU s"
    return f"{heading(report)}; {facts}.\n\n{text}"


def picture() -> str:
    """Bias and spread of every source with 256 negatives, with and without own items, as an SVG file."""
    reports = {name: report for name in MODELS if (report := _stored(name)) is not None}
    rows = [
        (name, entry)
        for name, report in reports.items()
        for entry in report["estimators"]
        if entry["n"] == COUNTS[0] and entry["estimator"] not in KEPT
    ]
    looked = [entry["inside"] for _, entry in rows]
    x = Scale([entry["spread"] for entry in looked], zero=True)
    y = Scale([entry["bias"] for entry in looked], zero=True)
    plot = Plot("Bias and spread of estimators on trained models", x, y, "spread in batch", "relative bias in batch")
    plot.level(0.1, "0.10")
    for number, (name, own) in enumerate(itertools.product(reports, (False, True))):
        chosen = [entry for model, entry in rows if model == name and (":own=" in entry["estimator"]) == own]
        insides = [(entry["inside"], f"{name}: {entry['estimator']}") for entry in chosen]
        dots = [(inside["spread"], inside["bias"], hint) for inside, hint in insides]
        plot.dots(dots, number)
    drawing = plot.svg().replace("<svg ", "<svg xmlns='http://www.w3.org/2000/svg' ", 1)
    return drawing.replace(">", f"><style>{STYLE}</style>", 1) + "\n"


def legend() -> str:
    """What the colours of the picture are, in a line."""
    names = [name for name in MODELS if _stored(name) is not None]
    words = [f"{name}{' with own windows' if own else ''} {COLOURS[number][0]}" for number, (name, own)
             in enumerate(itertools.product(names, (False, True)))]  # fmt: skip
    return "Each dot is a source with 256 negatives: " + ", ".join(words) + "."


def _stored(name: str) -> dict[str, Any] | None:
    file = FOLDER / f"{name}.json"
    report: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    if report is not None:
        names = [*(source + own for source, own in itertools.product(SOURCES, (*OWN, HISTORY))), *KEPT]
        order = {name: number for number, name in enumerate(names)}
        report["estimators"].sort(key=lambda entry: (entry["n"], order[entry["estimator"]]))
    return report


def main() -> None:
    """Train and measure what is missing, then draw the picture and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="models in whose name this regular expression is found")
    parser.add_argument("--train", action="store_true", help="train only")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in MODELS:
        if re.search(arguments.only, name) and not arguments.table:
            trained(name)
            if not arguments.train:
                examine(name)
    PICTURE.write_text(picture(), encoding="utf-8")
    for name in MODELS:
        print("\n\n".join(table(name, part) for part in ("lies", "estimators", "seen")))


if __name__ == "__main__":
    main()

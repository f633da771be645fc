"""Names out of data are text in everything that is written or printed: pages, Markdown, tables in a terminal."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import re
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from recbole_logq import terminal
from recbole_logq.audits import audit_page
from recbole_logq.commands.results import print_result
from recbole_logq.lab import lab_report as lab
from recbole_logq.lab.lab_page import lab_page
from recbole_logq.report import screen
from recbole_logq.report.comparison_page import comparison_page
from recbole_logq.report.markdown import markdown
from recbole_logq.report.summary import summarise
from recbole_logq.serving.card import card
from recbole_logq.serving.description import HistoryDescription, ScorerDescription, TokenColumn
from recbole_logq.serving.recommend import show
from recbole_logq.sweeps.progress import Progress
from recbole_logq.sweeps.space import parse_space
from recbole_logq.sweeps.sweep_page import sweep_page

IMAGE = "<img src=x onerror=alert(1)>"
HOSTILE = (
    f"""{IMAGE}</script><script>alert(2)</script>'"&[bold]\u2028\x1b[2J\x9b1m\r\a\u202e [x](javascript:e)|`</style>"""
)
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class _Elements(HTMLParser):
    """Every element and attribute of a page, its policy and its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.scripts: list[str] = []
        self.policy = ""
        self.text = ""
        self._inside: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"] or ""
        if tag == "script":
            self.scripts.append("")
        self._inside = tag if tag in {"script", "style"} else None

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside is None:
            self.text += data


def audit() -> dict[str, Any]:
    return {"dataset": HOSTILE, "filters": [{"filter": HOSTILE, HOSTILE: 3}], "size": {HOSTILE: HOSTILE}}


def gradients() -> dict[str, Any]:
    one = {"estimator": HOSTILE, "n": 8, "bias": 0.1, "bias_error": 0.001, "squared_bias": 0.01, "spread": 0.2}
    one |= {"head_mass": 0.9, "q_fit": [[1.0, 0.1]] * 4}
    facts = {HOSTILE: HOSTILE}
    return {
        "subject": HOSTILE,
        "facts": facts,
        "rows": 8,
        "items": 9,
        "p_positive": 0.1,
        "pools": 4,
        "estimators": [one],
    }


def sweep() -> tuple[dict[str, Any], Any]:
    space = parse_space({"similarity": [HOSTILE, "dot"], "learning_rate": {"uniform": [0.1, 1]}})
    point = {"similarity": HOSTILE, "learning_rate": 0.5}
    trial = {"number": 1, "trial": "t1", "point": point, "status": "done", "error": None, "best_score": 0.1}
    trial |= {"best_epoch": 3, "epochs": 4, "started": 0.0, "ended": 90.0, "train_cpu_seconds": 12.5}
    failed = {**trial, "number": 2, "trial": "t2", "status": "failed", "error": HOSTILE, "best_score": None}
    search = {"name": HOSTILE, "model": HOSTILE, "dataset": HOSTILE, "metric": HOSTILE, "bigger": True, "winner": 1}
    search |= {"trials": [trial, failed], "best": HOSTILE, "test_result": {HOSTILE: 0.1}, "tested": HOSTILE}
    return {"title": HOSTILE, "how": {HOSTILE: HOSTILE}, "searches": [search]}, {HOSTILE: space}


@pytest.fixture
def summaries(make_record: Callable[..., dict[str, Any]], comparison: Callable[..., dict[str, Any]]) -> Any:
    runs = [make_record(name, seed, 0.1, weights=True) for name in (HOSTILE, "B") for seed in (1, 2)]
    for run in runs:
        run |= {"dataset": HOSTILE, "command": HOSTILE}
        run["result"]["protocol"] |= {"split": HOSTILE, HOSTILE: HOSTILE}
        run["result"] |= {"dataset": HOSTILE, "model": HOSTILE}
        run["result"] |= {
            "versions": {HOSTILE: HOSTILE},
            "fingerprint": dict.fromkeys(("train", "valid", "test"), HOSTILE),
        }
    failed = {**make_record(HOSTILE, 3, status="failed", dataset=HOSTILE), "error": HOSTILE}
    return summarise([*runs, failed], [comparison("B", HOSTILE, verdict=HOSTILE, dataset=HOSTILE)])


def pages(summaries: Any) -> dict[str, str]:
    return {
        "audit": audit_page.audit_page(audit()),
        "lab": lab_page(gradients()),
        "report": comparison_page(summaries, HOSTILE),
        "sweep": sweep_page(*sweep()),
    }


def test_names_are_text_on_every_page(summaries: Any) -> None:
    for name, text in pages(summaries).items():
        found = _Elements(text)
        assert "img" not in found.tags, name
        assert not found.attributes & {"onerror", "onclick", "src", "href", "srcdoc"}, name
        assert IMAGE in found.text, name
        assert not HIDDEN.search(found.text.replace("\r", "")), name
        assert "\x1b" not in text, name
        assert "default-src 'none'" in found.policy, name
        # What the policy lets run is what the page was made with, and nothing that came with a name.
        digests = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in found.scripts}
        assert set(re.findall(r"'sha256-([^']+)'", found.policy)) == digests, name
        assert "'unsafe-inline'" not in found.policy.replace("style-src 'unsafe-inline'", ""), name
        assert text.index("Content-Security-Policy") < text.index("<title>"), name


def test_names_are_text_in_markdown(summaries: Any) -> None:
    manifest = {
        "model": HOSTILE,
        "recbole_logq": "1",
        "data": {"dataset": HOSTILE, "users": 1, "items": 2, "interactions": 3, "fingerprint": {HOSTILE: HOSTILE}}
        | {"history": "all", "history_interactions": 3},
        "training": {key: {HOSTILE: HOSTILE} for key in ("protocol", "test_result", "best_valid_result", "versions")}
        | {"command": f"a\n```\n{HOSTILE}"},
        "versions": {HOSTILE: HOSTILE},
        "command": f"b\n````\n{HOSTILE}",
        "index": {"name": "exact", "options": {}, "measured": {}},
        "item_texts": {"texts": [{"name": HOSTILE}]},
        "largest_difference": 0.0,
    }
    hour = TokenColumn.model_construct(name=HOSTILE, type=HOSTILE, n_tokens=2)  # unchecked, as it is written
    scorer = ScorerDescription(similarity="dot", temperature=1.0, mode="fixed", end=None, steps=None)
    described = HistoryDescription.model_construct(size=3, mlp_sizes=[], context=[hour], max_history=4, scorer=scorer)
    for name, text in {
        "report": markdown(summaries, HOSTILE),
        "card": card(manifest, described, HOSTILE, HOSTILE, {"hour": HOSTILE}),
    }.items():
        outside = re.sub(r"^(`{3,})\w*\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
        assert "<" not in outside, name
        assert not re.search(r"(?<!\\)\]\(", outside), name
        assert not HIDDEN.search(text), name


def test_names_are_text_in_a_terminal(make_record: Any, comparison: Any) -> None:
    names = "[bold]x[/bold] [/] [link=http://x]y[/link] :smile:"
    hostile = f"{names}\x1b[2J\x1b]0;title\a\x9b1m\rz\u202e"
    found = SimpleNamespace(items=[[hostile]], scores={(0, 0): 0.5}, titles=[[hostile]])
    weights = {"subject": hostile, "rows": 3, "mean": 0.1, "deciles": [0.1]}
    one = {"user": hostile, "item": hostile, "w": 0.1, "targets": 3}
    weights |= {"most_certain": [one], "least_certain": [one]}
    report = {"dataset": hostile, "filters": [{"filter": hostile, hostile: 3}], "size": {hostile: hostile}}
    trial = {"number": 1, "trial": "t", "status": "failed", "epochs": 1, "best_score": None, "error": hostile}
    progress = Progress(hostile, 3, hostile, True, [])
    result = {"model": hostile, "seed": hostile, "dataset": hostile, "protocol": {hostile: hostile}}
    result |= {"test_result": {hostile: 0.5}, "fingerprint": {"test": hostile}, "checkpoint": hostile}
    search = {"name": hostile, "winner": 1, "metric": hostile, "test_result": {hostile: 0.5}, "tested": hostile}
    named = {**make_record(hostile, 1), "dataset": hostile}
    named["result"]["dataset"] = hostile
    against = comparison(hostile, hostile, verdict=hostile, dataset=hostile)
    search |= {"best": hostile, "trials": [{"number": 1, "best_score": 0.5}]}
    printed = {
        "recommend": lambda: show(found, [hostile]),  # type: ignore[arg-type]
        "audit": lambda: audit_page.print_audit(report),
        "lab": lambda: lab.print_gradients({**gradients(), "subject": hostile, "facts": {hostile: hostile}}),
        "weights": lambda: lab.print_weights(weights),
        "trial": lambda: progress.show({**trial, "point": {hostile: hostile}}),
        "trials": lambda: progress.screen.print(progress.table()),
        "line": lambda: terminal.say(hostile),
        "progress": lambda: terminal.tell(hostile),
        "result": lambda: print_result(result),
        "results": lambda: screen.print_results([result, result]),
        "winners": lambda: screen.print_winners([search]),
        "comparison": lambda: screen.print_comparison(summarise([named], [against])),
    }
    for name, shown in printed.items():
        with io.StringIO() as output, redirect_stdout(output), redirect_stderr(output):
            shown()
            printed_text = output.getvalue()
        text = re.sub(r"[\s│┃]+", "", printed_text)
        assert not HIDDEN.search(printed_text), name
        assert "[/]" in text, name
        assert "[link=http://x]" in text, name
        assert "[bold]" in text, name


def test_names_are_text_in_a_log() -> None:
    record = logging.LogRecord(
        "x", logging.INFO, "", 0, "\x1b[1;35mTrain\x1b[0m of %s\nnext\tcolumn", ("a\x1b[2J\rb",), None
    )
    assert terminal.VisibleFormatter().format(record).endswith("of a\\x1b[2J\\rb\nnext\tcolumn")
    assert terminal.visible_in_colour(record.getMessage()).startswith("\x1b[1;35mTrain\x1b[0m of a\\x1b[2J\\rb")
    assert terminal.visible("日本 é 👩‍👩‍👧 \ufeff\ud800") == "日本 é 👩‍👩‍👧 \\ufeff\\ud800"

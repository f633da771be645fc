"""What an estimator does to the gradient."""

from __future__ import annotations

from typing import Any

from recbole_logq.commands.options import write_page, write_result
from recbole_logq.commands.outputs import LAB, check_json, check_page
from recbole_logq.errors import RequestError

USAGE = """\
  lab            what an estimator does to the gradient, against the full softmax: on a synthetic world
                 [--items=1000] [--zipf=1] [--stage=early|mid|converged], or on a model: [--checkpoint=FILE]
                 [--estimators="CorrectedLogQ LOSS+SOURCE:key=value"] [--counts=[64,1024]] [--output=FILE.json]
                 [--page=FILE.html];  lab --sample-weights --checkpoint=FILE;  lab --folding
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    output, html = options.pop("output", None), options.pop("page", None)
    check_json("output", output, LAB)
    check_page("page", html)
    if html is not None and (options.get("folding") or options.get("sample_weights")):
        raise RequestError("--page shows estimators: leave it out here")
    from recbole_logq.lab.command import run_lab
    from recbole_logq.lab.lab_page import lab_page

    report, show = run_lab(options)
    show(report)
    write_result(output, report)
    write_page(html, lab_page(report) if html else "")

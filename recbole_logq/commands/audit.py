"""What a dataset's test set really is."""

from __future__ import annotations

from typing import Any

from recbole_logq.commands.options import config_files, write_page, write_result
from recbole_logq.commands.outputs import AUDIT, check_json, check_page
from recbole_logq.errors import RequestError

USAGE = """\
  audit          what a dataset's test set really is:  --dataset=NAME [--output=FILE.json] [--page=FILE.html]
                                  [--any_filter=value ...]
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    output, html = options.pop("output", None), options.pop("page", None)
    if "dataset" not in options:
        raise RequestError("no dataset given: set --dataset=NAME")
    check_json("output", output, AUDIT)
    check_page("page", html)
    files = config_files(options)
    from recbole_logq.audits.audit_page import audit_page, print_audit
    from recbole_logq.audits.time_order_audit import audit

    report = audit(options.pop("dataset"), files, options)
    print_audit(report)
    write_result(output, report)
    write_page(html, audit_page(report) if html else "")

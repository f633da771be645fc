"""What a dataset's test set really is."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from recbole_logq.commands.outputs import AUDIT, check_json, check_page
from recbole_logq.commands.results import write_page, write_result
from recbole_logq.flags import ConfigFiles, Flags, Name, PageFile, ResultFile, take_flags

SUMMARY = "what a dataset's test set really is: filters, popularity, order, leakage"
SETTINGS = "Filters and columns, such as --user_inter_num_interval=[5,inf) or --TIME_FIELD=when"
EXAMPLES = (
    "recbole-logq audit --dataset=ml-100k",
    'recbole-logq audit --dataset=ml-100k --user_inter_num_interval="[5,inf)" --page=audit.html',
)


class AuditFlags(Flags):
    """What the command takes for itself."""

    dataset: Name = Field(description="dataset to look at")
    config_files: ConfigFiles
    output: ResultFile = None
    page: PageFile | None = Field(None, description="page with tables, which opens offline")


FLAGS = (AuditFlags,)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, AuditFlags, settings=True)
    check_json("output", flags.output, AUDIT)
    check_page("page", flags.page)
    from recbole_logq.audits.audit_page import audit_page, print_audit
    from recbole_logq.audits.time_order_audit import audit

    report = audit(flags.dataset, flags.config_files, options)
    print_audit(report)
    write_result(flags.output, report)
    write_page(flags.page, audit_page(report) if flags.page else "")

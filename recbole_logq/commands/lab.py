"""What an estimator does to the gradient."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from recbole_logq.commands.outputs import LAB, check_json, check_page
from recbole_logq.commands.results import write_page, write_result
from recbole_logq.errors import RequestError
from recbole_logq.flags import Flags, PageFile, ResultFile, YesNo, take_flags
from recbole_logq.lab.options import FoldingOptions, GradientOptions, WeightOptions

SUMMARY = "what an estimator does to the gradient, against the full softmax"
EXAMPLES = (
    'recbole-logq lab --items=1000 --zipf=1 --estimators="CorrectedLogQ LogQ" --counts=[64,256]',
    "recbole-logq lab --sample-weights --checkpoint=saved/TwoTowerCorrectedLogQ.pth",
)


class LabFlags(Flags):
    """What the command takes for itself."""

    sample_weights: YesNo = Field(False, description="show the positives on which a model is most and least certain")
    folding: YesNo = Field(
        False, description="show the two-language toy under choices of negatives, impressions among them"
    )
    output: ResultFile = None
    page: PageFile | None = Field(None, description="page with figures of the estimators, which opens offline")


FLAGS = (LabFlags, GradientOptions, WeightOptions, FoldingOptions)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, LabFlags, settings=True)
    check_json("output", flags.output, LAB)
    check_page("page", flags.page)
    if flags.sample_weights and flags.folding:
        raise RequestError("--sample-weights and --folding are two questions: ask one")
    if flags.page is not None and (flags.folding or flags.sample_weights):
        raise RequestError("--page shows estimators: leave it out here")
    question = WeightOptions if flags.sample_weights else FoldingOptions if flags.folding else GradientOptions
    take_flags(dict(options), question)  # what is wrong is said before torch is imported
    from recbole_logq.lab import command
    from recbole_logq.lab.lab_page import lab_page
    from recbole_logq.lab.lab_report import print_folding, print_gradients, print_weights

    if flags.sample_weights:
        report = command.sample_weights(**options)
        print_weights(report)
    elif flags.folding:
        report = command.folding(**options)
        print_folding(report)
    else:
        report = command.gradients(**options)
        print_gradients(report)
    write_result(flags.output, report)
    write_page(flags.page, lab_page(report) if flags.page else "")

"""What an estimator does to the gradient."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from recbole_logq.commands.outputs import LAB, check_json, check_page
from recbole_logq.commands.results import write_page, write_result
from recbole_logq.errors import RequestError
from recbole_logq.flags import Flags, PageFile, ResultFile, YesNo, take_flags
from recbole_logq.lab.options import FoldingOptions, GradientOptions, TemperatureOptions, WeightOptions

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
    temperature: YesNo = Field(False, description="show a model's softmax against the temperature, with advice")
    output: ResultFile = None
    page: PageFile | None = Field(
        None, description="page with figures of estimators or temperatures, which opens offline"
    )


FLAGS = (LabFlags, GradientOptions, WeightOptions, TemperatureOptions, FoldingOptions)
QUESTIONS: dict[str, type[Flags]] = {
    "sample_weights": WeightOptions,
    "folding": FoldingOptions,
    "temperature": TemperatureOptions,
}
"""Questions beside that about estimators, with their options."""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, LabFlags, settings=True)
    check_json("output", flags.output, LAB)
    check_page("page", flags.page)
    questions = [name for name in QUESTIONS if getattr(flags, name)]
    if len(questions) > 1:
        words = " and ".join(f"--{name.replace('_', '-')}" for name in questions[:2])
        raise RequestError(f"{words} are two questions: ask one")
    if flags.page is not None and questions in (["folding"], ["sample_weights"]):
        raise RequestError("--page shows estimators or temperatures: leave it out here")
    question = QUESTIONS[questions[0]] if questions else GradientOptions
    take_flags(dict(options), question)  # what is wrong is said before torch is imported
    report, text = _answer(questions[0] if questions else None, options, flags.page is not None)
    write_result(flags.output, report)
    write_page(flags.page, text)


def _answer(question: str | None, options: dict[str, Any], with_page: bool) -> tuple[dict[str, Any], str]:
    """Ask the laboratory and print what it reports; gives the report and its page."""
    from recbole_logq.lab import command
    from recbole_logq.lab.lab_report import print_folding, print_gradients, print_weights

    if question == "sample_weights":
        report = command.sample_weights(**options)
        print_weights(report)
        return report, ""
    if question == "folding":
        report = command.folding(**options)
        print_folding(report)
        return report, ""
    if question == "temperature":
        from recbole_logq.lab.checkpoint_temperature import temperatures
        from recbole_logq.lab.temperature_report import print_temperatures, temperature_page

        report = temperatures(**options)
        print_temperatures(report)
        return report, temperature_page(report) if with_page else ""
    from recbole_logq.lab.lab_page import lab_page

    report = command.gradients(**options)
    print_gradients(report)
    return report, lab_page(report) if with_page else ""

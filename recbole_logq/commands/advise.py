"""What to train with."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from recbole_logq.commands.outputs import ADVICE, check_json
from recbole_logq.commands.results import write_result
from recbole_logq.flags import Flags, JsonFile, take_flags
from recbole_logq.lab.options import AdviceOptions

SUMMARY = "what to train with: encoder, negatives and batch for a memory and a time, each with its reason"
EXAMPLES = (
    "recbole-logq advise --dataset=ml-100k --memory_mb=500 --minutes=10",
    "recbole-logq advise --checkpoint=saved/SASRecCorrectedLogQ.pth --minutes=60",
)


class AdviseFlags(Flags):
    """What the command takes for itself."""

    output: JsonFile | None = Field(None, description="file for the result")


FLAGS = (AdviseFlags, AdviceOptions)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, AdviseFlags, settings=True)
    check_json("output", flags.output, ADVICE)
    take_flags(dict(options), AdviceOptions)  # what is wrong is said before torch is imported
    from recbole_logq.lab.advise import advise
    from recbole_logq.lab.lab_report import print_advice

    report = advise(**options)
    print_advice(report)
    write_result(flags.output, report)

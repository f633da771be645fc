"""Test a checkpoint again."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from recbole_logq.commands.outputs import RESULT, check_json
from recbole_logq.commands.results import print_result, write_result
from recbole_logq.flags import ConfigFiles, File, Flags, ResultFile, YesNo, take_flags
from recbole_logq.terminal import say

SUMMARY = "test a checkpoint again, under its own protocol or another one"
SETTINGS = "Settings of the evaluation, such as --topk=[5,20], --metrics=[NDCG] or --eval_args.mode=uni100"
EXAMPLES = (
    "recbole-logq evaluate --checkpoint=saved/TwoTowerCorrectedLogQ.pth",
    "recbole-logq evaluate --checkpoint=saved/TwoTowerCorrectedLogQ.pth --topk=[5,20] --output=again.json",
)


class EvaluateFlags(Flags):
    """What the command takes for itself."""

    checkpoint: File = Field(description="checkpoint of a run")
    config_files: ConfigFiles
    output: ResultFile = None
    allow_other_training: YesNo = Field(
        False, description="whether to test although the split's training part is not what the model was trained on"
    )


FLAGS = (EvaluateFlags,)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, EvaluateFlags, settings=True)
    check_json("output", flags.output, RESULT)
    from recbole_logq.experiment.evaluate import evaluate

    allowed = flags.allow_other_training
    result = evaluate(flags.checkpoint, flags.config_files, options, allow_other_training=allowed)
    print_result(result)
    if result["same_protocol"] and result["stored_test_result"] is not None:
        alike = result["test_result"] == result["stored_test_result"]
        say("same as the result stored after training" if alike else "DIFFERS from the result stored after training")
    write_result(flags.output, result)

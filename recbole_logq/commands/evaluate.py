"""Test a checkpoint again."""

from __future__ import annotations

from typing import Any

from recbole_logq.commands.options import config_files, write_result
from recbole_logq.commands.outputs import RESULT, check_json
from recbole_logq.errors import RequestError

USAGE = """\
  evaluate       test a checkpoint again:  --checkpoint=FILE [--output=FILE.json] [--any_setting=value ...]
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    output, file = options.pop("output", None), options.pop("checkpoint", None)
    if not file:
        raise RequestError("no checkpoint given: set --checkpoint=FILE")
    check_json("output", output, RESULT)
    files = config_files(options)
    other = options.pop("allow_other_training", False)
    from recbole_logq.experiment.evaluate import evaluate

    result = evaluate(str(file), files, options, allow_other_training=other is True)
    if result["same_protocol"] and result["stored_test_result"] is not None:
        same = result["test_result"] == result["stored_test_result"]
        print("same as the result stored after training" if same else "DIFFERS from the result stored after training")
    write_result(output, result)

"""Train and test; in several processes with ``--nproc``."""

from __future__ import annotations

from typing import Any

from recbole_logq.commands.options import config_files, write_result
from recbole_logq.commands.outputs import RESULT, check_json
from recbole_logq.early import check_request
from recbole_logq.errors import RequestError
from recbole_logq.launcher import launched_rank

USAGE = """\
  run (default)  train and test:  --model=NAME --dataset=NAME [--config_files="a.yaml b.yaml"]
                                  [--resume=FILE] [--output=FILE.json] [--nproc=2] [--any_setting=value ...]
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    output, resume = options.pop("output", None), options.pop("resume", None)
    if resume is True:
        raise RequestError("--resume has no value: write --resume=FILE, a checkpoint")
    files = config_files(options)
    model, dataset = options.pop("model", None), options.pop("dataset", None)
    check_json("output", output, RESULT)
    if resume is None:  # a checkpoint knows which plug-ins are missing
        check_request(model, dataset, options, files)
    from recbole_logq.experiment.processes import leave
    from recbole_logq.experiment.run import run

    result = run(model, dataset, files, options, resume=resume)
    leave()
    if launched_rank() == 0:
        write_result(output, result)


def launch(options: dict[str, Any], words: list[str]) -> None:
    """Run the command in several processes; whatever is wrong with the settings is said here, once.

    Args:
        options: As given.
        words: The same as words of a command line, without ``--nproc``.

    Raises:
        RequestError: The settings are wrong.
        WorkError: A process failed, or the work was interrupted.
    """
    check_json("output", options.pop("output", None), RESULT)
    resume = options.pop("resume", None)
    files = config_files(options)
    if resume is None:
        check_request(options.get("model"), options.get("dataset"), options, files)
    from recbole_logq.config import Config
    from recbole_logq.experiment.local_ranks import run_ranks

    config = Config(options.pop("model", None), options.pop("dataset", None), files, options)
    run_ranks(config["nproc"], words)

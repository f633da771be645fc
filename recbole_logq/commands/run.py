"""Train and test; in several processes with ``--nproc``."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from recbole_logq.commands.outputs import RESULT, check_json, check_page
from recbole_logq.commands.results import print_result, write_page, write_result
from recbole_logq.early import check_request
from recbole_logq.flags import ConfigFiles, File, Flags, Name, PageFile, ResultFile, take_flags
from recbole_logq.launcher import launched_rank

SUMMARY = "train and test a model; the default command"
SETTINGS = "Any setting, such as --epochs=20, --negatives.count=512 or --nproc=2"
EXAMPLES = (
    "recbole-logq --model=TwoTowerCorrectedLogQ --dataset=ml-100k",
    "recbole-logq run --config_files=mine.yaml --model=SASRecMNSCorrectedLogQ --epochs=50 --output=result.json",
)


class RunFlags(Flags):
    """What the command takes for itself."""

    model: Name | None = Field(None, description="model to train, here or in a file; `recbole-logq models` lists them")
    dataset: Name | None = Field(None, description="dataset, here or in a file")
    config_files: ConfigFiles
    resume: File | None = Field(None, description="checkpoint to go on from, such as saved/NAME-last.pth")
    output: ResultFile = None
    page: PageFile | None = Field(None, description="page with the results and training curves, which opens offline")


FLAGS = (RunFlags,)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = _checked(options)
    from recbole_logq.experiment.processes import leave
    from recbole_logq.experiment.run import run

    result = run(flags.model, flags.dataset, flags.config_files, options, resume=flags.resume)
    leave()
    if launched_rank() == 0:
        print_result(result)
        write_result(flags.output, result)
        if flags.page is not None:
            from recbole_logq.report.run_page import run_page

            write_page(flags.page, run_page(result))


def launch(options: dict[str, Any], words: list[str]) -> None:
    """Run the command in several processes; whatever is wrong with the settings is said here, once.

    Args:
        options: Options of the command.
        words: The same options as words of a command line, without ``--nproc``.

    Raises:
        RequestError: The settings are wrong.
        WorkError: A process failed, or the work was interrupted.
    """
    flags = _checked(options)
    from recbole_logq.config import Config
    from recbole_logq.experiment.local_ranks import run_ranks

    config = Config(flags.model, flags.dataset, flags.config_files, options)
    run_ranks(config["nproc"], words)


def _checked(options: dict[str, Any]) -> RunFlags:
    """The command's own flags, after everything that can be checked without torch."""
    flags = take_flags(options, RunFlags, settings=True)
    check_json("output", flags.output, RESULT)
    check_page("page", flags.page)
    if flags.resume is None:  # a checkpoint knows which plug-ins are missing
        check_request(flags.model, flags.dataset, options, flags.config_files)
    return flags

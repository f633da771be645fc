"""Search settings on Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from recbole_logq.allowed_values import Allowed
from recbole_logq.commands.compare import Address
from recbole_logq.errors import RequestError
from recbole_logq.flags import ConfigFiles, Flags, Folder, Text, take_flags
from recbole_logq.sweeps.sweep_plan import SweepKeys
from recbole_logq.terminal import say

SUMMARY = "search settings on Ray, by validation, and test the winner once"
SETTINGS = "Any setting, for all trials, such as --epochs=20"
EXAMPLES = (
    "recbole-logq sweep --model=TwoTowerCorrectedLogQ --dataset=ml-100k --params_file=hyper.test --trials=20",
    "recbole-logq sweep --config_files=sweep.yaml --resume",
)


class SweepFlags(Flags):
    """What the command takes for itself."""

    config_files: ConfigFiles
    params_file: Annotated[Text, Allowed("FILE")] | None = Field(None, description="the space as RecBole's range file")
    folder: Folder | None = Field(None, description="folder of trials and report; sweeps/TITLE by default")
    address: Address | None = Field(None, description="Ray cluster; this machine alone by default")
    resume: Any = Field(False, description="go on with what lies in the folder")


FLAGS = (SweepFlags, SweepKeys)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, SweepFlags, settings=True)
    if not isinstance(flags.resume, bool):
        raise RequestError(f"resume={flags.resume!r}: sweep goes on with what lies in its folder, write --resume alone")
    from recbole_logq.sweeps.sweep import sweep

    content = sweep(flags.config_files, options, flags.params_file, flags.folder, flags.address, flags.resume)
    from recbole_logq.report.screen import print_winners

    print_winners(content["searches"])
    say(f"report: {Path(content['folder']) / 'report.html'}")

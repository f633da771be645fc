"""Search settings on Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_logq.commands.options import config_files
from recbole_logq.errors import RequestError
from recbole_logq.terminal import say

USAGE = """\
  sweep          search settings on Ray, by validation:  --config_files=FILE.yaml, or --model=NAME --dataset=NAME
                 --params_file=hyper.test  [--trials=20] [--search=random|grid|optuna] [--folder=FOLDER]
                 [--address=auto|HOST:PORT|ray://HOST:PORT] [--resume] [--any_setting=value]
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    files = config_files(options)
    folder, address, params_file = (options.pop(key, None) for key in ("folder", "address", "params_file"))
    resume = options.pop("resume", False)
    if not isinstance(resume, bool):
        raise RequestError(f"resume={resume!r}: sweep goes on with what lies in its folder, write --resume alone")
    from recbole_logq.sweeps.sweep import sweep

    found = sweep(files, options, params_file, folder, address, resume)
    for one in found["searches"]:
        if one["winner"] is None:
            say(f"{one['name']}: no trial ended well")
            continue
        best = next(trial for trial in one["trials"] if trial["number"] == one["winner"])
        test = ", ".join(f"{metric} {value:.4f}" for metric, value in one["test_result"].items())
        say(f"{one['name']}: trial {one['winner']} wins, validation {one['metric']} {best['best_score']:.4f}")
        say(f"  test ({one['tested']}): {test}")
        say(f"  settings: {one['best']}")
    say(f"report: {Path(found['folder']) / 'report.html'}")

"""Train models with several seeds, or set stored results side by side."""

from __future__ import annotations

from typing import Any

from recbole_logq.commands.options import config_files, whole_flag
from recbole_logq.errors import RequestError
from recbole_logq.settings import check_keys
from recbole_logq.terminal import say

USAGE = """\
  compare        train models with several seeds and report the differences:  --models=A,B --dataset=NAME [--seeds=3]
                 or --config_files=FILE.yaml  [--processes=2] [--address=auto] [--folder=FOLDER] [--any_setting=value];
                 or results of `run --output` side by side:  --results="a.json b.json"
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    if "results" in options:
        check_keys(options, {"results"})
        from recbole_logq.comparisons.result_files import compare_files

        say(compare_files(str(options["results"] or "").split()))
        return
    files = config_files(options)
    folder, address = (options.pop(key, None) for key in ("folder", "address"))
    processes = whole_flag(options, "processes", 1)
    if options.pop("processes", None) is not None and address is not None:
        raise RequestError("--processes is for this machine: with --address the cluster says how many runs fit")
    from recbole_logq.comparisons.comparison import compare

    found = compare(files, options, folder, processes, address)
    say(next(path for path in found["report"] if path.suffix == ".md").read_text(encoding="utf-8"))
    say(f"report: {next(path for path in found['report'] if path.suffix == '.html')}")

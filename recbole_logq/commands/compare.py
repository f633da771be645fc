"""Train models with several seeds, or set stored results side by side."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from recbole_logq.allowed_values import Allowed
from recbole_logq.early import check_request
from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan import ComparisonKeys
from recbole_logq.flags import ConfigFiles, Flags, Folder, Number, Text, take_flags
from recbole_logq.setting_checks import check_keys
from recbole_logq.terminal import say

SUMMARY = "train models with several seeds and test the differences, or set stored results side by side"
SETTINGS = "Any setting, for all models, such as --epochs=20"
EXAMPLES = (
    "recbole-logq compare --models=TwoTowerCorrectedLogQ,TwoTowerLogQ --dataset=ml-100k --seeds=5 --processes=2",
    'recbole-logq compare --results="a.json b.json"',
)
Address = Annotated[Text, Allowed("auto, HOST:PORT, ray://HOST:PORT")]


class CompareFlags(Flags):
    """What the command takes for itself."""

    config_files: ConfigFiles
    folder: Folder | None = Field(None, description="folder of runs and report; comparisons/TITLE by default")
    processes: Number | None = Field(None, description="runs at a time on this machine; 1 by default")
    address: Address | None = Field(None, description="Ray cluster that runs them instead")
    results: Annotated[Text, Allowed('"A.json B.json"')] | None = Field(
        None, description="results of `run --output` to set side by side; nothing is trained"
    )


FLAGS = (CompareFlags, ComparisonKeys)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    if "results" in options:
        check_keys(options, {"results"})
        from recbole_logq.comparisons.result_files import compare_files
        from recbole_logq.report.screen import print_results

        print_results(compare_files((take_flags(options, CompareFlags).results or "").split()))
        return
    flags = take_flags(options, CompareFlags, settings=True)
    if flags.processes is not None and flags.address is not None:
        raise RequestError("--processes is for this machine: with --address the cluster says how many runs fit")
    from recbole_logq.experiment.plan import make_plan

    runs = make_plan(flags.config_files, options).runs
    for run in (run for run in runs if run.seed == runs[0].seed):  # those of other seeds differ in nothing else
        try:
            check_request(run.model, run.dataset, run.settings)
        except RequestError as error:
            raise RequestError(f"{run.name}: {error}") from error
    from recbole_logq.comparisons.comparison import compare

    comparison = compare(flags.config_files, options, flags.folder, flags.processes or 1, flags.address)
    from recbole_logq.report.screen import print_comparison  # with torch, which runs do not wait for
    from recbole_logq.report.summary import summarise

    print_comparison(summarise(comparison["records"], comparison["comparisons"]))
    say(f"report: {next(path for path in comparison['report'] if path.suffix == '.html')}")

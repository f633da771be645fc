"""Every flag of a command, beside the settings: which test shows what it does, or why none does."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.cli import COMMANDS, main
from recbole_logq.lab.options import GradientOptions

TESTS = Path(__file__).parents[1]
RUN, CONVERT, RECOMMEND = (
    "test_cli.py::test_run_then_evaluate",
    "data/source/test_convert.py",
    "serving/test_recommend.py",
)
PLAN, SWEPT = "experiment/test_plan.py", "sweeps/test_sweep.py::test_from_the_file_to_the_winner"
PLANNED = "sweeps/test_sweep_plan.py::test_files_options_and_models_are_merged"
TABLE, PAGE = "reliability/test_bad_requests.py::test_one_line_says_what_is_wrong", "audits/test_audit_page.py"
REFUSED = "reliability/test_every_flag.py::test_a_flag_that_would_change_nothing_is_refused"
FORMATS = "data/source/test_formats.py"
TEMPERATURE = "lab/test_temperature.py"
LAB, ADVISE, EXPORT = "lab/test_command.py", "lab/test_advise.py", "serving/test_export.py"

FLAGS: dict[str, dict[str, str]] = {
    "run": {
        "model": RUN,
        "dataset": RUN,
        "config_files": TABLE,
        "resume": "training/test_processes.py::test_a_run_in_two_processes_ends_like_a_run_in_one",
        "output": RUN,
        "page": "report/test_run_page.py::test_from_the_command_line_and_resumed",
        "nproc": "training/test_processes.py::test_a_run_in_two_processes_ends_like_a_run_in_one",
    },
    "evaluate": {
        "checkpoint": RUN,
        "config_files": REFUSED,
        "output": RUN,
        "allow_other_training": "experiment/test_run.py::test_evaluating_under_another_split",
    },
    "audit": {
        "config_files": REFUSED,
        "dataset": f"{PAGE}::test_command_json_and_page_say_the_same",
        "output": f"{PAGE}::test_command_json_and_page_say_the_same",
        "page": f"{PAGE}::test_command_json_and_page_say_the_same",
    },
    "compare": {
        "models": f"{PLAN}::test_models_and_seeds_on_the_command_line",
        "seeds": f"{PLAN}::test_models_and_seeds_on_the_command_line",
        "dataset": f"{PLAN}::test_models_and_seeds_on_the_command_line",
        "datasets": "several in one plan, as dataset is one",
        "reference": f"{PLAN}::test_runs_of_a_file",
        "title": f"{PLAN}::test_runs_of_a_file",
        "settings": f"{PLAN}::test_runs_of_a_file",
        "config_files": TABLE,
        "processes": "comparisons/test_comparison.py::test_killed_half_way_and_started_again_it_repeats_nothing",
        "address": "sweeps/test_sweep_on_a_cluster.py::test_compare_on_a_cluster",
        "folder": "comparisons/test_comparison.py::test_killed_half_way_and_started_again_it_repeats_nothing",
        "results": TABLE,
    },
    "sweep": {
        "config_files": SWEPT,
        "model": "sweeps/test_sweep_plan.py::test_refused_before_ray_starts",
        "models": PLANNED,
        "dataset": PLANNED,
        "title": "the heading of the report, and the name of its folder",
        "space": PLANNED,
        "settings": PLANNED,
        "trials": PLANNED,
        "search": PLANNED,
        "scheduler": SWEPT,
        "max_cpu_seconds": "sweeps/test_sweep_on_a_cluster.py::test_optuna_and_two_models_with_one_budget_on_a_cluster",
        "cpus": "sweeps/test_sweep_on_a_cluster.py::test_optuna_and_two_models_with_one_budget_on_a_cluster",
        "gpus": "sweeps/test_sweep_on_a_cluster.py::test_optuna_and_two_models_with_one_budget_on_a_cluster",
        "concurrent": "trials at a time, handed to Ray as it is",
        "search_seed": "sweeps/test_sweep_plan.py::test_refused_before_ray_starts",
        "params_file": TABLE,
        "folder": SWEPT,
        "address": "sweeps/test_sweep_on_a_cluster.py::test_optuna_and_two_models_with_one_budget_on_a_cluster",
        "resume": "sweeps/test_sweep.py::test_killed_half_way_and_resumed_in_a_copy",
    },
    "convert": {
        "input": TABLE,
        "dataset": TABLE,
        "user": f"{CONVERT}::test_rows_left_out_are_counted_by_reason",
        "item": f"{CONVERT}::test_rows_left_out_are_counted_by_reason",
        "time": f"{CONVERT}::test_times_become_seconds",
        "keep": f"{PAGE}::test_convert_from_the_command_line",
        "where": f"{FORMATS}::test_conditions_that_make_no_sense",
        "time_format": f"{FORMATS}::test_lists_in_text_and_dates_in_a_stated_form",
        "file_order": f"{FORMATS}::test_sessions_in_a_folder_by_the_order_of_the_file",
        "item_separator": f"{FORMATS}::test_lists_in_text_and_dates_in_a_stated_form",
        "header": f"{FORMATS}::test_gowalla_and_lastfm_without_a_header",
        "columns": f"{FORMATS}::test_on_the_command_line",
        "items": f"{FORMATS}::test_on_the_command_line",
        "items_id": f"{FORMATS}::test_on_the_command_line",
        "items_columns": f"{FORMATS}::test_movielens_1m_as_it_comes",
        "items_keep": f"{FORMATS}::test_on_the_command_line",
        "users": f"{FORMATS}::test_movielens_1m_as_it_comes",
        "users_id": f"{FORMATS}::test_movielens_1m_as_it_comes",
        "users_columns": f"{FORMATS}::test_movielens_1m_as_it_comes",
        "users_keep": f"{FORMATS}::test_movielens_1m_as_it_comes",
        "value_separator": f"{FORMATS}::test_yelp_retailrocket_and_kion",
        "format": "reliability/test_every_flag.py::test_how_a_file_is_read",
        "quote": f"{CONVERT}::test_different_names_stay_different_for_recbole",
        "separator": "reliability/test_every_flag.py::test_how_a_file_is_read",
        "encoding": "reliability/test_every_flag.py::test_how_a_file_is_read",
        "data_path": TABLE,
        "overwrite": f"{CONVERT}::test_nothing_is_written_over_unasked",
    },
    "lab": {
        **dict.fromkeys(sorted(GradientOptions.model_fields), f"{LAB}::test_a_trained_model_and_its_real_batches"),
        "plugins": "test_plugins.py::test_the_listing_and_the_laboratory",
        **dict.fromkeys(("items", "zipf", "stage"), f"{LAB}::test_a_stranger_may_ask_for_a_synthetic_world"),
        "limit": "positives to look at: lab/test_command.py::test_a_limit_on_the_rows, without the command",
        "top": f"{LAB}::test_sample_weights_are_one_minus_the_softmax",
        "sample-weights": f"{LAB}::test_sample_weights_are_one_minus_the_softmax",
        "folding": f"{LAB}::test_folding_as_a_command",
        **dict.fromkeys(("temperature", "temperatures"), f"{TEMPERATURE}::test_both_encoders_as_a_command"),
        "output": f"{LAB}::test_folding_as_a_command",
        "page": f"{LAB}::test_bad_requests",
    },
    "advise": {
        "dataset": f"{ADVISE}::test_from_data_without_times",
        "grade_field": f"{ADVISE}::test_skips_are_no_positives",
        "checkpoint": f"{ADVISE}::test_from_a_checkpoint",
        "memory_mb": f"{ADVISE}::test_too_little_memory_for_anything",
        "minutes": f"{ADVISE}::test_from_a_checkpoint",
        "rows": "rows whose gradient is looked at, as of lab",
        "pools": "pools of each row, as of lab",
        "data_path": f"{ADVISE}::test_from_data_without_times",
        "seed": "of rows, windows and pools, handed to the laboratory as it is",
        "show_progress": "a bar over the ways to train",
        "plugins": "test_plugins.py::test_a_checkpoint_names_plug_ins_and_runs_none",
        "output": f"{ADVISE}::test_from_a_checkpoint",
    },
    "export": {
        "checkpoint": f"{RECOMMEND}::test_bad_requests",
        "folder": f"{RECOMMEND}::test_bad_exports",
        "index": f"{EXPORT}::test_what_is_in_the_folder",
        "index_options": "serving/test_recommend.py::test_bad_requests",
        "history": f"{EXPORT}::test_histories_up_to_a_part",
        "item_title_field": f"{RECOMMEND}::test_bad_exports",
        "data_path": "a dataset that has moved; every export of the tests has one",
        "overwrite": f"{EXPORT}::test_a_folder_is_replaced_on_request_alone",
        "plugins": "test_plugins.py::test_a_checkpoint_names_plug_ins_and_runs_none",
    },
    "recommend": {
        "model": f"{RECOMMEND}::test_users_and_a_visitor_on_the_screen",
        "users": f"{RECOMMEND}::test_users_and_a_visitor_on_the_screen",
        "history": f"{RECOMMEND}::test_users_and_a_visitor_on_the_screen",
        "items": "serving/test_similar.py::test_on_the_command_line",
        "by": "serving/test_similar.py::test_on_the_command_line",
        "input": "serving/test_context.py::test_on_the_screen_and_from_a_file",
        "output": "serving/test_context.py::test_on_the_screen_and_from_a_file",
        "context": "serving/test_context.py::test_on_the_screen_and_from_a_file",
        "text": "serving/test_texts.py::test_commands_and_files",
        "new_items": "serving/test_texts.py::test_commands_and_files",
        "second": "models/test_second_histories.py::test_the_folder_serves_what_the_evaluator_ranks",
        "at": "serving/test_moments.py::test_a_folder_asked_at_the_targets_time_is_the_test",
        "times": "serving/test_moments.py::test_a_folder_asked_at_the_targets_time_is_the_test",
        "k": f"{RECOMMEND}::test_users_and_a_visitor_on_the_screen",
        "exclude_history": f"{RECOMMEND}::test_users_and_a_visitor_on_the_screen",
        "index": f"{RECOMMEND}::test_bad_requests",
        "index_options": f"{RECOMMEND}::test_bad_requests",
        "show_progress": "a bar while a file is read; refused elsewhere, below",
        "plugins": "test_plugins.py::test_a_checkpoint_names_plug_ins_and_runs_none",
    },
    "models": {"plugins": "test_plugins.py::test_the_listing_and_the_laboratory"},
    "settings": {
        "model": "test_reference.py::test_the_settings_of_a_model",
        "plugins": "test_reference.py::test_settings_of_a_plug_in",
        "format": "test_reference.py::test_the_page_is_what_the_command_prints",
    },
}
"""By command: a test, as ``file::function`` of tests/, or a reason."""


@pytest.mark.parametrize("command", COMMANDS)
def test_no_flag_is_without_a_line(command: str, seen: Any) -> None:
    declared = {flag for model in COMMANDS[command].FLAGS for flag in model.model_fields}
    listed = {flag.replace("-", "_") for flag in FLAGS[command]}
    assert declared == listed - {"nproc"}  # a setting, which the launcher of run reads
    for flag, line in FLAGS[command].items():
        file, _, name = line.partition("::") if " " not in line else (line, "", "")
        if name:
            text = (TESTS / file).read_text(encoding="utf-8")
            assert name in {node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)}
            assert re.search(rf"\b{flag}\b", text), f"{file} does not mention {flag}"
        seen("flags", f"`{command} --{flag}`", f"`{line}`" if name else line)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["audit", "--dataset=ml-100k", "--epochs=5"], "epochs: an audit is about the data"),
        (["audit", "--dataset=ml-100k", "--metrics=[NDCG]", "--valid_metric=NDCG@1"], "an audit is about the data"),
        (["audit", "--dataset=ml-100k", "--train_batch_size=9"], "train_batch_size: an audit"),
        (["audit", "--dataset=ml-100k", "--config_files=a.yaml"], "eval_args: an audit"),
        (["compare", "--models=BPR,Pop", "--dataset=ml-100k", "--processes=2", "--address=auto"], "the cluster says"),
        (["lab", "--folding", "--show_progress=false"], "unknown setting show_progress"),
        (["lab", "--sample-weights", "--checkpoint=a.pth", "--show_progress=false"], "unknown setting show_progress"),
        (["recommend", "--model=out", "--users=a", "--show_progress=true"], "--show_progress is for --input"),
        (
            ["evaluate", "--checkpoint=a.pth", "--config_files=none.yaml"],
            "cannot read the configuration file none.yaml",
        ),
        (["evaluate", "--checkpoint=a.pth", "--allow_other_training=perhaps"], "true or false"),
        (["--model=BPR", "--dataset=ml-100k", "--config_file=a.yaml"], "give --config_files=FILE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_flag_that_would_change_nothing_is_refused(
    in_tmp: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    (in_tmp / "a.yaml").write_text("eval_args: {split: {RS: [0.8, 0.1, 0.1]}, order: RO}\n")
    assert main(words) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "content"),
    [
        (["--separator=;"], "user,x;item,y;time\n" + "".join(f"u{n};i{n};{n}\n" for n in range(9))),
        (["--encoding=latin-1"], "user,item,time\n" + "".join(f"ü{n},i{n},{n}\n" for n in range(9))),
        (["--format=sequences"], "".join(f"u{n} i{n} i{n + 1}\n" for n in range(9))),
    ],
    ids=str,
)
def test_how_a_file_is_read(in_tmp: Path, words: list[str], content: str) -> None:
    """What a file without the flag is not."""
    (in_tmp / "a.csv").write_bytes(content.encode("latin-1"))
    columns = ["--user=user,x", "--item=item,y"] if ";" in content else []
    command = ["convert", "--input=a.csv", "--dataset=mine", "--data_path=data"]
    without = main([*command, *columns])
    assert without == 2 or len((in_tmp / "data/mine/mine.inter").read_text().splitlines()) < 10
    assert main([*command, *columns, *words, "--overwrite=true"]) == 0
    assert len((in_tmp / "data/mine/mine.inter").read_text().splitlines()) >= 10


def test_the_table_is_whole(names_in_page: Callable[[str], list[str]]) -> None:
    names = [f"`{command} --{flag}`" for command, flags in FLAGS.items() for flag in flags]
    assert names_in_page("flags") == names

"""The command line: ``run`` is the default command.

Exit status 0: done; 1: the work failed; 2: the request was wrong. Either failure is one clear line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recbole_logq import __version__
from recbole_logq.errors import RequestError, WorkError, out_of_memory
from recbole_logq.experiment.files import write_json, write_text
from recbole_logq.parsing import parse_arguments
from recbole_logq.settings import check_keys, nearest

USAGE = """\
usage: run_recbole_logq.py [COMMAND] [--key=value ...]

  run (default)  train and test:  --model=NAME --dataset=NAME [--config_files="a.yaml b.yaml"]
                                  [--resume=FILE] [--output=FILE.json] [--nproc=2] [--any_setting=value ...]
  evaluate       test a checkpoint again:  --checkpoint=FILE [--output=FILE.json] [--any_setting=value ...]
  audit          what a dataset's test set really is:  --dataset=NAME [--output=FILE.json] [--page=FILE.html]
                                  [--any_filter=value ...]
  compare        train models with several seeds and report the differences:  --models=A,B --dataset=NAME [--seeds=3]
                 or --config_files=FILE.yaml  [--processes=2] [--address=auto] [--folder=FOLDER] [--any_setting=value];
                 or results of `run --output` side by side:  --results="a.json b.json"
  sweep          search settings on Ray, by validation:  --config_files=FILE.yaml, or --model=NAME --dataset=NAME
                 --params_file=hyper.test  [--trials=20] [--search=random|grid|optuna] [--folder=FOLDER]
                 [--address=auto|HOST:PORT|ray://HOST:PORT] [--resume] [--any_setting=value]
  convert        CSV, Parquet or sequences to atomic files:  --input=FILE --dataset=NAME [--user=COLUMN]
                 [--item=COLUMN] [--time=COLUMN] [--keep.COLUMN=TYPE ...] [--format=csv|parquet|sequences]
                 [--separator=C] [--encoding=NAME] [--data_path=FOLDER] [--overwrite=true]
  lab            what an estimator does to the gradient, against the full softmax: on a synthetic world
                 [--items=1000] [--zipf=1] [--stage=early|mid|converged], or on a model: [--checkpoint=FILE]
                 [--estimators="CorrectedLogQ LOSS+SOURCE:key=value"] [--counts=[64,1024]] [--output=FILE.json]
                 [--page=FILE.html];  lab --sample-weights --checkpoint=FILE;  lab --folding
  export         a checkpoint to a folder that serves without RecBole:  --checkpoint=FILE --folder=FOLDER
                 [--index=exact|hnsw|ivfpq] [--index_options.ef_search=128] [--history=train|valid|all]
                 [--item_title_field=COLUMN] [--data_path=FOLDER] [--overwrite=true]
  recommend      the best items, from such a folder (or a checkpoint):  --model=FOLDER --users=a,b, or
                 --history="item1,item2" of a visitor, or --input=users.csv --output=top.parquet
                 [--k=10] [--exclude_history=true] [--context="hour=12,device=web"] [--index=exact]
                 [--index_options.ef_search=128]
  models         list models, recipes, losses and sources of negatives, with a line each

  --debug=true   show the traceback of an error
Settings are RecBole's and this package's; sections are reached with a dot: --negatives.count=512.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = False
    try:
        if any(word in {"-h", "--help", "help"} for word in words):
            print(USAGE, end="")
            return 0
        if words == ["--version"]:
            print(__version__)
            return 0
        name = words.pop(0) if words and not words[0].startswith("-") else "run"
        if name not in COMMANDS:
            raise RequestError(f"no command named {name!r}{nearest(name, set(COMMANDS))} (see --help)")
        options = parse_arguments(words)
        debug = bool(options.pop("debug", False))
        if name == "run" and options.get("nproc", 1) != 1 and "RANK" not in os.environ:
            return _run_in_processes(dict(options), [word for word in words if not word.startswith("--nproc=")])
        COMMANDS[name](options)
        return 0
    except (RequestError, WorkError) as error:
        if int(os.environ.get("RANK", 0)) and isinstance(error, RequestError):
            return error.exit_status  # the first of several processes says it
        return _fail(error, error.exit_status, debug)
    except ImportError as error:
        return _fail(error, 2, debug, f"this needs a package that is not installed: {error.name or error}")
    except KeyboardInterrupt:
        if not int(os.environ.get("RANK", 0)):
            print("error: interrupted", file=sys.stderr)
        return 1
    except Exception as error:
        if out_of_memory(error):
            sizes = "train_batch_size, eval_batch_size, negatives.count or embedding_size"
            return _fail(error, 1, debug, f"out of memory: lower {sizes}")
        return _fail(error, 1, debug, f"unexpected {type(error).__name__}: {error} (--debug=true shows where)")


def _fail(error: BaseException, status: int, debug: bool, line: str | None = None) -> int:
    if debug:
        raise error
    text = " ".join((line or str(error)).split())
    print(f"error: {text}", file=sys.stderr)
    return status


def _run_in_processes(options: dict[str, Any], words: list[str]) -> int:
    """Start ``run`` several times; whatever is wrong with the settings is said here, once."""
    _check_writable("output", options.pop("output", None))
    options.pop("resume", None)
    files = _files(options)
    from recbole_logq.config import Config
    from recbole_logq.experiment.processes import launch

    config = Config(options.pop("model", None), options.pop("dataset", None), files, options)
    return launch(config["nproc"], words)


def _run(options: dict[str, Any]) -> None:
    output, resume = options.pop("output", None), options.pop("resume", None)
    if resume is True:
        raise RequestError("--resume has no value: write --resume=FILE, a checkpoint")
    files = _files(options)
    model, dataset = options.pop("model", None), options.pop("dataset", None)
    _check_writable("output", output)
    from recbole_logq.experiment.processes import leave
    from recbole_logq.experiment.run import run

    result = run(model, dataset, files, options, resume=resume)
    leave()
    if int(os.environ.get("RANK", 0)) == 0:
        _write_json(output, result)


def _evaluate(options: dict[str, Any]) -> None:
    output, file = options.pop("output", None), options.pop("checkpoint", None)
    if not file:
        raise RequestError("no checkpoint given: set --checkpoint=FILE")
    _check_writable("output", output)
    files = _files(options)
    other = options.pop("allow_other_training", False)
    from recbole_logq.experiment.evaluate import evaluate

    result = evaluate(str(file), files, options, allow_other_training=other is True)
    if result["same_protocol"] and result["stored_test_result"] is not None:
        same = result["test_result"] == result["stored_test_result"]
        print("same as the result stored after training" if same else "DIFFERS from the result stored after training")
    _write_json(output, result)


def _audit(options: dict[str, Any]) -> None:
    output, html = options.pop("output", None), options.pop("page", None)
    if "dataset" not in options:
        raise RequestError("no dataset given: set --dataset=NAME")
    for flag, path in (("output", output), ("page", html)):
        _check_writable(flag, path)
    files = _files(options)
    from recbole_logq.experiment.audit import audit
    from recbole_logq.experiment.audit_page import page, print_audit

    report = audit(options.pop("dataset"), files, options)
    print_audit(report)
    _write_json(output, report)
    _write(html, page(report) if html else "")


def _lab(options: dict[str, Any]) -> None:
    output, html = options.pop("output", None), options.pop("page", None)
    for flag, path in (("output", output), ("page", html)):
        _check_writable(flag, path)
    if html is not None and (options.get("folding") or options.get("sample_weights")):
        raise RequestError("--page shows estimators: leave it out here")
    from recbole_logq.lab.command import run_lab
    from recbole_logq.lab.report import gradients_page

    report, show = run_lab(options)
    show(report)
    _write_json(output, report)
    _write(html, gradients_page(report) if html else "")


def _compare(options: dict[str, Any]) -> None:
    if "results" in options:
        check_keys(options, {"results"})
        from recbole_logq.experiment.compare import compare_files

        print(compare_files(str(options["results"] or "").split()))
        return
    files = _files(options)
    folder, processes, address = (options.pop(key, None) for key in ("folder", "processes", "address"))
    if processes is not None and (isinstance(processes, bool) or not isinstance(processes, int) or processes < 1):
        raise RequestError(f"processes={processes!r}: how many runs at a time, 1 or more")
    from recbole_logq.experiment.comparison import compare

    found = compare(files, options, folder, processes or 1, address)
    print(next(path for path in found["report"] if path.suffix == ".md").read_text(encoding="utf-8"))
    print(f"report: {next(path for path in found['report'] if path.suffix == '.html')}")


def _sweep(options: dict[str, Any]) -> None:
    files = _files(options)
    folder, address, params_file = (options.pop(key, None) for key in ("folder", "address", "params_file"))
    resume = options.pop("resume", False)
    if not isinstance(resume, bool):
        raise RequestError(f"resume={resume!r}: sweep goes on with what lies in its folder, write --resume alone")
    from recbole_logq.experiment.sweep.sweep import sweep

    found = sweep(files, options, params_file, folder, address, resume)
    for one in found["searches"]:
        if one["winner"] is None:
            print(f"{one['name']}: no trial ended well")
            continue
        best = next(trial for trial in one["trials"] if trial["number"] == one["winner"])
        test = ", ".join(f"{metric} {value:.4f}" for metric, value in one["test_result"].items())
        print(f"{one['name']}: trial {one['winner']} wins, validation {one['metric']} {best['best_score']:.4f}")
        print(f"  test ({one['tested']}): {test}")
        print(f"  settings: {one['best']}")
    print(f"report: {Path(found['folder']) / 'report.html'}")


def _convert(options: dict[str, Any]) -> None:
    known = {"input", "dataset", "data_path", "format", "user", "item", "time", "keep", "separator", "encoding"}
    check_keys(options, known | {"overwrite"})
    for key in ("input", "dataset"):
        if key not in options:
            raise RequestError(f"convert needs --{key}=: --input=FILE --dataset=NAME")
    _check_flag(options, "overwrite")
    if not isinstance(options.get("keep", {}), dict):
        raise RequestError("keep names a column and its type: --keep.rating=float")
    from recbole_logq.data.convert import convert

    report = convert(options.pop("input"), options.pop("dataset"), **options)
    print("\n".join(report.lines()))
    folder = Path(report.target).parent
    print(
        f"use it with --dataset={folder.name}"
        + ("" if str(folder.parent) == "datasets" else f" --data_path={folder.parent}")
    )


def _export(options: dict[str, Any]) -> None:
    check_keys(
        options,
        {"checkpoint", "folder", "index", "index_options", "history", "item_title_field", "data_path", "overwrite"},
    )
    for key, value in (("checkpoint", "FILE"), ("folder", "FOLDER")):
        if not options.get(key):
            raise RequestError(f"export needs --{key}={value}")
    _check_flag(options, "overwrite")
    from recbole_logq.serving.export import export

    file, folder = options.pop("checkpoint"), options.pop("folder")
    manifest = export(str(file), folder, **options)
    data, index = manifest["data"], manifest["index"]
    print(f"{folder}: {data['items']:,} items, {data['users']:,} users, index {index['name']}")
    for name, value in index["measured"].items():
        print(f"  {name.replace('_', ' ')}: {value:,}")


def _recommend(options: dict[str, Any]) -> None:
    ways = {"users", "history", "input"}
    known = {"model", "output", "k", "exclude_history", "context", "index", "index_options", "show_progress"}
    check_keys(options, known | ways)
    if not options.get("model"):
        raise RequestError("no model given: set --model=FOLDER, made by export, or --model=FILE.pth")
    if len(given := sorted(ways & options.keys())) != 1:
        found = " and ".join(f"--{key}" for key in given) or "none"
        raise RequestError(f"recommend takes one of --users=a,b, --history=item1,item2 and --input=FILE, found {found}")
    for key in ("exclude_history", "show_progress"):
        _check_flag(options, key)
    k, output = options.get("k", 10), options.get("output")
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise RequestError(f"k={k!r}: a whole number, 1 or more")
    if output is not None and "input" not in options:
        raise RequestError("--output is for --input; a few users are printed")
    if "context" in options and "input" in options:
        raise RequestError("--context is for --users and --history; the rows of --input have columns of it")
    _check_writable("output", output)
    from recbole_logq.serving.recommend import check_files, opened, recommend_file, show, split_context, split_tokens

    if "input" in options:
        check_files(options["input"], output)
    rows = split_tokens(str(options.get("users", "")))
    history = split_tokens(str(options.get("history", "")))
    if "users" in options and not rows:
        raise RequestError("--users is empty: --users=a,b")
    context = split_context(str(options["context"])) if "context" in options else None
    excluded = options.get("exclude_history", False)
    with opened(options["model"], options.get("index"), options.get("index_options")) as retriever:
        if "input" in options:
            shown = options.get("show_progress", True)
            n = recommend_file(retriever, options["input"], str(output), k, excluded, show_progress=shown)
            print(f"{output}: the best {k} items of {n:,} rows")
            return
        who: dict[str, Any] = {"users": rows} if "users" in options else {"histories": [history]}
        names = rows or ["visitor"]
        contexts = None if context is None else [context] * len(names)
        show(retriever.recommend(**who, k=k, exclude_history=excluded, contexts=contexts), names)


def _check_flag(options: dict[str, Any], key: str) -> None:
    if not isinstance(options.get(key, False), bool):
        raise RequestError(f"{key}={options[key]!r}: true or false")


def _files(options: dict[str, Any]) -> list[str]:
    return str(options.pop("config_files", None) or "").split()


def _models(options: dict[str, Any]) -> None:
    if options:
        raise RequestError(f"models takes no settings, found --{min(options)}")
    from recbole_logq.catalog import print_catalog

    print_catalog()


def _check_writable(flag: str, target: Any) -> None:
    # Before hours of training: a result that cannot be written is lost.
    if target is None:
        return
    folder = Path(str(target)).absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(str(target)).is_dir():
        raise RequestError(f"--{flag}={target}: cannot write there, give a file in an existing folder")


def _write_json(target: Any, result: dict[str, Any]) -> None:
    if target is not None:
        write_json(str(target), result)


def _write(target: Any, text: str) -> None:
    if target is not None:
        write_text(str(target), text)


COMMANDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "run": _run,
    "evaluate": _evaluate,
    "audit": _audit,
    "compare": _compare,
    "sweep": _sweep,
    "convert": _convert,
    "lab": _lab,
    "export": _export,
    "recommend": _recommend,
    "models": _models,
}

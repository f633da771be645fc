"""The best items for users."""

from __future__ import annotations

from typing import Any

from recbole_logq.commands.options import check_flag, whole_flag
from recbole_logq.commands.outputs import check_table
from recbole_logq.errors import RequestError
from recbole_logq.settings import check_keys
from recbole_logq.terminal import say

USAGE = """\
  recommend      the best items, from such a folder (or a checkpoint):  --model=FOLDER --users=a,b, or
                 --history="item1,item2" of a visitor, or --input=users.csv --output=top.parquet
                 [--k=10] [--exclude_history=true] [--context="hour=12,device=web"] [--index=exact]
                 [--at=TIME of the request] [--times=T1,T2 of a visitor's items]
                 [--index_options.ef_search=128] [--plugins=FILE.py of a checkpoint's]
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    ways = {"users", "history", "input"}
    known = {"model", "output", "k", "exclude_history", "context", "index", "index_options", "show_progress", "plugins"}
    known |= {"at", "times"}
    check_keys(options, known | ways)
    if not options.get("model"):
        raise RequestError("no model given: set --model=FOLDER, made by export, or --model=FILE.pth")
    if len(given := sorted(ways & options.keys())) != 1:
        found = " and ".join(f"--{key}" for key in given) or "none"
        raise RequestError(f"recommend takes one of --users=a,b, --history=item1,item2 and --input=FILE, found {found}")
    for key in ("exclude_history", "show_progress"):
        check_flag(options, key)
    k, output = whole_flag(options, "k", 10), options.get("output")
    if output is not None and "input" not in options:
        raise RequestError("--output is for --input; a few users are printed")
    if "show_progress" in options and "input" not in options:
        raise RequestError("--show_progress is for --input; a few users take no time")
    if "times" in options and "history" not in options:
        raise RequestError("--times is for --history; those of users are in the folder, and rows of --input have them")
    if "context" in options and "input" in options:
        raise RequestError("--context is for --users and --history; the rows of --input have columns of it")
    from recbole_logq.serving.recommend import check_files, opened, recommend_file, show
    from recbole_logq.serving.tokens import split_context, split_tokens

    if "input" in options:
        check_files(options["input"], output)
        check_table("output", output)
    rows = split_tokens(str(options.get("users", "")))
    history = split_tokens(str(options.get("history", "")))
    if "users" in options and not rows:
        raise RequestError("--users is empty: --users=a,b")
    context = split_context(str(options["context"])) if "context" in options else None
    excluded = options.get("exclude_history", False)
    with opened(
        options["model"], options.get("index"), options.get("index_options"), options.get("plugins")
    ) as retriever:
        if "input" in options:
            shown = options.get("show_progress", True)
            n = recommend_file(
                retriever, options["input"], str(output), k, excluded, show_progress=shown, at=options.get("at")
            )
            say(f"{output}: the best {k} items of {n:,} rows")
            return
        who: dict[str, Any] = {"users": rows} if "users" in options else {"histories": [history]}
        names = rows or ["visitor"]
        who |= {"times": [split_tokens(str(options["times"]))]} if "times" in options else {}
        contexts = None if context is None else [context] * len(names)
        best = retriever.recommend(**who, k=k, exclude_history=excluded, contexts=contexts, at=options.get("at"))
        show(best, names)

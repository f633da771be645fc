"""Which columns of a table become which of an atomic file."""

from __future__ import annotations

from pathlib import Path

from recbole_logq.errors import RequestError
from recbole_logq.settings import nearest

# Names that data sets in the wild give to the columns, compared without case and punctuation.
GUESSES = {
    "user_id": {"userid", "user", "uid", "u", "customerid", "customer", "reviewerid", "visitorid", "sessionid"},
    "item_id": {"itemid", "item", "iid", "i", "movieid", "productid", "articleid", "asin", "parentasin", "sid"},
    "timestamp": {"timestamp", "time", "ts", "t", "datetime", "date", "unixreviewtime", "eventtime", "createdat"},
    "rating": {"rating", "score", "overall", "stars"},
}


def choose_columns(
    names: list[str], wanted: dict[str, str | None], keep: dict[str, str], source: Path
) -> dict[str, tuple[str, str, str]]:
    """Target name to (source name, given or guessed, atomic type)."""
    chosen: dict[str, tuple[str, str, str]] = {}
    for target, given in wanted.items():
        name = given if given is not None else _guess(target, names)
        flag = {"user_id": "user", "item_id": "item", "timestamp": "time"}[target]
        if name is None and target != "timestamp":
            raise RequestError(f"{source} has columns {', '.join(names)}: say which is the {flag} with --{flag}=COLUMN")
        if name is None:
            continue
        if name not in names:
            raise RequestError(f"{flag}={name}: {source} has no such column{nearest(name, set(names))}")
        kind = "float" if target == "timestamp" else "token"
        chosen[target] = (name, "given" if given is not None else "guessed by its name", kind)
    rating = _guess("rating", names)
    if rating is not None and rating not in keep:
        chosen["rating"] = (rating, "guessed by its name", "float")
    for name, kind in keep.items():
        if name not in names:
            raise RequestError(f"keep={name}: {source} has no such column{nearest(name, set(names))}")
        if kind not in {"token", "float", "token_seq", "float_seq"}:
            raise RequestError(f"keep.{name}={kind}: one of token, float, token_seq, float_seq")
        if name in chosen:
            raise RequestError(f"keep.{name}: the atomic file has a column of that name already")
        chosen[name.replace(":", "_")] = (name, "given", kind)  # a colon ends the name in an atomic file
    for name in {name for name, _, _ in chosen.values()}:
        if names.count(name) > 1:
            raise RequestError(f"{source} has {names.count(name)} columns called {name}: rename them")
    used = [name for name, _, _ in chosen.values()]
    twice = next((name for name in used if used.count(name) > 1), None)
    if twice is not None:
        raise RequestError(f"column {twice} would be used twice: name them with --user, --item and --time")
    return chosen


def _guess(target: str, names: list[str]) -> str | None:
    plain = {name: "".join(filter(str.isalnum, name.split(":")[0].lower())) for name in names}
    return next((name for name in names if plain[name] in GUESSES[target]), None)

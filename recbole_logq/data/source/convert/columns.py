"""Which columns of a table become which of an atomic file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest

# Names that data sets in the wild give to the columns, compared without case and punctuation.
_NAMES = {
    "user_id": "userid user uid u customerid customer reviewerid visitorid username accountid clientid sessionid",
    "item_id": (
        "itemid item iid i movieid productid parentasin asin articleid songid trackid artistid businessid gameid appid "
        "placeid locationid itemids sid"
    ),
    "timestamp": (
        "timestamp time ts t datetime date unixreviewtime eventtime createdat timestamps checkintime lastwatchdt"
    ),
    "rating": "rating score overall stars",
}
GUESSES = {target: names.split() for target, names in _NAMES.items()}
KINDS = frozenset({"token", "float", "token_seq", "float_seq"})


class Column(NamedTuple):
    """Where a column comes from.

    Attributes:
        source: Its name in the table.
        reason: Reason for the choice.
        kind: Its type in the atomic file.
    """

    source: str
    reason: str
    kind: str


def choose_columns(
    names: list[str], roles: dict[str, str | None], keep: dict[str, str], source: Path
) -> dict[str, Column]:
    """The columns of the atomic file by their names there.

    Args:
        names: names of the table's columns.
        roles: Columns of the user, the item and the time, None where it is to be guessed.
        keep: Further columns with their types.
        source: The file, for errors.

    Raises:
        RequestError: There is no such column, or a column would be lost.
    """
    chosen: dict[str, Column] = {}
    for target, chosen_name in roles.items():
        name = chosen_name if chosen_name is not None else guess(target, names)
        flag = {"user_id": "user", "item_id": "item", "timestamp": "time"}[target]
        if name is None and target != "timestamp":
            raise RequestError(f"{source} has columns {', '.join(names)}: say which is the {flag} with --{flag}=COLUMN")
        if name is None:
            continue
        if name not in names:
            raise RequestError(f"{flag}={name}: {source} has no such column{nearest(name, set(names))}")
        kind = "float" if target == "timestamp" else "token"
        chosen[target] = Column(name, "given" if chosen_name is not None else "guessed by its name", kind)
    rating = guess("rating", names)
    if rating is not None and rating not in keep and rating not in [column.source for column in chosen.values()]:
        chosen["rating"] = Column(rating, "guessed by its name", "float")
    for name, kind in keep.items():
        if name not in names:
            raise RequestError(f"keep={name}: {source} has no such column{nearest(name, set(names))}")
        if kind not in KINDS:
            raise RequestError(f"keep.{name}={kind}: one of token, float, token_seq, float_seq")
        target = atomic_name(name)
        if target in chosen:
            raise RequestError(f"keep.{name}: the atomic file has a column {target} already")
        chosen[target] = Column(name, "given", kind)
    used = [column.source for column in chosen.values()]
    for name in used:
        if names.count(name) > 1:
            raise RequestError(f"{source} has {names.count(name)} columns called {name}: rename them")
        if used.count(name) > 1:
            raise RequestError(f"column {name} would be used twice: name them with --user, --item and --time")
    return chosen


def atomic_name(name: str) -> str:
    """Name of a column in an atomic file, where a colon ends it.

    Raises:
        RequestError: An atomic file cannot have such a name.
    """
    if set(name) & set('\t\r\n"'):
        raise RequestError(f"column {name!r}: an atomic file cannot have such a name, rename the column")
    return name.replace(":", "_")


def guess(target: str, names: list[str]) -> str | None:
    """The column whose name is the likeliest for a target, the first in the order of :data:`GUESSES`."""
    plain = {"".join(filter(str.isalnum, name.split(":")[0].lower())): name for name in reversed(names)}
    return next((plain[word] for word in GUESSES[target] if word in plain), None)

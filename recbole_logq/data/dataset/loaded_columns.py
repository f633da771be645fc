"""Which columns are read: what ``load_col`` and ``unload_col`` say, and what other settings name."""

from __future__ import annotations

from typing import Any

from recbole_logq.data.dataset.feature_columns import feature_names, with_features
from recbole_logq.data.dataset.observed_negatives import observed_field
from recbole_logq.errors import RequestError

_IDS = {"inter": ("USER_ID_FIELD", "ITEM_ID_FIELD"), "user": ("USER_ID_FIELD",), "item": ("ITEM_ID_FIELD",)}


def columns_to_load(values: dict[str, Any], given: dict[str, Any], needs_time: bool) -> dict[str, Any] | None:
    """``load_col`` with all that the settings ask for; None for every column of every file.

    RecBole loads ids alone by default and then stops at the first need of time. A column that a setting names is
    wanted, whatever else is loaded.

    Args:
        values: The settings, with RecBole's ``load_col``.
        given: Settings that the user set.
        needs_time: Whether the split or the model goes by time.

    Raises:
        RequestError: ``unload_col`` says what ``load_col`` says too, or leaves out what is needed.
    """
    loaded, of_ml100k = values.get("load_col"), values["dataset"] == "ml-100k"
    columns = [values[key] for key in (*_IDS["inter"], *(("TIME_FIELD",) if needs_time else ()))]
    if "load_col" not in given and not of_ml100k:
        loaded = {**(loaded or {}), "inter": columns}
    elif isinstance(loaded, dict) and loaded and "inter" not in loaded and not of_ml100k:
        loaded = {"inter": columns, **loaded}  # features were asked for; without interactions there is nothing
    if isinstance(loaded, dict) and values.get("unload_col"):
        loaded = _without(loaded, values["unload_col"], given.get("load_col") or {})
    loaded = with_features(loaded, values)
    setting_of = _columns_of_settings(values)
    _check_unloaded(values, setting_of)
    if isinstance((loaded or {}).get("inter"), list):
        loaded = {**loaded, "inter": list(dict.fromkeys([*loaded["inter"], *setting_of]))} if setting_of else loaded
    return loaded


def _columns_of_settings(values: dict[str, Any]) -> dict[str, str]:
    """Columns of interactions that settings name beside ids, and the settings, as they are given."""
    columns = {key: values.get(key) for key in ("weight_field", "segment_field", "impression_field", "grade_field")}
    columns |= {f"threshold.{column}": column for column in values.get("threshold") or {}}
    columns |= {f"context_features: {column}": column for column in feature_names(values, "context_features")}
    columns["negatives.field"] = observed_field(values)
    return {column: key for key, column in columns.items() if column}


def _without(loaded: dict[str, Any], unloaded: dict[str, Any], loaded_by_user: dict[str, Any]) -> dict[str, Any]:
    """RecBole takes one of the two for a file: columns to leave out are left out of all that it has."""
    for suffix, columns in unloaded.items():
        if isinstance(loaded_by_user.get(suffix), list):
            raise RequestError(
                f"unload_col.{suffix} beside load_col.{suffix}: the first leaves {', '.join(columns)} out of all, the "
                "second lists those to load; keep one of them"
            )
    return {**loaded, **dict.fromkeys(unloaded, "*")}


def _check_unloaded(values: dict[str, Any], setting_of: dict[str, str]) -> None:
    unloaded = values.get("unload_col") or {}
    for suffix, keys in _IDS.items():
        for key in keys:
            if values[key] in (unloaded.get(suffix) or []):
                raise RequestError(
                    f"unload_col.{suffix}: {values[key]} is needed, {key} names it; take it out of there"
                )
    for column, key in setting_of.items():
        if column in (unloaded.get("inter") or []):
            raise RequestError(f"unload_col.inter: {column} is needed, {key} names it; take it out of there")


def how_to_load(config: Any, suffix: str, column: str) -> str:
    """What to set so that a column is loaded which is in a file and is not.

    Args:
        config: The checked settings.
        suffix: ``inter``, ``user`` or ``item``, of its file.
        column: Its name.
    """
    if column in ((config["unload_col"] or {}).get(suffix) or []):
        return f"take it out of unload_col.{suffix}"
    loaded = (config["load_col"] or {}).get(suffix)
    columns = loaded if isinstance(loaded, list) else [config[key] for key in _IDS[suffix]]
    return f"set --load_col.{suffix}=[{','.join(dict.fromkeys([*columns, column]))}]"

"""A checkpoint to a folder that serves."""

from __future__ import annotations

from typing import Any

from recbole_logq.commands.options import check_flag
from recbole_logq.errors import RequestError
from recbole_logq.settings import check_keys
from recbole_logq.terminal import say

USAGE = """\
  export         a checkpoint to a folder that serves without RecBole:  --checkpoint=FILE --folder=FOLDER
                 [--index=exact|hnsw|ivfpq] [--index_options.ef_search=128] [--history=train|valid|all]
                 [--item_title_field=COLUMN] [--data_path=FOLDER] [--overwrite=true] [--plugins=FILE.py]
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    check_keys(
        options,
        {"checkpoint", "folder", "index", "index_options", "history", "item_title_field", "data_path", "overwrite"}
        | {"plugins"},
    )
    for key, value in (("checkpoint", "FILE"), ("folder", "FOLDER")):
        if not options.get(key):
            raise RequestError(f"export needs --{key}={value}")
    check_flag(options, "overwrite")
    from recbole_logq.serving.export import export

    file, folder = options.pop("checkpoint"), options.pop("folder")
    manifest = export(str(file), folder, **options)
    data, index = manifest["data"], manifest["index"]
    say(f"{folder}: {data['items']:,} items, {data['users']:,} users, index {index['name']}")
    for name, value in index["measured"].items():
        say(f"  {name.replace('_', ' ')}: {value:,}")

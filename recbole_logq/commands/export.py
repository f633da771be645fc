"""A checkpoint to a folder that serves."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from recbole_logq.allowed_values import Allowed
from recbole_logq.flags import File, Flags, Folder, Plugins, Text, YesNo, take_flags
from recbole_logq.terminal import say

SUMMARY = "a checkpoint to a folder that serves without RecBole"
EXAMPLES = (
    "recbole-logq export --checkpoint=saved/TwoTowerCorrectedLogQ.pth --folder=served",
    "recbole-logq export --checkpoint=saved/TwoTowerCorrectedLogQ.pth --folder=served --index=hnsw "
    "--index_options.ef_search=128",
)
Index = Annotated[Text, Allowed("exact, hnsw, ivfpq")]
IndexOptions = Annotated[Any, Allowed("section", "index_options.NAME=N")]


class ExportFlags(Flags):
    """What the command takes."""

    checkpoint: File = Field(description="checkpoint of an own model")
    folder: Folder = Field(description="new folder")
    index: Index = Field("exact", description="how the best items are found: all looked at, or approximately by faiss")
    index_options: IndexOptions = Field(None, description="options of the index, such as ef_search of hnsw")
    history: Annotated[Text, Allowed("train, valid, all")] = Field(
        "all", description="what the folder knows of users: up to the training, the validation, or everything"
    )
    item_title_field: Annotated[Text, Allowed("COLUMN")] | None = Field(
        None, description="column of the .item file that titles come from; one named like it by default"
    )
    data_path: Folder | None = Field(None, description="folder of the datasets, where they have moved since training")
    overwrite: YesNo = Field(False, description="whether to replace an export that is there")
    plugins: Plugins | None = Field(None, description="files and modules of your own that the checkpoint names")


FLAGS = (ExportFlags,)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, ExportFlags).model_dump()
    from recbole_logq.serving.export import export

    file, folder = flags.pop("checkpoint"), flags.pop("folder")
    manifest = export(file, folder, **flags)
    data, index = manifest["data"], manifest["index"]
    say(f"{folder}: {data['items']:,} items, {data['users']:,} users, index {index['name']}")
    for name, value in index["measured"].items():
        say(f"  {name.replace('_', ' ')}: {value:,}")

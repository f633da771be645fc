"""Recommendations for a few users on the screen, or for a file of them into a file."""

from __future__ import annotations

import csv
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from tqdm import tqdm

from recbole_logq.errors import RequestError, WorkError
from recbole_logq.serving.context import Context
from recbole_logq.serving.recommendations import Recommendations
from recbole_logq.serving.retriever import Retriever
from recbole_logq.terminal import cell, console

ROWS = 4096
"""Rows of a batch: their recommendations are in memory at once."""
FORMATS = (".csv", ".parquet")
COLUMNS = ("user", "history")
"""Columns of a file beside those of the context."""


@contextmanager
def opened(
    model: str | Path, index: str | None = None, index_options: dict[str, int] | None = None
) -> Iterator[Retriever]:
    """The retriever of an exported folder, or of a checkpoint, which is exported for as long as it is needed.

    Args:
        model: The folder, or a ``.pth`` file.
        index: As in :meth:`Retriever.load`; of a checkpoint, as in `export`.
        index_options: The same.

    Raises:
        RequestError: It is neither.
    """
    path = Path(model)
    if path.is_file() and path.suffix == ".pth":
        from recbole_logq.serving.export import export

        with tempfile.TemporaryDirectory(prefix="recommend-") as scratch:
            export(path, Path(scratch) / "export", index or "exact", index_options)
            yield Retriever.load(Path(scratch) / "export", verify=False)
    else:
        yield Retriever.load(path, index=index, index_options=index_options)


def split_tokens(text: str) -> list[str]:
    """Tokens between commas; one that has a comma of its own stands in double quotes, as in CSV."""
    try:
        (row,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError) as error:
        raise RequestError(
            f"cannot read {text!r}: tokens between commas, in double quotes where they have one"
        ) from error
    return [token for token in row if token]


def split_context(text: str) -> Context:
    """What a request knows: ``name=value`` between commas, in double quotes where a value has one."""
    found: dict[str, str] = {}
    for pair in split_tokens(text):
        name, given, value = pair.partition("=")
        if not given or name in found:
            raise RequestError(f'context: {pair!r} among {text!r}, once name=value for each: "hour=12,device=web"')
        found[name] = value
    return found


def check_files(source: Any, target: Any) -> None:
    """Refuse files that cannot be read or written, before anything is loaded.

    Raises:
        RequestError: One is missing or of no known format.
    """
    if target is None:
        raise RequestError("--input needs --output=FILE.parquet or FILE.csv")
    for flag, file in (("input", source), ("output", target)):
        if Path(str(file)).suffix not in FORMATS:
            raise RequestError(f"--{flag}={file}: a file named .csv or .parquet")
    if not Path(str(source)).is_file():
        raise RequestError(f"--input={source}: no such file")
    if Path(str(source)).absolute() == Path(str(target)).absolute():
        raise RequestError(f"--output={target} is the input: give another file")


def recommend_file(
    retriever: Retriever,
    source: str | Path,
    target: str | Path,
    k: int = 10,
    exclude_history: bool = False,
    show_progress: bool = False,
) -> int:
    """The best items of every row of a file, in batches; memory does not depend on the number of rows.

    The file is read twice: whatever is wrong with a row is said before the work starts.

    Args:
        retriever: That recommends.
        source: CSV or Parquet with a column ``user``; with a column ``history`` (items between commas, or a list) the
            rows are visitors, and ``user`` is what they are called. What the model reads of a request's context has
            columns of its own.
        target: CSV or Parquet, one row per recommendation: ``user``, ``rank``, ``item``, ``score`` and, if known,
            ``title``. It appears when it is complete.
        k: Items a row.
        exclude_history: Whether to leave out what the user had.
        show_progress: Whether to draw a progress bar.

    Returns:
        The number of rows read.

    Raises:
        RequestError: A file or a row of it cannot be used.
        WorkError: The output cannot be written.
    """
    source, target = Path(source), Path(target)
    check_files(source, target)
    retriever.check_k(k)
    n_rows = 0
    for users, histories, contexts in _batches(source, list(retriever.context.types)):
        if histories is None:
            retriever.check_users(users)
        else:
            retriever.check_histories(histories)
        retriever.context.read(contexts, len(users))
        n_rows += len(users)
    with _new_file(target) as write, tqdm(total=n_rows, unit=" rows", ncols=100, disable=not show_progress) as bar:
        for users, histories, contexts in _batches(source, list(retriever.context.types)):
            rows: dict[str, Any] = {"users": users} if histories is None else {"histories": histories}
            rows["contexts"] = contexts
            write(retriever.recommend(**rows, k=k, exclude_history=exclude_history).to_table(users))
            bar.update(len(users))
        if not n_rows:
            raise RequestError(f"{source} has no rows")
    return n_rows


def show(found: Recommendations, rows: Sequence[str]) -> None:
    """Print recommendations, a table for each row."""
    from rich.table import Table

    screen = console()
    titles = found.titles or [[] for _ in rows]
    for row, name in enumerate(rows):
        table = Table(title=cell(name), title_justify="left")
        for heading in ("rank", "item", *(["title"] if found.titles else []), "score"):
            table.add_column(heading, justify="right" if heading in {"rank", "score"} else "left")
        for place, item in enumerate(found.items[row]):
            title = [cell(titles[row][place] or "")] if found.titles else []
            table.add_row(str(place + 1), cell(item), *title, f"{found.scores[row, place]:.4f}")
        screen.print(table)


def _batches(
    file: Path, context: Sequence[str]
) -> Iterator[tuple[list[str], list[list[str]] | None, list[Context] | None]]:
    """Users, their histories where the file has them, and contexts where the model reads them."""
    try:
        for batch in _record_batches(file, context):
            users = _text(batch, "user")
            if None in users:
                raise RequestError(f"{file}: a row has no user")
            histories = None
            if "history" in batch.schema.names:
                column = batch.column("history")
                if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
                    histories = [[str(item) for item in one or []] for one in column.to_pylist()]
                else:
                    histories = [split_tokens(one or "") for one in _text(batch, "history")]
            known = zip(*(_text(batch, name) for name in context), strict=True)
            yield users, histories, [dict(zip(context, row, strict=True)) for row in known] if context else None
    except (OSError, pa.ArrowException) as error:
        raise RequestError(f"{file} cannot be read: {' '.join(str(error).split())}") from error


def _text(batch: Any, name: str) -> list[Any]:
    return batch.column(name).cast(pa.string()).to_pylist()


def _record_batches(file: Path, context: Sequence[str]) -> Iterator[Any]:
    if file.suffix == ".parquet":
        with pq.ParquetFile(file) as table:
            yield from table.iter_batches(ROWS, columns=_wanted(file, table.schema_arrow.names, context))
        return
    with file.open(encoding="utf-8", newline="") as lines:
        head = next(csv.reader(lines), [])
    wanted = _wanted(file, head, context)
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted, strings_can_be_null=False
    )
    with pa_csv.open_csv(file, convert_options=options) as reader:
        for batch in reader:
            for start in range(0, len(batch), ROWS):
                yield batch.slice(start, ROWS)


def _wanted(file: Path, names: Sequence[str], context: Sequence[str]) -> list[str]:
    for name in ("user", *context):
        if name not in names:
            why = "" if name == "user" else ", which the model reads of a request"
            raise RequestError(f"{file} has no column {name!r}{why}: found {', '.join(names) or 'nothing'}")
    return [name for name in (*COLUMNS, *context) if name in names]


@contextmanager
def _new_file(target: Path) -> Iterator[Callable[[Any], None]]:
    """Takes tables; the file appears at the end, or not at all."""
    scratch = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    writer: Any = None

    def write(table: Any) -> None:
        nonlocal writer
        if writer is None:
            kind = pq.ParquetWriter if target.suffix == ".parquet" else pa_csv.CSVWriter
            writer = kind(scratch, table.schema)
        writer.write_table(table)

    try:
        yield write
        if writer is not None:
            writer.close()
            os.replace(scratch, target)
    except OSError as error:
        raise WorkError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if writer is not None:
            with suppress(OSError, pa.ArrowException):
                writer.close()
        with suppress(OSError):
            scratch.unlink()

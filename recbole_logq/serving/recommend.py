"""Recommendations for a few users or items on the screen, or for a file of them into a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from tqdm import tqdm

from recbole_logq.errors import RequestError
from recbole_logq.files import failed_write, new_file, not_written, same_file, scratch_folder
from recbole_logq.serving.asked_file import AskedFile, AskedItems, AskedRows
from recbole_logq.serving.recommendations import Recommendations
from recbole_logq.serving.retriever import Retriever
from recbole_logq.serving.similar_items import check_number
from recbole_logq.terminal import bar_options, cell, console

ROWS = 4096
"""Rows of a batch: their recommendations are in memory at once."""
FORMATS = (".csv", ".parquet")


@contextmanager
def opened(
    model: str | Path,
    index: str | None = None,
    index_options: dict[str, int] | None = None,
    plugins: list[str] | str | None = None,
) -> Iterator[Retriever]:
    """The retriever of an exported folder, or of a checkpoint, which is exported for as long as it is needed.

    Args:
        model: The folder, or a ``.pth`` file.
        index: Index to search, as in :meth:`Retriever.load`, or for a checkpoint as in `export`.
        index_options: Options of the index, likewise.
        plugins: Plug-ins of a checkpoint, as in `export`.

    Raises:
        RequestError: The model is neither.
    """
    path = Path(model)
    if plugins and path.suffix != ".pth":
        raise RequestError("plugins: an exported folder is data alone and needs none; leave them out")
    if path.is_file() and path.suffix == ".pth":
        from recbole_logq.serving.export import export

        with scratch_folder(name="recommend") as scratch:
            export(path, scratch / "export", index or "exact", index_options, plugins=plugins)
            yield Retriever.load(scratch / "export", verify=False)
    else:
        yield Retriever.load(path, index=index, index_options=index_options)


def check_files(source: Any, target: Any) -> None:
    """Refuse files that cannot be read or written, before anything is loaded.

    Raises:
        RequestError: A file is missing or of no known format.
    """
    if target is None:
        raise RequestError("--input needs --output=FILE.parquet or FILE.csv")
    if Path(str(target)).suffix not in FORMATS:
        raise RequestError(f"--output={target}: a file named .csv or .parquet")
    if not Path(str(source)).is_file():
        raise RequestError(f"--input={source}: no such file")
    if same_file(source, target):
        raise RequestError(f"--output={target} is the input: give another file")


def recommend_file(
    retriever: Retriever,
    source: str | Path,
    target: str | Path,
    k: int = 10,
    exclude_history: bool = False,
    show_progress: bool = False,
    at: Any = None,
) -> int:
    """The best items of every row of a file, in batches; memory does not depend on the number of rows.

    The file is read twice: whatever is wrong with a row is said before the work starts.

    Args:
        retriever: Retriever that recommends.
        source: Delimited text, JSON Lines or Parquet with a column ``user``; with a column ``history`` (items between
            commas, or a list) the rows are visitors, and ``user`` is what they are called. What the model reads of a
            request's context has columns of its own, and so have texts: a file with them has visitors, of whom second
            histories have columns too. For a model that reads times, visitors have ``times``, one for each item, and
            for one that knows when it is asked there may be ``time``.
        target: CSV or Parquet, one row per recommendation: ``user``, ``rank``, ``item``, ``score`` and, if known,
            ``title``. It appears when it is complete.
        k: Items a row.
        exclude_history: Whether to leave out what the user had.
        show_progress: Whether to draw a progress bar.
        at: Time of all requests, for a model that knows and a file that does not say; now by default.

    Returns:
        The number of rows read.

    Raises:
        RequestError: A file or a row of it cannot be used.
        WorkError: The output cannot be written.
    """
    source, target = Path(source), Path(target)
    check_files(source, target)
    retriever.check_k(k)
    moments = retriever.moments
    reads = ["user", "history", *(["times"] if moments.reads_times else [])]
    reads += ["time"] if moments.knows_request else []
    requests = AskedFile(source, retriever.context.types, reads, retriever.texts.names, retriever.second.names)
    if at is not None and "time" in requests.columns:
        raise RequestError(f"at: {source} has a column 'time', which says when each row asks; leave one of them out")
    n_rows = 0
    for rows in requests.batches(ROWS):
        if rows.second is not None:
            retriever.second.of_visitors(rows.second, len(rows.users))
        if rows.texts is not None:
            retriever.texts.read(rows.texts, rows.histories)
        if rows.histories is None and rows.texts is None:
            retriever.check_users(rows.users)
        if rows.histories is not None:
            retriever.check_histories(rows.histories)
            moments.of_histories(rows.times, rows.histories)
        retriever.context.read(rows.contexts, len(rows.users))
        moments.of_requests(at if rows.at is None else rows.at, len(rows.users))
        n_rows += len(rows.users)

    def ranked(rows: AskedRows) -> pa.Table:
        request: dict[str, Any] = (
            {"users": rows.users} if rows.texts is None else {"texts": rows.texts, "second": rows.second}
        )
        if rows.histories is not None:
            request = {"histories": rows.histories, "times": rows.times, "texts": rows.texts, "second": rows.second}
        request |= {"contexts": rows.contexts, "at": at if rows.at is None else rows.at}
        return retriever.recommend(**request, k=k, exclude_history=exclude_history).to_table(rows.users)

    tables = ((len(rows.users), ranked(rows)) for rows in requests.batches(ROWS))
    return _write_tables(tables, n_rows, source, target, show_progress)


def similar_file(
    retriever: Retriever,
    source: str | Path,
    target: str | Path,
    k: int = 10,
    by: str = "items",
    show_progress: bool = False,
) -> int:
    """The items most like that of every row of a file, in batches, as :func:`recommend_file` has those for users.

    Args:
        retriever: Retriever of the items.
        source: Delimited text, JSON Lines or Parquet with a column ``item``.
        target: CSV or Parquet, one row per item found: ``similar_to``, ``rank``, ``item``, ``score`` and, if known,
            ``title``. It appears when it is complete.
        k: Items a row.
        by: What stands for an item, as in :meth:`Retriever.similar`.
        show_progress: Whether to draw a progress bar.

    Returns:
        The number of rows read.

    Raises:
        RequestError: A file or a row of it cannot be used.
        WorkError: The output cannot be written.
    """
    source, target = Path(source), Path(target)
    check_files(source, target)
    check_number(k, len(retriever.catalogue) - 1, "other items of the catalogue")
    requests, n_rows = AskedItems(source), 0
    for items in requests.batches(ROWS):
        retriever.check_items(items)
        n_rows += len(items)
    tables = (
        (len(items), retriever.similar(items, k=k, by=by).to_table(items, heading="similar_to"))
        for items in requests.batches(ROWS)
    )
    return _write_tables(tables, n_rows, source, target, show_progress)


def _write_tables(
    tables: Iterable[tuple[int, pa.Table]], n_rows: int, source: Path, target: Path, show_progress: bool
) -> int:
    """Write what is ranked, with the number of rows that each table is of; returns the number of all rows."""
    with (
        _new_file(target) as write,
        tqdm(total=n_rows, unit=" rows", **bar_options(), disable=not show_progress) as bar,
    ):
        for n, table in tables:
            write(table)
            bar.update(n)
        if not n_rows:
            raise RequestError(f"{source} has no rows")
    return n_rows


def show(recommendations: Recommendations, rows: Sequence[str]) -> None:
    """Print recommendations, a table for each row."""
    _print_tables(recommendations, rows, "score")


def show_similar(recommendations: Recommendations, items: Sequence[str], by: str, similarity: str) -> None:
    """Print items like some items, a table for each of these.

    Args:
        recommendations: Result of :meth:`Retriever.similar`.
        items: Original tokens of the rows.
        by: What stood for them, ``items`` or ``queries``.
        similarity: ``cosine`` or ``dot``, of the model.
    """
    product = "cosine" if similarity == "cosine" else "inner product"
    heading = product if by == "items" else "mean score"
    _print_tables(recommendations, [f"{item}, by {by}" for item in items], heading)


def _print_tables(recommendations: Recommendations, rows: Sequence[str], score: str) -> None:
    from rich.table import Table

    screen = console()
    titles = recommendations.titles or [[] for _ in rows]
    for row, name in enumerate(rows):
        table = Table(title=cell(name), title_justify="left")
        for heading in ("rank", "item", *(["title"] if recommendations.titles else []), score):
            table.add_column(heading, justify="right" if heading in {"rank", score} else "left")
        for place, item in enumerate(recommendations.items[row]):
            title = [cell(titles[row][place] or "")] if recommendations.titles else []
            table.add_row(str(place + 1), cell(item), *title, f"{recommendations.scores[row, place]:.4f}")
        screen.print(table)


@contextmanager
def _new_file(target: Path) -> Iterator[Callable[[Any], None]]:
    """Takes tables; the file appears at the end, or not at all."""
    writer: Any = None

    def write(table: Any) -> None:
        nonlocal writer
        if writer is None:
            kind = pq.ParquetWriter if target.suffix == ".parquet" else pa_csv.CSVWriter
            writer = kind(scratch, table.schema)
        writer.write_table(table)

    try:
        with new_file(target) as scratch:
            try:
                yield write
            finally:
                if writer is not None:
                    writer.close()
    except OSError as error:
        raise not_written(target, failed_write(error) or error) from error

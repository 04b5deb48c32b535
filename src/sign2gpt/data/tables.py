"""A table as its owner keeps it -> records: CSV, TSV, JSON lines, Parquet.

Corpora separate the cells of a ``.csv`` by commas, bars (PHOENIX14T) or tabs (How2Sign): the header
tells. Only commas and semicolons need quoting; elsewhere a quote is just a quote.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sign2gpt.errors import UserError

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".jsonl", ".parquet")
NO_TEXT = (bool, bytes, list, dict)  # cells whose Python spelling would pass for a sentence

Records = Iterator[tuple[str, dict[str, Any]]]
"""("line 3", {column: value}) of each record."""


def read_records(table: Path, columns: Sequence[str] = (), *, filled: bool = True) -> Records:
    """The records of a table, one by one.

    Args:
        table: a file with one of TABLE_SUFFIXES.
        columns: those that have to be there.
        filled: whether each record needs a value in them.

    Raises:
        UserError: no such file, unreadable, or without one of the columns.
    """
    if not table.is_file():
        raise UserError(f"There is no table at {table}; check the path.")
    if table.suffix not in TABLE_SUFFIXES:
        raise UserError(
            f"The table {table} is of no known kind; give one of {', '.join(TABLE_SUFFIXES)}."
        )
    readers = {".parquet": _parquet_records, ".jsonl": _json_records}
    for where, record in readers.get(table.suffix, _text_records)(table):
        for name in columns:
            if name not in record or (filled and record[name] is None):
                what = "no column" if name not in record else "nothing in the column"
                raise UserError(
                    f"{table}, {where}: {what} {name!r}; there are {', '.join(map(str, record))}."
                )
        yield where, record


def _parquet_records(table: Path) -> Records:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        content = pq.read_table(table)
        records = content.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"The table {table} is not a readable Parquet file ({error}); write it anew."
        ) from error
    _check_names(table, content.column_names)
    for number, record in enumerate(records, 1):
        yield f"row {number}", record


def _json_records(table: Path) -> Records:
    for number, line in enumerate(_text(table).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if "\\u" in line:  # half of a letter can only be written so
                json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"{table}, line {number}: {error.object[error.start]!a} is half of a letter; write "
                "the text in UTF-8."
            ) from error
        except (ValueError, RecursionError) as error:
            raise UserError(f"{table}, line {number}: not JSON ({error}); mend it.") from error
        if not isinstance(record, dict):
            raise UserError(f"{table}, line {number}: not a JSON object; write one a line.")
        yield f"line {number}", record


def _text_records(table: Path) -> Records:
    text = _text(table)
    separator = _separator(table, text.partition("\n")[0])
    quoting = csv.QUOTE_MINIMAL if separator in ",;" else csv.QUOTE_NONE
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting)
    unquote = separator == "\t" and table.suffix == ".csv"  # as spreadsheets and pandas write it
    try:
        _check_names(table, reader.fieldnames or ())
        for record in reader:
            where = f"line {reader.line_num}"
            if None in record or None in record.values():
                raise UserError(
                    f"{table}, {where}: not as many cells as the {len(reader.fieldnames or [])} "
                    "columns of the header; quote a cell that holds the separator."
                )
            if unquote:
                record = {name: _unquoted(value) for name, value in record.items()}
            yield where, record
    except csv.Error as error:
        raise UserError(
            f"{table}, line {reader.line_num}: not a readable table ({error}); is a quote left "
            "open there?"
        ) from error


def _check_names(table: Path, names: Sequence[str]) -> None:
    """Whether each column is there once; those without a name do not matter."""
    for name, count in Counter(names).items():
        if name and count > 1:
            raise UserError(f"{table}: {count} columns are called {name!r}; rename all but one.")


def _separator(table: Path, header: str) -> str:
    if table.suffix == ".tsv":
        return "\t"
    return next((mark for mark in "|\t;" if mark in header), ",")


def _unquoted(cell: str) -> str:
    inner = cell[1:-1]
    quoted = len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if quoted else cell


def _text(table: Path) -> str:
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"The table {table} is not UTF-8 text; save it as UTF-8.") from error

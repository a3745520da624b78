"""Parquet in and out: reading that names the file and column at fault, writing that repeats its bytes."""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from roadie.data.schema import EXAMPLE_COLUMNS, FLAGS, WEIGHT, Columns
from roadie.errors import DataError

KINDS = {pl.String: "text", pl.Date: "dates"}  # all others are numbers


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn whatever polars says about a damaged or missing file into one DataError that names it."""
    try:
        yield
    # PanicException stands outside Exception: it is what some damaged files make of the Rust reader.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        size = f"{path.stat().st_size:,} bytes" if path.is_file() else "no such file"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(
            f"{path.name} ({size}) cannot be read as parquet: {reason}; write it again or name another source"
        ) from error


def scan(path: Path, columns: Columns, *, optional: Columns | None = None) -> pl.LazyFrame:
    """The named `columns` of a parquet file, cast to the types that Roadie computes with; not yet read.

    Those of the `optional` columns that the file has follow. A text that is no date becomes a null.

    Raises:
        DataError: the file is no parquet, is empty, lacks a column, or holds one that is of another kind.
    """
    with readable(path):
        # A path is a path here: no glob patterns, no columns made from folder names.
        table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        schema = table.collect_schema()
        rows = table.select(pl.len()).collect().item()
    missing = [name for name in columns if name not in schema]
    if missing:
        raise DataError(
            f"{path.name} ({rows:,} rows) has no column {', '.join(missing)}; "
            f"it needs {', '.join(columns)} and has {', '.join(schema)}"
        )
    columns = columns | {name: wanted for name, wanted in (optional or {}).items() if name in schema}
    for name, wanted in columns.items():
        if not _is_kind(schema[name], wanted, flag=name in FLAGS):
            raise DataError(
                f"Column {name} of {path.name} ({rows:,} rows) is {schema[name]}, not {KINDS.get(wanted, 'numbers')}; "
                "write it with the right type"
            )
    if rows == 0:
        raise DataError(f"{path.name} has its columns but 0 rows; look at what writes it, or name another source")
    return table.select(_cast(name, schema[name], wanted) for name, wanted in columns.items())


def _cast(name: str, found: pl.DataType, wanted: type[pl.DataType]) -> pl.Expr:
    if wanted == pl.Date and found == pl.String:
        return pl.col(name).str.head(len("2023-12-04")).str.to_date("%Y-%m-%d", strict=False)
    return pl.col(name).cast(wanted)


def _is_kind(found: pl.DataType, wanted: type[pl.DataType], *, flag: bool) -> bool:
    if found == pl.Null:  # a column without a single value: whoever reads it says what that means
        return True
    if wanted == pl.Date:
        return isinstance(found, pl.Date | pl.Datetime | pl.String)
    if wanted == pl.String:
        return isinstance(found, pl.String | pl.Categorical | pl.Enum)
    return found.is_numeric() or (flag and found == pl.Boolean)


def read_examples(path: Path) -> pl.DataFrame:
    """Read an examples table: spotify_id, country, weight and the 13 features of one (song, country) a row.

    Raises:
        DataError: the file is no parquet, is empty, lacks a column, or holds one that is of another kind.
    """
    table = scan(path, EXAMPLE_COLUMNS)
    with readable(path):
        return table.collect()


def read_table(path: Path, needed: Sequence[str]) -> pl.DataFrame:
    """Read a table of any columns, `needed` among them and without nulls.

    Raises:
        DataError: the file is no parquet, is empty, lacks one of the columns, or has nulls in it.
    """
    with readable(path):
        table = pl.read_parquet(path, glob=False, hive_partitioning=False)
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise DataError(
            f"{path.name} has no column {', '.join(missing)}; it has {', '.join(table.columns)}, so name one of these"
        )
    holes = [name for name in needed if table[name].has_nulls()]
    if table.is_empty() or holes:
        what = f"nulls in {', '.join(holes)}" if holes else "its columns but 0 rows"
        raise DataError(f"{path.name} has {what}; look at what writes it")
    return table


def write_table(table: pl.DataFrame, path: Path) -> str:
    """Write parquet whose bytes depend on the values alone, not on threads or chunks, and return its SHA-256.

    The file appears whole or not at all: it is written beside `path` and renamed.
    """
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    # One chunk, and every setting named: polars' own defaults may change, and pages follow chunks.
    table.rechunk().write_parquet(
        part, compression="zstd", compression_level=3, statistics=True, row_group_size=1 << 17
    )
    digest = file_sha256(part)
    part.replace(path)
    return digest


def count_rows(examples: pl.DataFrame) -> int:
    """How many chart entries a table of (song, country) stands for: the sum of its weights, or one a row."""
    return int(examples[WEIGHT].sum()) if WEIGHT in examples.columns else examples.height


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""Parquet in and out: reading that names the file and column at fault, writing that repeats its bytes."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from roadie.data.parts import local_parts, partition_values
from roadie.data.schema import EXAMPLE_COLUMNS, FLAGS, WEIGHT, Columns
from roadie.errors import DataError

KINDS = {pl.String: "text", pl.Date: "dates"}  # all others are numbers


@contextlib.contextmanager
def readable(path: Path, name: str = "") -> Iterator[None]:
    """Turn whatever polars says about a damaged or missing file into one DataError that names it."""
    try:
        yield
    # PanicException stands outside Exception: it is what some damaged files make of the Rust reader.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        size = f"{path.stat().st_size:,} bytes" if path.is_file() else "no such file"
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise DataError(
            f"{name or path.name} ({size}) cannot be read as parquet: {reason}; write it again or name another source"
        ) from error


def scan(path: Path, columns: Columns, *, optional: Columns | None = None) -> pl.LazyFrame:
    """The named `columns` of a table, cast to the types that Roadie computes with; not yet read.

    A table is a parquet file or a folder of parts. Those of the `optional` columns that it has follow. A text that is
    no date becomes a null, and a moment the day that it has in its own time zone.

    Raises:
        DataError: a file is no parquet, lacks a column, or holds one that is of another kind; or there are no rows.
    """
    parts = _parts(path)
    filled = [part for part in parts if part.rows]
    for part in parts:
        part.lack(columns, columns)
    wanted = columns | {
        name: kind for name, kind in (optional or {}).items() if any(name in part.schema for part in filled)
    }
    for part in filled:
        part.lack(wanted, columns)
        part.suit(wanted)
    if not filled:
        raise DataError(f"{path.name} has its columns but 0 rows; look at what writes it, or name another source")
    return pl.concat(
        [part.table.select(_cast(name, part.schema[name], kind) for name, kind in wanted.items()) for part in filled]
    )


@dataclass(frozen=True)
class _Part:
    """One parquet file of a table, not yet read; `name` is how an error calls it."""

    name: str
    table: pl.LazyFrame
    schema: pl.Schema
    rows: int

    def lack(self, columns: Columns, needed: Columns) -> None:
        """Refuse what lacks one of the columns."""
        if missing := [name for name in columns if name not in self.schema]:
            raise DataError(
                f"{self.name} ({self.rows:,} rows) has no column {', '.join(missing)}; "
                f"it needs {', '.join(columns | needed)} and has {', '.join(self.schema)}"
            )

    def suit(self, columns: Columns) -> None:
        """Refuse a column of another kind."""
        for name, wanted in columns.items():
            if not _is_kind(self.schema[name], wanted, flag=name in FLAGS):
                raise DataError(
                    f"Column {name} of {self.name} ({self.rows:,} rows) is {self.schema[name]}, "
                    f"not {KINDS.get(wanted, 'numbers')}; write it with the right type"
                )


def _parts(path: Path) -> list[_Part]:
    if not path.is_dir():
        return [_part(path, path.name)]
    return [_part(path / name, f"{path.name}/{name}", partition_values(name)) for name in local_parts(path)]


def _part(path: Path, name: str, values: Mapping[str, str | None] | None = None) -> _Part:
    with readable(path, name):
        # A path is a path here: no glob patterns; the columns of folders are ours to read, all of them as text.
        table = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        there = table.collect_schema()
        added = {column: value for column, value in (values or {}).items() if column not in there}
        table = table.with_columns(pl.lit(value, dtype=pl.String).alias(column) for column, value in added.items())
        return _Part(name, table, table.collect_schema(), table.select(pl.len()).collect().item())


def gather(folder: Path, destination: Path) -> str:
    """Write the parts of a folder as one parquet file, in the order of their names; its SHA-256.

    Raises:
        DataError: a part is no parquet, or they have not all the same columns.
    """
    parts = _parts(folder)
    for part in parts:
        if part.schema != parts[0].schema:
            raise DataError(f"{part.name} has other columns than {parts[0].name}; write the table again")
    with readable(folder):
        return write_table(pl.concat([part.table for part in parts]).collect(), destination)


def _cast(name: str, found: pl.DataType, wanted: type[pl.DataType]) -> pl.Expr:
    if wanted == pl.Date and found == pl.String:
        return pl.col(name).str.head(len("2023-12-04")).str.to_date("%Y-%m-%d", strict=False)
    if wanted == pl.Date and isinstance(found, pl.Datetime):
        return pl.col(name).dt.date()  # in the column's own time zone, where a cast would give UTC's day
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

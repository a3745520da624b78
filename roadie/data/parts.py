"""Tables that are folders of parquet files, as Spark, Hive, Athena and DuckDB write them.

Which files of such a folder are parts is Hadoop's rule: names that begin with `_` or `.` are not, unless a `_` begins
the name of a partition's column (Spark, PartitioningAwareFileIndex). A folder named COLUMN=VALUE gives all rows below
it that value (Hive's layout); its text is percent-encoded, and __HIVE_DEFAULT_PARTITION__ is a null.
"""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from roadie.errors import DataError

NULL = "__HIVE_DEFAULT_PARTITION__"
# Hadoop's on object stores, and of a copy that goes on.
UNFINISHED = ("_$folder$", "._COPYING_")
# Beside the parts, these keep which of them still count.
KEEPERS = {"_delta_log": "Delta", ".hoodie": "Hudi"}


def choose_parts(table: str, names: Iterable[str]) -> list[str]:
    """Which of the files below a table's folder are its parts, sorted; `names` are relative, with slashes.

    Raises:
        DataError: there are none, or the folder is of a format in which some parts do not count any more.
    """
    names = list(names)
    for name in names:
        first = name.partition("/")[0]
        iceberg = first == "metadata" and name.endswith(".metadata.json")
        if kind := KEEPERS.get(first, "Iceberg" if iceberg else ""):
            raise DataError(
                f"{table} is a {kind} table, of which some files do not count any more; write its rows as plain parquet"
            )
    parts = sorted(name for name in names if _is_part(name))
    if not parts:
        raise DataError(f"The folder {table} holds no parquet files; look at what writes it")
    if any("" in name.split("/") for name in parts):
        raise DataError(f"{table} has a part with an empty name on its way; write the table again")
    return parts


def local_parts(folder: Path) -> list[str]:
    """The parts of a table's folder on this machine."""
    return choose_parts(
        str(folder), (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    )


def partition_values(name: str) -> dict[str, str | None]:
    """The columns that the folders of a part stand for."""
    pairs = (folder.partition("=") for folder in name.split("/")[:-1] if "=" in folder)
    return {unquote(column): None if value == NULL else unquote(value) for column, _, value in pairs}


def _is_part(name: str) -> bool:
    if name.endswith(("/", *UNFINISHED)):
        return False
    *folders, file = name.split("/")
    return not file.startswith(("_", ".")) and not any(
        each.startswith(".") or (each.startswith("_") and "=" not in each) for each in folders
    )

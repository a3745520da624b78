"""Tables that are folders of parts, and dates that keep their day."""

import shutil
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from roadie import data
from roadie.data.parts import choose_parts, partition_values
from roadie.errors import DataError

RANKINGS, PROPERTIES = "song_rankings.parquet", "song_properties.parquet"


@pytest.fixture
def folder(tables: Path, tmp_path: Path) -> Path:
    """The sample with its rankings as a folder that is still empty."""
    folder = tmp_path / "charts"
    (folder / RANKINGS).mkdir(parents=True)
    shutil.copy(tables / PROPERTIES, folder)
    return folder


def digest(source: Path) -> str:
    return data.load_charts(str(source), source.parent / "examples.parquet").sha256


def write(table: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.write_parquet(path)


def test_a_folder_of_parts_is_the_table_and_each_part_is_recorded(tables: Path, folder: Path) -> None:
    rows = pl.read_parquet(tables / RANKINGS)
    for number, part in enumerate(rows.iter_slices(9_000)):
        write(part if number else part.select(reversed(part.columns)), folder / RANKINGS / f"part-{number:05}")
    write(rows.head(100), folder / RANKINGS / "_temporary" / "0" / "part-00000")
    for name in ("_SUCCESS", ".part-00000.crc", "day_$folder$"):
        (folder / RANKINGS / name).write_bytes(b"")
    dataset = data.load_charts(str(folder), folder.parent / "examples.parquet")
    assert dataset.sha256 == digest(tables)
    assert [file.name for file in dataset.files] == [*(f"{RANKINGS}/part-{n:05}" for n in range(3)), PROPERTIES]
    assert dataset.files[0].sha256 == data.file_sha256(folder / RANKINGS / "part-00000")


@pytest.mark.parametrize("column", ["country", "snapshot_date"])
def test_columns_that_stand_in_the_names_of_folders_are_read_from_them(tables: Path, folder: Path, column: str) -> None:
    """Also the global chart, whose country is a null, and countries that look like no text."""
    for (value,), part in pl.read_parquet(tables / RANKINGS).group_by(column):
        text = "__HIVE_DEFAULT_PARTITION__" if value is None else str(value)[:10]
        write(part.drop(column), folder / RANKINGS / "_run=1" / f"{column}={text}" / "part-0.parquet")
    first, second = (data.load_charts(str(each), folder.parent / "x.parquet") for each in (folder, tables))
    assert (first.sha256, first.global_rows) == (second.sha256, second.global_rows)


def test_what_a_folder_stands_for_is_decoded() -> None:
    assert partition_values("a=x%2Fy/b=__HIVE_DEFAULT_PARTITION__/c/part=0") == {"a": "x/y", "b": None}


def test_a_part_that_lacks_a_column_or_is_damaged_is_named(tables: Path, folder: Path) -> None:
    rows = pl.read_parquet(tables / RANKINGS)
    write(rows, folder / RANKINGS / "a" / "part-0")
    write(rows.drop("snapshot_date"), folder / RANKINGS / "b" / "part-0")
    with pytest.raises(DataError, match=rf"{RANKINGS}/b/part-0 .* has no column snapshot_date"):
        digest(folder)
    (folder / RANKINGS / "b" / "part-0").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=rf"{RANKINGS}/b/part-0 \(4 bytes\) cannot be read as parquet"):
        digest(folder)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "holds no parquet files"),
        (["_SUCCESS", ".hidden/part-0"], "holds no parquet files"),
        (["_delta_log/0.json", "part-0"], "is a Delta table"),
        ([".hoodie/x", "part-0"], "is a Hudi table"),
        (["metadata/v1.metadata.json", "data/part-0"], "is a Iceberg table"),
        (["/etc/passwd"], "empty name"),
    ],
)
def test_a_folder_that_is_no_table_of_parts_is_refused(names: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        choose_parts("rankings", names)


def test_a_holdout_of_parts_is_gathered_into_one_file(tables: Path, tmp_path: Path) -> None:
    rows = pl.read_parquet(tables / RANKINGS)
    for number, part in enumerate(rows.iter_slices(9_000)):
        write(part, tmp_path / "holdout" / f"part-{number:05}")
    fetched = data.fetch_table(str(tmp_path / "holdout"), tmp_path / "holdout.parquet")
    assert fetched.sha256 == data.file_sha256(tmp_path / "holdout.parquet")
    assert pl.read_parquet(tmp_path / "holdout.parquet").equals(rows)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati", "UTC", None])
def test_a_moment_belongs_to_the_day_of_its_own_time_zone(tables: Path, tmp_path: Path, zone: str | None) -> None:
    rows = pl.read_parquet(tables / RANKINGS)
    days = [
        datetime(each.year, each.month, each.day, tzinfo=ZoneInfo(zone) if zone else None)
        for each in rows["snapshot_date"]
    ]
    moments = pl.Series("snapshot_date", days, pl.Datetime("us", zone))
    for name, table in ((RANKINGS, rows.with_columns(moments)), (PROPERTIES, pl.read_parquet(tables / PROPERTIES))):
        write(table, tmp_path / "zoned" / name)
    since = str(sorted(set(rows["snapshot_date"].cast(pl.Date)))[1])
    own, zoned = (
        data.load_charts(str(each), tmp_path / "examples.parquet", since=since) for each in (tables, tmp_path / "zoned")
    )
    assert (zoned.rows, zoned.sha256) == (own.rows, own.sha256)


def test_rows_without_a_date_are_not_lost_to_a_window_in_silence(tables: Path, tmp_path: Path) -> None:
    rows = pl.read_parquet(tables / RANKINGS)
    texts = rows["snapshot_date"].cast(pl.Date).cast(pl.String)
    write(rows.with_columns(pl.Series("snapshot_date", ["04/12/2023", *texts[1:]])), tmp_path / "odd" / RANKINGS)
    shutil.copy(tables / PROPERTIES, tmp_path / "odd")
    assert data.load_charts(str(tmp_path / "odd"), tmp_path / "examples.parquet").rows
    with pytest.raises(DataError, match="1 rows of song_rankings.parquet have no snapshot_date"):
        data.load_charts(str(tmp_path / "odd"), tmp_path / "examples.parquet", since="2020-01-01")

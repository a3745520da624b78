"""Reading and joining the two raw tables, and what is said of broken ones."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadie import data
from roadie.data.schema import EXAMPLE_COLUMNS
from roadie.errors import DataError

Change = Callable[[pl.DataFrame], pl.DataFrame]


@pytest.fixture
def changed(tables: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the sample's tables with changes to either."""

    def change(*, rankings: Change = lambda table: table, properties: Change = lambda table: table) -> Path:
        folder = tmp_path / "changed"
        folder.mkdir()
        for name, alter in (("song_rankings.parquet", rankings), ("song_properties.parquet", properties)):
            alter(pl.read_parquet(tables / name)).write_parquet(folder / name)
        return folder

    return change


def refusal(folder: Path) -> str:
    destination = folder.parent / "out" / "examples.parquet"
    with pytest.raises(DataError) as caught:
        data.load_charts(str(folder), destination)
    assert list(destination.parent.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_example_is_a_song_in_a_country_with_its_features_and_entries(tables: Path, tmp_path: Path) -> None:
    dataset = data.load_charts(str(tables), tmp_path / "examples.parquet")
    examples = data.read_examples(dataset.path)
    rankings = pl.read_parquet(tables / "song_rankings.parquet")
    properties = pl.read_parquet(tables / "song_properties.parquet")
    assert examples.schema == pl.Schema(EXAMPLE_COLUMNS)
    assert examples.select("spotify_id", "country").rows() == sorted(
        set(rankings.drop_nulls("country").select("spotify_id", "country").rows())
    )
    song, country, weight, *features = examples.row(1234)
    assert weight == rankings.filter(spotify_id=song, country=country).height
    row = properties.row(by_predicate=pl.col("spotify_id") == song, named=True)
    assert features == [float(row[name]) for name in data.FEATURES]


def test_a_window_takes_the_charts_of_its_days_alone(tables: Path, tmp_path: Path) -> None:
    days = pl.read_parquet(tables / "song_rankings.parquet").with_columns(DATED["a date"])
    first, last = days["snapshot_date"].unique().sort()[1], days["snapshot_date"].unique().sort()[-2]
    inside = days.filter(pl.col("snapshot_date").is_between(first, last)).drop_nulls("country")
    window = {"since": f"{first}T10:00:00Z", "until": f"{last}T02:31:03.891Z"}
    dataset = data.load_charts(str(tables), tmp_path / "examples.parquet", **window)
    assert 0 < dataset.rows == inside.height < days.height


def test_a_window_without_charts_or_over_undated_ones_is_refused(tables: Path, changed: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="has no chart from 2999-01-01 to its end; widen the window"):
        data.load_charts(str(tables), tables.parent / "x.parquet", since="2999-01-01")
    with pytest.raises(DataError, match="until is 'soon', which is no date"):
        data.load_charts(str(tables), tables.parent / "x.parquet", until="soon")
    undated = changed(rankings=lambda table: table.drop("snapshot_date"))
    with pytest.raises(DataError, match="has no column snapshot_date, so no days can be chosen"):
        data.load_charts(str(undated), tables.parent / "x.parquet", until="2025-01-01")


DATED: dict[str, pl.Expr] = {
    "a timestamp": pl.col("snapshot_date"),
    "a date": pl.col("snapshot_date").cast(pl.Date),
    "text": pl.col("snapshot_date").dt.to_string("%Y-%m-%d"),
    "text with a time": pl.col("snapshot_date").dt.to_string("%Y-%m-%d %H:%M:%S"),
}


@pytest.mark.parametrize("kind", DATED)
def test_an_example_says_when_it_was_first_seen_where_the_rankings_have_dates(
    changed: Callable[..., Path], tables: Path, tmp_path: Path, kind: str
) -> None:
    dataset = data.load_charts(
        str(changed(rankings=lambda table: table.with_columns(DATED[kind]))), tmp_path / "examples.parquet"
    )
    examples = pl.read_parquet(dataset.path)
    first = examples.row(0, named=True)
    entries = pl.read_parquet(tables / "song_rankings.parquet").with_columns(DATED["a date"])
    days = entries.filter(spotify_id=first["spotify_id"], country=first["country"])["snapshot_date"]
    assert dataset.dated
    assert examples.columns == [*EXAMPLE_COLUMNS, "first_seen"]
    assert first["first_seen"] == days.min()


def test_rankings_without_dates_make_examples_without_them(changed: Callable[..., Path], tmp_path: Path) -> None:
    folder = changed(rankings=lambda table: table.drop("snapshot_date"))
    dataset = data.load_charts(str(folder), tmp_path / "examples.parquet")
    assert not dataset.dated
    assert pl.read_parquet(dataset.path).columns == list(EXAMPLE_COLUMNS)


def test_dates_that_are_numbers_are_refused(changed: Callable[..., Path]) -> None:
    folder = changed(rankings=lambda table: table.with_columns(snapshot_date=pl.lit(20231204)))
    assert "Column snapshot_date of song_rankings.parquet" in refusal(folder)


def test_the_dataset_says_what_it_holds_and_what_was_left_out(tables: Path, tmp_path: Path) -> None:
    dataset = data.load_charts(str(tables), tmp_path / "new" / "examples.parquet")
    rankings = pl.read_parquet(tables / "song_rankings.parquet")
    assert dataset.rows + dataset.global_rows + dataset.unmatched_rows == rankings.height
    assert dataset.global_rows == rankings["country"].null_count() == 300
    assert (dataset.countries, dataset.unmatched_rows) == (72, 0)
    assert dataset.songs == rankings.drop_nulls("country")["spotify_id"].n_unique()
    assert dataset.sha256 == data.file_sha256(dataset.path)
    assert [(file.name, file.uri) for file in dataset.files] == [
        (name, str(tables / name)) for name in ("song_rankings.parquet", "song_properties.parquet")
    ]
    assert [file.sha256 for file in dataset.files] == [data.file_sha256(tables / file.name) for file in dataset.files]


def test_songs_without_properties_are_counted_and_left_out(changed: Callable[..., Path], tmp_path: Path) -> None:
    folder = changed(properties=lambda table: table[10:])
    dataset = data.load_charts(str(folder), tmp_path / "examples.parquet")
    assert dataset.unmatched_rows > 0
    assert dataset.rows + dataset.global_rows + dataset.unmatched_rows == 21_900


def test_equal_properties_fold_and_conflicting_ones_stay_for_the_check(
    changed: Callable[..., Path], examples: Path, tmp_path: Path
) -> None:
    def describe_again(table: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([table, table[:5], table[7:8].with_columns(tempo=pl.lit(99.9))])

    dataset = data.load_charts(str(changed(properties=describe_again)), tmp_path / "examples.parquet")
    assert dataset.songs == data.read_examples(examples)["spotify_id"].n_unique()
    assert dataset.examples > data.read_examples(examples).height
    (failure,) = data.check(dataset.path).failures
    assert (failure.table, failure.column) == ("song_properties.parquet", "spotify_id")
    assert failure.examples[0].endswith("differs in tempo")


def test_the_bytes_depend_neither_on_the_order_of_rows_nor_on_threads(
    changed: Callable[..., Path], examples: Path, tmp_path: Path
) -> None:
    def shuffle(table: pl.DataFrame) -> pl.DataFrame:
        return table.sample(fraction=1.0, shuffle=True, seed=5)

    folder = changed(rankings=shuffle, properties=shuffle)
    program = "import sys; from pathlib import Path; from roadie import data; "
    program += "print(data.load_charts(sys.argv[1], Path(sys.argv[2])).sha256)"
    for threads in ("1", "4"):
        command = [sys.executable, "-c", program, str(folder), str(tmp_path / f"{threads}.parquet")]
        answer = subprocess.run(
            command, check=True, capture_output=True, text=True, env={**os.environ, "POLARS_MAX_THREADS": threads}
        )
        assert answer.stdout.strip() == data.file_sha256(examples)


def test_only_the_columns_that_are_used_are_needed(changed: Callable[..., Path], tmp_path: Path) -> None:
    folder = changed(
        rankings=lambda table: table.select("spotify_id", pl.col("country").cast(pl.Categorical)),
        properties=lambda table: table.select("spotify_id", *data.FEATURES).with_columns(pl.col("key").cast(pl.Int8)),
    )
    assert data.load_charts(str(folder), tmp_path / "examples.parquet").rows == 21_600


def test_a_missing_column_is_named_with_its_file(changed: Callable[..., Path]) -> None:
    message = refusal(changed(properties=lambda table: table.drop("tempo", "valence")))
    assert message.startswith("song_properties.parquet (2,0")
    assert "rows) has no column valence, tempo; it needs spotify_id, is_explicit, " in message


@pytest.mark.parametrize(
    ("name", "column", "dtype", "kind"),
    [
        ("song_properties.parquet", "tempo", pl.String, "numbers"),
        ("song_properties.parquet", "tempo", pl.Boolean, "numbers"),
        ("song_properties.parquet", "spotify_id", pl.Int64, "text"),
        ("song_rankings.parquet", "country", pl.Int64, "text"),
    ],
)
def test_a_wrong_type_is_named_with_its_file_and_column(
    changed: Callable[..., Path], name: str, column: str, dtype: type[pl.DataType], kind: str
) -> None:
    def retype(table: pl.DataFrame) -> pl.DataFrame:
        return table.with_columns(pl.lit(None, dtype=dtype).alias(column))

    which = "rankings" if name == "song_rankings.parquet" else "properties"
    message = refusal(changed(**{which: retype}))
    assert message.startswith(f"Column {column} of {name} (2")
    assert f"is {dtype.__name__}, not {kind}; write it with the right type" in message


@pytest.mark.parametrize("which", ["rankings", "properties"])
def test_an_empty_table_is_named(changed: Callable[..., Path], which: str) -> None:
    message = refusal(changed(**{which: lambda table: table.clear()}))
    assert message.startswith(f"song_{which}.parquet has its columns but 0 rows; look at what writes it")


@pytest.mark.parametrize("dtype", [pl.String, pl.Null])
def test_charts_of_no_country_are_refused(changed: Callable[..., Path], dtype: type[pl.DataType]) -> None:
    message = refusal(changed(rankings=lambda table: table.with_columns(country=pl.lit(None, dtype=dtype))))
    assert message.startswith("Column country of song_rankings.parquet is null in all 21,900 rows")


def test_tables_that_have_no_song_in_common_are_refused(changed: Callable[..., Path]) -> None:
    message = refusal(changed(properties=lambda table: table.with_columns(pl.col("spotify_id").str.reverse())))
    assert message.startswith("None of the 2,0")
    assert "songs of song_rankings.parquet is in song_properties.parquet" in message


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1" + b"\xff" * 90 + b"PAR1"])
def test_an_unreadable_file_is_named_with_its_size(changed: Callable[..., Path], content: bytes) -> None:
    folder = changed()
    (folder / "song_rankings.parquet").write_bytes(content)
    start = f"song_rankings.parquet ({len(content)} bytes) cannot be read as parquet: "
    assert refusal(folder).startswith(start)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), damage=st.binary(min_size=1, max_size=64))
def test_a_damaged_file_is_read_or_refused_but_never_a_crash(
    tables: Path, tmp_path: Path, where: float, damage: bytes
) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir(exist_ok=True)
    for name in ("song_rankings.parquet", "song_properties.parquet"):
        content = bytearray((tables / name).read_bytes())
        start = int(where * len(content))
        content[start : start + len(damage)] = damage
        (folder / name).write_bytes(content)
    try:
        data.load_charts(str(folder), tmp_path / "examples.parquet")
    except DataError as error:
        assert "song_" in str(error)


def test_a_folder_with_the_signs_of_a_pattern_in_its_name_is_just_a_folder(
    changed: Callable[..., Path], tmp_path: Path
) -> None:
    folder = changed().rename(tmp_path / "country=[X]*")
    assert data.load_charts(str(folder), tmp_path / "examples.parquet").countries == 72


def test_a_million_chart_entries_are_a_matter_of_a_second(changed: Callable[..., Path], tmp_path: Path) -> None:
    folder = changed(rankings=lambda table: pl.concat([table] * 50))
    start = time.process_time()
    assert data.load_charts(str(folder), tmp_path / "examples.parquet").rows == 50 * 21_600
    assert time.process_time() - start < 3  # measured: 0.3 s of all cores together


@pytest.mark.parametrize(
    ("week", "rows", "songs", "countries", "global_rows"),
    [("charts-2023-12", 19_699, 2_222, 72, 300), ("charts-2025-02", 2_000, 1_164, 40, 50)],
)
def test_the_real_charts_are_read_and_pass_the_check(
    real_charts: Path, tmp_path: Path, week: str, rows: int, songs: int, countries: int, global_rows: int
) -> None:
    dataset = data.load_charts(str(real_charts / week), tmp_path / "examples.parquet")
    assert (dataset.rows, dataset.songs, dataset.countries) == (rows, songs, countries)
    assert (dataset.global_rows, dataset.unmatched_rows) == (global_rows, 0)
    assert data.check(dataset.path).ok


@pytest.mark.parametrize("content", [pl.DataFrame({"spotify_id": ["a"]}), pl.DataFrame({"weight": ["1"]})])
def test_a_table_that_is_no_examples_table_is_refused(tmp_path: Path, content: pl.DataFrame) -> None:
    content.write_parquet(tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"^other\.parquet \(1 rows\) has no column .*weight|^other.*spotify_id"):
        data.read_examples(tmp_path / "other.parquet")


def test_a_missing_examples_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^none\.parquet \(no such file\) cannot be read as parquet"):
        data.read_examples(tmp_path / "none.parquet")

"""What the check finds, and how it says so."""

from pathlib import Path

import polars as pl
import pytest

from roadie import data
from roadie.data.rules import Examples, demands
from roadie.data.schema import EXAMPLE_COLUMNS
from roadie.data.tables import write_table
from roadie.errors import DataError


def checked(examples: Path, folder: Path, *changes: pl.Expr, add: pl.DataFrame | None = None) -> data.CheckReport:
    table = data.read_examples(examples).with_columns(*changes)
    write_table(table if add is None else pl.concat([table, add]), folder / "changed.parquet")
    return data.check(folder / "changed.parquet")


def in_rows(column: str, *values: object) -> pl.Expr:
    """The column with other values in its first rows."""
    changed = pl.col(column)
    for row, value in enumerate(values):
        changed = pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value)).otherwise(changed)
    return changed.alias(column)


def everywhere_of_first_song(examples: Path, column: str, value: float) -> pl.Expr:
    first = data.read_examples(examples)["spotify_id"][0]
    return pl.when(pl.col("spotify_id") == first).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)


def test_the_sample_breaks_no_rule(examples: Path) -> None:
    report = data.check(examples)
    assert report.ok
    assert report.to_markdown().startswith("# Charts: every rule holds\n\n21,600 chart entries, ")
    report.raise_on_failure()


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("duration_ms", -1.0, "must be above 0"),
        ("duration_ms", 0.0, "must be above 0"),
        ("danceability", 1.5, "must lie between 0 and 1"),
        ("valence", -0.1, "must lie between 0 and 1"),
        ("loudness", -200.0, "must lie between -60 and 10 dB"),
        ("key", 12.0, "must lie between -1 and 11"),
        ("mode", 0.5, "must be 0 or 1"),
        ("is_explicit", 2.0, "must be 0 or 1"),
        ("tempo", -1.0, "must be at least 0"),
        ("energy", float("nan"), "must be a finite number"),
        ("energy", float("inf"), "must be a finite number"),
        ("tempo", float("-inf"), "must be a finite number"),
    ],
)
def test_a_value_out_of_bounds_breaks_the_rule_of_its_column_alone(
    examples: Path, tmp_path: Path, column: str, value: float, rule: str
) -> None:
    report = checked(examples, tmp_path, everywhere_of_first_song(examples, column, value))
    (failure,) = report.failures
    assert (failure.table, failure.column, failure.rule) == ("song_properties.parquet", column, rule)
    table = data.read_examples(examples)
    assert failure.count == table.filter(pl.col("spotify_id") == table["spotify_id"][0]).height
    assert len(failure.examples) == 1


@pytest.mark.parametrize("key", [-1.0, 0.0, 11.0])
def test_the_ends_of_a_range_are_within_it(examples: Path, tmp_path: Path, key: float) -> None:
    assert checked(examples, tmp_path, everywhere_of_first_song(examples, "key", key)).ok


def test_a_null_is_shown_as_one(examples: Path, tmp_path: Path) -> None:
    report = checked(examples, tmp_path, in_rows("country", None), in_rows("weight", None))
    assert [(failure.column, failure.rule) for failure in report.failures] == [
        ("country", "must not be null"),
        ("weight", "must not be null"),
    ]
    assert report.failures[0].examples[0].endswith("in None: null")


def test_up_to_three_songs_are_shown_and_all_rows_are_counted(examples: Path, tmp_path: Path) -> None:
    report = checked(examples, tmp_path, pl.lit(-5.0).alias("duration_ms"))
    (failure,) = report.failures
    assert failure.count == report.examples
    assert len({example.split()[0] for example in failure.examples}) == 3
    assert all(example.endswith(": -5.0") for example in failure.examples)


def test_a_song_with_two_descriptions_says_in_what_they_differ(examples: Path, tmp_path: Path) -> None:
    add = data.read_examples(examples)[:1].with_columns(tempo=pl.lit(1.0), key=pl.lit(3.0), country=pl.lit("XX"))
    (failure,) = checked(examples, tmp_path, add=add).failures
    assert (failure.table, failure.column) == ("song_properties.parquet", "spotify_id")
    assert failure.rule == "must have the same features wherever it stands"
    assert "tempo" in failure.examples[0]


def test_a_repeated_example_is_found(examples: Path, tmp_path: Path) -> None:
    (failure,) = checked(examples, tmp_path, add=data.read_examples(examples)[:2]).failures
    assert (failure.rule, failure.count) == ("must stand once for each country", 4)


def test_one_country_only_is_refused(examples: Path, tmp_path: Path) -> None:
    write_table(data.read_examples(examples).filter(country="SE"), tmp_path / "se.parquet")
    report = data.check(tmp_path / "se.parquet", minimum_songs=1)
    with pytest.raises(DataError) as caught:
        report.raise_on_failure()
    assert str(caught.value) == (
        "The charts cannot be trained on: column country of song_rankings.parquet must name at least 2 countries, "
        "but names 1 (SE); mend song_rankings.parquet and load the charts again"
    )


def test_too_few_songs_are_refused(examples: Path) -> None:
    (failure,) = data.check(examples, minimum_songs=100_000).failures
    assert failure.rule == "must name at least 100,000 songs"


def test_the_error_is_one_sentence_with_column_rule_count_and_examples(examples: Path, tmp_path: Path) -> None:
    report = checked(
        examples,
        tmp_path,
        pl.lit(-5.0).alias("duration_ms"),
        pl.lit(2.0).alias("energy"),
        pl.lit(2.0).alias("valence"),
        pl.lit("se\n").alias("country"),
    )
    with pytest.raises(DataError) as caught:
        report.raise_on_failure()
    message = str(caught.value)
    assert "\n" not in message
    assert "column energy of song_properties.parquet must lie between 0 and 1, but " in message
    total = f"{report.examples:,}"
    assert f"{total} of {total} examples, of {report.songs:,} songs, break that (" in message
    assert message.endswith("mend song_rankings.parquet and song_properties.parquet and load the charts again")


def test_the_report_shows_text_of_unknown_origin_as_text(examples: Path, tmp_path: Path) -> None:
    report = checked(examples, tmp_path, in_rows("country", "<b>|`x`\n"))
    (failure,) = report.failures
    (line,) = [line for line in report.to_markdown().splitlines() if "ISO 3166" in line]
    assert line.count("|") == 6
    text = failure.examples[0].replace("|", "/").replace("`", "'")
    assert line.endswith("`" + text.replace("<", "&lt;").replace(">", "&gt;") + "` |")


def test_every_feature_has_a_rule_beyond_being_finite() -> None:
    ruled = [demand.column for demand in demands()]
    assert [name for name in data.FEATURES if ruled.count(name) < 2] == []


def test_every_rule_of_the_schema_has_words_of_its_own(examples: Path) -> None:
    _, failure = Examples.filter(data.read_examples(examples).clear())
    rules = set(failure.details().columns) - set(EXAMPLE_COLUMNS)
    assert sorted(name for demand in demands() for name in demand.rules) == sorted(rules)
    assert all(demand.text.startswith("must ") for demand in demands())


def test_the_schema_has_the_columns_and_types_of_the_examples() -> None:
    assert dict(pl.Schema(Examples)) == EXAMPLE_COLUMNS


def test_nothing_in_a_table_is_html_in_the_report(examples: Path, tmp_path: Path) -> None:
    page = checked(examples, tmp_path, in_rows("country", "<img src=x onerror=alert(1)>")).to_markdown()
    assert "&lt;img src=x" in page
    assert "<img" not in page

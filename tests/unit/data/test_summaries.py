"""The summary that travels with a model."""

import json
from pathlib import Path

import polars as pl
import pytest

from roadie import data
from roadie.data.tables import write_table
from roadie.errors import DataError


def test_features_are_summarised_by_song_and_countries_by_entry(examples: Path) -> None:
    summary = data.summarise(examples)
    table = data.read_examples(examples)
    tempo = table.unique("spotify_id")["tempo"]
    assert summary.features["tempo"].mean == pytest.approx(tempo.mean())
    assert summary.features["tempo"].std == pytest.approx(tempo.std(ddof=0))
    quantiles = summary.features["tempo"].quantiles
    assert (quantiles[0], quantiles[-1]) == (tempo.min(), tempo.max())
    assert quantiles[50] == pytest.approx(tempo.median())
    assert len(quantiles) == len(summary.levels) == 101
    assert summary.countries["SE"] == table.filter(country="SE")["weight"].sum()
    assert sum(summary.countries.values()) == summary.rows
    assert summary.sha256 == data.file_sha256(examples)


def test_a_summary_survives_json_and_is_small(examples: Path) -> None:
    summary = data.summarise(examples)
    text = summary.to_json()
    assert data.Summary.from_json(text) == summary
    assert list(json.loads(text)["features"]) == sorted(data.FEATURES)
    assert len(text) < 20_000


def test_a_model_may_come_without_a_summary(examples: Path, tmp_path: Path) -> None:
    assert data.read_summary(tmp_path / data.SUMMARY) is None
    (tmp_path / data.SUMMARY).write_text(data.summarise(examples).to_json())
    assert data.read_summary(tmp_path / data.SUMMARY) == data.summarise(examples)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"features": 1}', '{"features": {"tempo": {}}}'])
def test_what_is_no_summary_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="The summary of the training data cannot be read"):
        data.Summary.from_json(text)


@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_column_that_is_not_finite_is_named(examples: Path, tmp_path: Path, value: float | None) -> None:
    broken = data.read_examples(examples).with_columns(tempo=pl.lit(value, dtype=pl.Float64))
    write_table(broken, tmp_path / "broken.parquet")
    with pytest.raises(DataError, match="Column tempo has values that are not finite"):
        data.summarise(tmp_path / "broken.parquet")

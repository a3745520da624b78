"""The built-in charts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from roadie import data


def test_the_bytes_depend_on_the_seed_alone(tables: Path, tmp_path: Path) -> None:
    data.write_sample(tmp_path / "again")
    data.write_sample(tmp_path / "other", seed=-7)
    for name in ("song_rankings.parquet", "song_properties.parquet"):
        first, again, other = (
            data.file_sha256(folder / name) for folder in (tables, tmp_path / "again", tmp_path / "other")
        )
        assert first == again != other


def test_the_sample_has_the_shape_of_the_real_charts(tables: Path, real_charts: Path) -> None:
    for name in ("song_rankings.parquet", "song_properties.parquet"):
        ours, real = (pl.read_parquet(folder / name) for folder in (tables, real_charts / "charts-2025-02"))
        assert ours.schema == real.schema


def test_the_sample_is_about_as_large_as_it_says(tables: Path) -> None:
    rankings = pl.read_parquet(tables / "song_rankings.parquet")
    properties = pl.read_parquet(tables / "song_properties.parquet")
    assert 18_000 < rankings.height < 24_000
    assert 1_700 < properties.height < 2_300
    assert rankings["country"].n_unique() == 73
    assert set(rankings["spotify_id"]) == set(properties["spotify_id"])
    assert properties["spotify_id"].str.contains("^[0-9A-Za-z]{22}$").all()
    assert rankings["daily_rank"].is_between(1, 50).all()


@dataclass(frozen=True)
class Fitted:
    """A model of the features, the examples it was fitted on, and those it was not."""

    model: LogisticRegression
    scaler: StandardScaler
    train: pl.DataFrame
    holdout: pl.DataFrame


@pytest.fixture(scope="module")
def fitted(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("sides")
    sides = data.split(examples, folder / "train", folder / "holdout", share=0.25, seed=0)
    train, holdout = (data.read_examples(side.path) for side in (sides.train, sides.holdout))
    features = train.select(data.FEATURES).to_numpy()
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=0.5, max_iter=200)
    model.fit(scaler.transform(features), train["country"], sample_weight=train["weight"])
    return Fitted(model, scaler, train, holdout)


def test_another_seed_is_another_month_of_the_same_tastes(tables: Path, fitted: Fitted, tmp_path: Path) -> None:
    data.write_sample(tmp_path, seed=1)
    now, then = (pl.read_parquet(folder / "song_properties.parquet")["spotify_id"] for folder in (tables, tmp_path))
    assert not set(now) & set(then)
    later = data.read_examples(data.load_charts("sample", tmp_path / "later.parquet", seed=1).path)
    assert top_five(fitted.model, fitted.scaler, later) > 0.4


def top_five(model: LogisticRegression, scaler: StandardScaler, table: pl.DataFrame) -> float:
    guesses = np.argsort(-model.predict_proba(scaler.transform(table.select(data.FEATURES).to_numpy())))[:, :5]
    hits = [country in model.classes_[guess] for country, guess in zip(table["country"], guesses, strict=True)]
    return float(np.average(hits, weights=table["weight"]))


def test_a_model_of_the_features_beats_the_class_prior_by_far_on_songs_it_never_saw(fitted: Fitted) -> None:
    model, scaler, train, holdout = fitted.model, fitted.scaler, fitted.train, fitted.holdout
    chances = model.predict_proba(scaler.transform(holdout.select(data.FEATURES).to_numpy()))
    truth = np.searchsorted(model.classes_, holdout["country"].to_numpy())
    loss = -np.average(np.log(chances[np.arange(len(truth)), truth]), weights=holdout["weight"])
    prior = train.group_by("country").agg(pl.col("weight").sum()).sort("country")["weight"].to_numpy()
    baseline = -np.average(np.log(prior / prior.sum())[truth], weights=holdout["weight"])
    assert baseline == pytest.approx(4.3, abs=0.05)
    assert baseline - loss > 1.2
    assert top_five(model, scaler, holdout) > 0.45

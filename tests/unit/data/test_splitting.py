"""The split by song."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadie import data
from roadie.data.splitting import in_holdout
from roadie.data.tables import write_table
from roadie.errors import DataError, UsageError


def split(examples: Path, folder: Path, share: float = 0.25, seed: int = 0) -> data.Split:
    return data.split(examples, folder / "train.parquet", folder / "holdout.parquet", share=share, seed=seed)


def test_no_song_stands_on_both_sides_and_no_example_is_lost(examples: Path, tmp_path: Path) -> None:
    sides = split(examples, tmp_path)
    train, holdout = data.read_examples(sides.train.path), data.read_examples(sides.holdout.path)
    assert not set(train[data.GROUP]) & set(holdout[data.GROUP])
    assert pl.concat([train, holdout]).sort(data.GROUP, data.LABEL).equals(data.read_examples(examples))
    assert sides.train.rows == train[data.WEIGHT].sum()
    assert (sides.holdout.examples, sides.holdout.songs) == (holdout.height, holdout[data.GROUP].n_unique())
    assert sides.holdout.sha256 == data.file_sha256(sides.holdout.path)


def test_the_holdout_has_about_its_share_of_the_songs(examples: Path, tmp_path: Path) -> None:
    sides = split(examples, tmp_path, share=0.25)
    songs = sides.train.songs + sides.holdout.songs
    assert sides.holdout.songs / songs == pytest.approx(0.25, abs=0.05)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_holdout(examples: Path, tmp_path: Path) -> None:
    first, again, other = (split(examples, tmp_path / str(run), seed=seed) for run, seed in enumerate((0, 0, 1)))
    assert (first.train.sha256, first.holdout.sha256) == (again.train.sha256, again.holdout.sha256)
    assert first.holdout.sha256 != other.holdout.sha256


def test_a_song_keeps_its_side_when_more_weeks_arrive(examples: Path, tmp_path: Path) -> None:
    table = data.read_examples(examples)
    write_table(table.filter(pl.int_range(pl.len()) % 3 > 0), tmp_path / "fewer.parquet")
    fewer, all_weeks = (
        split(tmp_path / "fewer.parquet", tmp_path / "fewer"),
        split(examples, tmp_path / "all"),
    )
    held_then = set(data.read_examples(fewer.holdout.path)[data.GROUP])
    trained_now = set(data.read_examples(all_weeks.train.path)[data.GROUP])
    assert not held_then & trained_now


@pytest.mark.parametrize(("share", "side"), [(1e-9, "holdout"), (1 - 1e-9, "training")])
def test_an_empty_side_is_refused(examples: Path, tmp_path: Path, share: float, side: str) -> None:
    with pytest.raises(DataError, match=f"The {side} side of the split is empty: .* songs at a holdout share"):
        split(examples, tmp_path, share=share)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_refused(examples: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(UsageError, match="must lie between 0 and 1"):
        split(examples, tmp_path, share=share)


@given(song=st.text(), seed=st.integers(), share=st.floats(0.01, 0.99), more=st.floats(0.0, 1.0))
def test_a_larger_share_only_adds_songs_to_the_holdout(song: str, seed: int, share: float, more: float) -> None:
    larger = share + (1 - share) * more
    assert in_holdout(song, share=larger, seed=seed) or not in_holdout(song, share=share, seed=seed)

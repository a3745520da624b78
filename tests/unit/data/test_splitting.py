"""The split by song."""

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roadie import data
from roadie.data.schema import EXAMPLE_COLUMNS
from roadie.data.splitting import in_holdout
from roadie.data.tables import write_table
from roadie.errors import DataError, UsageError


def split(examples: Path, folder: Path, share: float = 0.25, seed: int = 0) -> data.Split:
    return data.split(examples, folder / "train.parquet", folder / "holdout.parquet", share=share, seed=seed)


def test_no_song_stands_on_both_sides_and_no_example_is_lost(examples: Path, tmp_path: Path) -> None:
    sides = split(examples, tmp_path)
    train, holdout = data.read_examples(sides.train.path), data.read_examples(sides.holdout.path)
    assert not set(train[data.GROUP]) & set(holdout[data.GROUP])
    assert pl.read_parquet(sides.train.path).columns == list(EXAMPLE_COLUMNS)
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
    with pytest.raises(
        DataError, match=f"The {side} side of the split is empty: .* values of spotify_id at a holdout share"
    ):
        split(examples, tmp_path, share=share)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_share_outside_0_to_1_is_refused(examples: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(UsageError, match="must lie between 0 and 1"):
        split(examples, tmp_path, share=share)


def test_a_fixed_holdout_is_copied_and_its_songs_are_not_trained_on(examples: Path, tmp_path: Path) -> None:
    earlier = split(examples, tmp_path / "earlier", seed=1).holdout
    sides = data.split(examples, tmp_path / "train", tmp_path / "holdout", seed=0, fixed=earlier.path)
    assert (sides.holdout.sha256, sides.holdout.rows) == (earlier.sha256, earlier.rows)
    assert sides.holdout.path.read_bytes() == earlier.path.read_bytes()
    held, everything = data.read_examples(earlier.path), data.read_examples(examples)
    learnt = everything.join(held, on=data.GROUP, how="anti", maintain_order="left")
    assert data.read_examples(sides.train.path).equals(learnt)


def test_a_fixed_holdout_of_another_shape_is_refused(examples: Path, tmp_path: Path) -> None:
    pl.read_parquet(examples).drop("first_seen").cast({"tempo": pl.Float32}).write_parquet(tmp_path / "other")
    with pytest.raises(DataError, match=r"fixed holdout other has other columns than the examples \(tempo\)"):
        data.split(examples, tmp_path / "train", tmp_path / "holdout", seed=0, fixed=tmp_path / "other")


def test_a_cut_in_time_holds_out_new_songs_and_hides_what_old_ones_did_later(examples: Path, tmp_path: Path) -> None:
    day = date(2023, 12, 6)
    sides = data.split(examples, tmp_path / "train", tmp_path / "holdout", seed=0, since=str(day))
    table = pl.read_parquet(examples)
    debuts = dict(table.group_by(data.GROUP).agg(pl.col("first_seen").min()).iter_rows())
    held, learnt = (data.read_examples(part.path) for part in (sides.holdout, sides.train))
    assert set(held[data.GROUP]) == {song for song, debut in debuts.items() if debut >= day}
    assert held.height == table.filter(pl.col(data.GROUP).is_in(held[data.GROUP].unique().implode())).height
    assert learnt.equals(table.filter(pl.col("first_seen") < day).drop("first_seen"))


def test_charts_without_dates_cannot_be_cut_in_time(examples: Path, tmp_path: Path) -> None:
    write_table(data.read_examples(examples), tmp_path / "undated.parquet")
    with pytest.raises(DataError, match="cannot be cut at 2023-12-06, because .* rankings with a snapshot_date"):
        data.split(tmp_path / "undated.parquet", tmp_path / "train", tmp_path / "holdout", seed=0, since="2023-12-06")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"since": "06.12.2023"}, "'06.12.2023' is no date"),
        ({"since": "2023-12-06", "fixed": Path("x")}, "one of them"),
    ],
)
def test_a_wrong_way_to_hold_out_is_refused(examples: Path, tmp_path: Path, options: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        data.split(examples, tmp_path / "train", tmp_path / "holdout", seed=0, **options)


def test_any_table_can_be_split_by_its_own_groups(tmp_path: Path) -> None:
    cells = pl.DataFrame({"patient": [number // 3 for number in range(300)], "malignant": [0, 1, 1] * 100})
    cells.write_parquet(tmp_path / "cells.parquet")
    sides = data.split(
        tmp_path / "cells.parquet",
        tmp_path / "train",
        tmp_path / "holdout",
        seed=0,
        group="patient",
        label="malignant",
    )
    train, holdout = pl.read_parquet(sides.train.path), pl.read_parquet(sides.holdout.path)
    assert not set(train["patient"]) & set(holdout["patient"])
    assert (sides.train.rows + sides.holdout.rows, sides.train.songs + sides.holdout.songs) == (300, 100)
    with pytest.raises(DataError, match="cells.parquet has no column person; it has patient, malignant"):
        data.split(
            tmp_path / "cells.parquet",
            tmp_path / "train",
            tmp_path / "holdout",
            seed=0,
            group="person",
            label="malignant",
        )


def test_a_balanced_seed_spreads_every_country_over_both_sides(examples: Path, tmp_path: Path) -> None:
    usual = [split(examples, tmp_path, share=0.2, seed=seed).imbalance for seed in range(20)]
    best = split(examples, tmp_path, share=0.2, seed=data.balanced_seed(examples, share=0.2, candidates=20))
    assert best.imbalance == min(usual) < sum(usual) / len(usual)
    held, learnt = (pl.read_parquet(part.path) for part in (best.holdout, best.train))
    shares = [
        len(held.filter(country=name)) / (len(held.filter(country=name)) + len(learnt.filter(country=name)))
        for name in learnt["country"].unique()
    ]
    overall = best.holdout.songs / (best.holdout.songs + best.train.songs)
    deviation = sum((found - overall) ** 2 for found in shares) / len(shares)
    assert best.imbalance == pytest.approx(deviation**0.5, abs=1e-4)


@given(song=st.text(), seed=st.integers(), share=st.floats(0.01, 0.99), more=st.floats(0.0, 1.0))
def test_a_larger_share_only_adds_songs_to_the_holdout(song: str, seed: int, share: float, more: float) -> None:
    larger = share + (1 - share) * more
    assert in_holdout(song, share=larger, seed=seed) or not in_holdout(song, share=share, seed=seed)

"""What is said of new charts beside those that a model was trained on."""

import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from roadie import data
from roadie.data.tables import write_table


def drifted(examples: Path, folder: Path, *changes: pl.Expr, keep: pl.Expr | None = None) -> data.Drift:
    """The drift of changed charts against those of `examples`."""
    table = data.read_examples(examples).with_columns(*changes)
    write_table(table if keep is None else table.filter(keep), folder / "new.parquet")
    return data.drift(folder / "new.parquet", data.summarise(examples))


def half(number: int) -> pl.Expr:
    return pl.col("spotify_id").hash(seed=7) % 2 == number


def test_the_same_charts_have_not_drifted(examples: Path, tmp_path: Path) -> None:
    found = drifted(examples, tmp_path)
    assert found.moved == ()
    assert {each.shift for each in found.features.values()} == {0.0}
    assert max(each.psi for each in found.features.values()) < 0.02
    assert found.labels == data.LabelDrift(0.0, (), ())
    assert found.sentence.startswith("0 of 13 features moved; 0% of the chart entries are of other countries")


def test_features_that_moved_are_named_and_others_are_not(examples: Path, tmp_path: Path) -> None:
    found = drifted(examples, tmp_path, pl.col("loudness") - 1, pl.col("mode") * 0, keep=half(0))
    assert set(found.moved) == {"loudness", "mode"}
    assert found.features["loudness"].shift == pytest.approx(-1 / pl.read_parquet(examples)["loudness"].std(), abs=0.1)
    assert found.sentence.startswith("2 of 13 features moved: ")


def test_a_change_of_spread_alone_is_seen(examples: Path, tmp_path: Path) -> None:
    wider = pl.col("tempo").mean() + 2 * (pl.col("tempo") - pl.col("tempo").mean())
    found = drifted(examples, tmp_path, wider).features["tempo"]
    assert found.moved
    assert found.ks_p < 1e-6 < found.shift_p
    assert found.psi > 0.25


def test_the_figures_are_those_of_scipy_as_far_as_quantiles_tell(examples: Path, tmp_path: Path) -> None:
    table = data.read_examples(examples)
    write_table(table.filter(half(1)), tmp_path / "before.parquet")
    write_table(table.filter(half(0)).with_columns(pl.col("tempo") + 4), tmp_path / "new.parquet")
    found = data.drift(tmp_path / "new.parquet", data.summarise(tmp_path / "before.parquet")).features["tempo"]
    before, new = (
        data.read_examples(tmp_path / f"{name}.parquet").unique("spotify_id")["tempo"].to_numpy()
        for name in ("before", "new")
    )
    welch = stats.ttest_ind(new, before, equal_var=False)
    ks = stats.ks_2samp(new, before, method="asymp")
    assert found.shift_p == pytest.approx(welch.pvalue, rel=0.05)
    assert ks.statistic - 0.011 <= found.ks <= ks.statistic + 0.001
    assert found.ks_p == pytest.approx(
        stats.kstwobign.sf(found.ks * math.sqrt(len(new) * len(before) / len(table.unique("spotify_id")))), rel=1e-4
    )
    edges = np.quantile(before, np.linspace(0.1, 0.9, 9))
    shares = [np.bincount(np.searchsorted(edges, values), minlength=10) / len(values) for values in (new, before)]
    assert found.psi == pytest.approx(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum(), rel=0.1)


def test_halves_of_the_same_songs_seldom_differ(examples: Path, tmp_path: Path) -> None:
    table = data.read_examples(examples)
    alarms = 0
    for number in range(10):
        is_new = pl.col("spotify_id").hash(seed=number) % 2 == 0
        write_table(table.filter(is_new), tmp_path / "new.parquet")
        write_table(table.filter(~is_new), tmp_path / "before.parquet")
        found = data.drift(tmp_path / "new.parquet", data.summarise(tmp_path / "before.parquet"))
        alarms += bool(found.moved)
        assert all(each.psi < 0.1 for each in found.features.values())
    assert alarms <= 2


def test_countries_that_appear_and_vanish_are_named(examples: Path, tmp_path: Path) -> None:
    found = drifted(
        examples,
        tmp_path,
        pl.when(pl.col("country") == "SE").then(pl.lit("XX")).otherwise(pl.col("country")).alias("country"),
        keep=pl.col("country") != "NO",
    )
    assert (found.labels.appeared, found.labels.vanished) == (("XX",), ("NO", "SE"))
    assert found.labels.distance == pytest.approx(2 / 72, rel=0.01)
    assert "1 countries appeared (XX); 2 countries vanished (NO, SE)" in found.sentence


def test_a_feature_that_never_changed_and_now_does_has_moved(examples: Path, tmp_path: Path) -> None:
    flat = pl.lit(0.0).alias("mode")
    write_table(data.read_examples(examples).with_columns(flat), tmp_path / "flat.parquet")
    reference = data.summarise(tmp_path / "flat.parquet")
    assert data.drift(examples, reference).moved == ("mode",)
    assert data.drift(tmp_path / "flat.parquet", reference).features["mode"].shift_p == 1.0


def test_a_drift_is_json_a_page_and_metrics(examples: Path, tmp_path: Path) -> None:
    found = drifted(examples, tmp_path, pl.col("energy") * 0.5)
    fields = json.loads(found.to_json())
    assert fields["features"]["energy"]["moved"]
    assert fields["reference_sha256"] == data.file_sha256(examples)
    rows = [line for line in found.to_markdown().splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(data.FEATURES)
    assert rows[2].startswith("| energy |")
    assert rows[2].endswith(" moved |")
    assert found.metrics["drift_features_moved"] == 1.0
    assert found.metrics["drift_energy_psi"] == found.features["energy"].psi
    assert len(found.metrics) == 2 + 3 * len(data.FEATURES)
    report = found.to_report()
    assert report["summary"] == f"{found.sentence}."
    assert [each["name"] for each in report["features"] if each["alarm"]] == ["energy"]

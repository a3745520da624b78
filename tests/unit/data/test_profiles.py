"""The page that shows what a table looks like."""

import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roadie import data
from roadie.data.schema import EXAMPLE_COLUMNS
from roadie.data.tables import write_table


def profiled(examples: Path, folder: Path, *changes: pl.Expr) -> str:
    write_table(data.read_examples(examples).with_columns(*changes), folder / "changed.parquet")
    data.profile(folder / "changed.parquet", folder / "profile.html")
    return (folder / "profile.html").read_text()


def plots(page: str) -> dict[str, ET.Element]:
    """The plots by the name of their column."""
    found = re.findall(r"<h3>(.*?)</h3>\s*(<svg.*?</svg>)", page, re.DOTALL)
    return {name: ET.fromstring(svg) for name, svg in found}


def counts(plot: ET.Element) -> list[int]:
    return [
        int(re.sub(r".*: ([\d,]+) songs", r"\1", title.text or "").replace(",", "")) for title in plot.iter("title")
    ]


def test_every_feature_has_a_histogram_that_counts_every_song(examples: Path, tmp_path: Path) -> None:
    drawn = plots(profiled(examples, tmp_path))
    songs = data.read_examples(examples)["spotify_id"].n_unique()
    assert list(drawn)[: len(data.FEATURES)] == list(data.FEATURES)
    assert {sum(counts(plot)) for plot in drawn.values()} == {songs}
    assert len(counts(drawn["mode"])) == 2
    assert len(counts(drawn["key"])) == 12


def test_the_page_needs_no_network_and_fits_phones_and_the_dark(examples: Path, tmp_path: Path) -> None:
    page = profiled(examples, tmp_path)
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page
    assert len(page) < 80_000


def test_a_broken_table_is_profiled_too(examples: Path, tmp_path: Path) -> None:
    page = profiled(
        examples,
        tmp_path,
        pl.lit(float("nan")).alias("tempo"),
        pl.lit(0.5).alias("energy"),
        pl.lit("<b>").alias("country"),
        pl.when(pl.int_range(pl.len()) == 0).then(None).otherwise(pl.col("valence")).alias("valence"),
    )
    drawn = plots(page)
    assert counts(drawn["tempo"]) == []
    assert len(counts(drawn["energy"])) == 1
    assert "Songs without a finite value: 1<" in page
    assert "<b>&lt;" not in page
    assert "&lt;b&gt;" in page


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.floats() | st.none(), min_size=1, max_size=60), weight=st.integers(-2, 2) | st.none())
def test_whatever_a_table_holds_it_can_be_profiled(
    tmp_path: Path, values: list[float | None], weight: int | None
) -> None:
    columns: dict[str, object] = {"spotify_id": [f"song {number}" for number in range(len(values))], "country": None}
    columns |= {"weight": weight} | dict.fromkeys(data.FEATURES, values)
    pl.DataFrame(columns, schema=EXAMPLE_COLUMNS).write_parquet(tmp_path / "odd.parquet")
    data.profile(tmp_path / "odd.parquet", tmp_path / "profile.html")
    drawn = plots((tmp_path / "profile.html").read_text())["tempo"]
    assert sum(counts(drawn)) <= sum(value is not None and math.isfinite(value) for value in values)


def test_the_same_table_gives_the_same_bytes(examples: Path, tmp_path: Path) -> None:
    assert profiled(examples, tmp_path) == profiled(examples, tmp_path)

"""The profile of an examples table: one HTML page with a small plot for every column, readable without network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from roadie.data.schema import FEATURES, GROUP, LABEL, WEIGHT
from roadie.data.tables import count_rows, read_examples

TEMPLATE = Path(__file__).with_name("profile.html.j2")
BINS = 24  # of a histogram; a column with no more values than that has a bar for each


@dataclass(frozen=True)
class Bar:
    """One bar of a plot: what it counts, how often, and its height as a share of the highest."""

    label: str
    count: int
    height: float


@dataclass(frozen=True)
class Plot:
    """One column: its figures by name, how many songs have no finite value, and its histogram."""

    name: str
    figures: dict[str, str]
    missing: int
    bars: tuple[Bar, ...]


def profile(path: Path, report: Path) -> None:
    """Write the profile of an examples table to `report`; the same table gives the same bytes.

    Features are counted by song, countries by chart entry. A table that breaks rules can be profiled all the same:
    values that are not finite are counted and left out.

    Raises:
        DataError: the table cannot be read.
    """
    from jinja2 import Environment, StrictUndefined  # here, so that only a profile loads it

    table = read_examples(path)
    songs = table.unique(GROUP, keep="first", maintain_order=True)
    countries = table.group_by(LABEL).agg(pl.col(WEIGHT).sum()).sort(WEIGHT, LABEL, descending=[True, False])
    spread = table.group_by(GROUP).agg(pl.len().alias("countries of a song"), pl.col(WEIGHT).sum().alias("entries"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        size={"chart entries": count_rows(table), "examples": table.height, "songs": songs.height},
        countries=_bars([(str(name), count) for name, count in countries.iter_rows()]),
        features=[_plot(songs[name]) for name in FEATURES],
        spread=[_plot(spread[name].cast(pl.Float64)) for name in ("countries of a song", "entries")],
    )
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(page, encoding="utf-8")


def _plot(values: pl.Series) -> Plot:
    finite = values.filter(values.is_finite().fill_null(value=False)).sort()
    if finite.is_empty():
        return Plot(values.name, {}, len(values), ())
    names = {"least": 0.0, "median": 0.5, "most": 1.0}
    figures = {name: _figure(finite.quantile(level, "linear")) for name, level in names.items()}
    figures["mean"] = _figure(finite.mean())
    return Plot(values.name, figures, len(values) - len(finite), _bars(list(_histogram(finite))))


def _histogram(finite: pl.Series) -> Iterator[tuple[str, int]]:
    """Label and count of each bar; `finite` is sorted and not empty."""
    if finite.n_unique() <= BINS:
        for value, count in finite.value_counts(name="count").sort(finite.name).iter_rows():
            yield _figure(value), count
        return
    least, most = finite[0], finite[-1]
    width = (most - least) / BINS
    counts = dict(
        ((finite - least) / width).floor().clip(0, BINS - 1).cast(pl.Int64, strict=False).value_counts().iter_rows()
    )
    for number in range(BINS):
        low = least + number * width
        yield f"{_figure(low)} to {_figure(low + width)}", counts.get(number, 0)


def _bars(counts: Sequence[tuple[str, int]]) -> tuple[Bar, ...]:
    highest = max((1, *(count for _, count in counts)))
    return tuple(Bar(label, count, round(count / highest, 3)) for label, count in counts)


def _figure(value: object) -> str:
    number = float(str(value))
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"  # noqa: PLR2004

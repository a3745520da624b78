"""What a table looked like, small enough to travel in the image of the model that was trained on it.

Features are summarised by song, not by row: tests on rows see drift where there is none, for a song's rows repeat.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from roadie.data.schema import FEATURES, GROUP, LABEL, WEIGHT
from roadie.data.tables import count_rows, file_sha256, read_examples
from roadie.errors import DataError

# Its name beside the folder 1 of a model. A file: OpenVINO Model Server warns every second of folders without a number.
SUMMARY = "training-summary.json"
LEVELS = tuple(level / 100 for level in range(101))


@dataclass(frozen=True)
class FeatureSummary:
    """One feature over the songs; `quantiles` are those at `Summary.levels` (0, 0.01, ... 1)."""

    mean: float
    std: float
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class Summary:
    """An examples table in figures: its digest, its size, chart entries by country, and each feature by song."""

    sha256: str
    rows: int
    examples: int
    songs: int
    countries: dict[str, int]
    levels: tuple[float, ...]
    features: dict[str, FeatureSummary]

    def to_json(self) -> str:
        """One line of JSON, the same for the same table."""
        return json.dumps(asdict(self), sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Summary":
        """Read what `to_json` wrote, or raise a DataError."""
        try:
            fields = json.loads(text)
            features = {
                name: FeatureSummary(**{**figures, "quantiles": tuple(figures["quantiles"])})
                for name, figures in fields["features"].items()
            }
            return cls(**{**fields, "levels": tuple(fields["levels"]), "features": features})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"The summary of the training data cannot be read ({type(error).__name__}: {error}); train again"
            ) from error


def summarise(path: Path) -> Summary:
    """Summarise an examples table that passed the check; a DataError if it cannot be read or is not finite."""
    table = read_examples(path)
    songs = values_by_song(table)
    countries = table.group_by(LABEL).agg(pl.col(WEIGHT).sum()).sort(LABEL)
    return Summary(
        sha256=file_sha256(path),
        rows=count_rows(table),
        examples=table.height,
        songs=songs.height,
        countries=dict(countries.iter_rows()),
        levels=LEVELS,
        features={name: _figures(songs[name]) for name in FEATURES},
    )


def read_summary(path: Path) -> Summary | None:
    """The summary in a file, or None where there is none: not every model was made by Roadie.

    Raises:
        DataError: the file is no summary.
    """
    return Summary.from_json(path.read_text(encoding="utf-8")) if path.is_file() else None


def values_by_song(table: pl.DataFrame) -> pl.DataFrame:
    """The features of each song of an examples table, once."""
    return table.select(GROUP, *FEATURES).unique(GROUP, keep="first", maintain_order=True)


def _figures(values: pl.Series) -> FeatureSummary:
    if values.null_count() or not values.is_finite().all():
        raise DataError(
            f"Column {values.name} has values that are not finite and cannot be summarised; check the table first"
        )
    quantiles = tuple(_rounded(values.quantile(level, "linear")) for level in LEVELS)
    return FeatureSummary(_rounded(values.mean()), _rounded(values.std(ddof=0)), quantiles)


def _rounded(figure: object) -> float:
    """Nine digits: the last ones of a sum depend on the machine, and equal tables are to give equal summaries."""
    return float(f"{figure:.9g}")

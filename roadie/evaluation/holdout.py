"""The holdout as arrays: one case per distinct set of features, one column per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from roadie.errors import EvaluationError


@dataclass(frozen=True)
class Columns:
    """What a holdout's columns mean, by default those of the charts; all others are features.

    `unit` is what a report calls the groups.
    """

    group: str = "spotify_id"
    label: str = "country"
    weight: str = "weight"
    unit: str = "songs"


@dataclass(frozen=True)
class Holdout:
    """The cases that both models are scored on, once each.

    inputs: the features, one row per case. weights: float64 [cases, classes], how many entries (of the charts,
    say) carry that label. groups: int64 [cases], the song each case belongs to, and ids what these are called; songs,
    not rows, are what the bootstrap draws, because the rows of one song are not independent.
    """

    inputs: pl.DataFrame
    weights: NDArray[np.float64]
    groups: NDArray[np.int64]
    classes: tuple[str, ...]
    ids: tuple[str, ...] = ()

    @cached_property
    def group_count(self) -> int:
        """Number of groups."""
        return int(self.groups.max()) + 1

    @property
    def entries(self) -> float:
        """The sum of all weights."""
        return float(self.weights.sum())

    @property
    def prior(self) -> NDArray[np.float64]:
        """The share of each class in the holdout, [classes]."""
        return np.asarray(self.weights.sum(axis=0) / self.entries)

    def by_group(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum values [cases, columns] over the cases of each group, [groups, columns]."""
        if len(values) == self.group_count:
            return values  # the cases are in the groups' order already
        sums = np.zeros((self.group_count, values.shape[1]))
        np.add.at(sums, self.groups, values)
        return sums


def read_holdout(path: Path, columns: Columns, *, known_classes: Sequence[str] = ()) -> Holdout:
    """Read a holdout table; its classes are the labels found and `known_classes`, sorted by name.

    Raises:
        EvaluationError: the file cannot be read, lacks a column, is empty, or has a missing label or weight.
    """
    keys = [columns.group, columns.label, columns.weight]
    try:
        frame = pl.read_parquet(path, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise EvaluationError(
            f"The holdout {path.name} cannot be read as parquet; give the file that the split wrote"
        ) from error
    missing = [name for name in keys if name not in frame.columns]
    if missing:
        raise EvaluationError(
            f"The holdout {path.name} has no column {', '.join(missing)}; it has {', '.join(frame.columns)}"
        )
    if frame.is_empty():
        raise EvaluationError(f"The holdout {path.name} has no rows; give the split a larger share")
    holes = [name for name in keys if frame[name].has_nulls()]
    if holes or not (frame[columns.weight] > 0).all():
        raise EvaluationError(
            f"The holdout {path.name} has missing values in {', '.join(holes)}; drop those rows"
            if holes
            else f"The holdout {path.name} has a {columns.weight} of 0 or less; drop those rows"
        )
    return _as_arrays(frame, columns, known_classes)


def _as_arrays(frame: pl.DataFrame, columns: Columns, known_classes: Sequence[str]) -> Holdout:
    features = [name for name in frame.columns if name not in (columns.group, columns.label, columns.weight)]
    # Sorted, so that the cases of a group stand together; polars takes NaN for equal to NaN here.
    cases = frame.select(columns.group, *features).unique().sort(columns.group, *features)
    rows = frame.join(
        cases.with_row_index("case"), on=cases.columns, how="left", nulls_equal=True, maintain_order="left"
    )["case"]
    labels = frame[columns.label].cast(pl.String)
    classes = tuple(sorted({*labels, *known_classes}))
    numbers = labels.replace_strict({name: index for index, name in enumerate(classes)}, return_dtype=pl.Int64)
    weights = np.zeros((len(cases), len(classes)))
    np.add.at(weights, (rows.to_numpy(), numbers.to_numpy()), frame[columns.weight].to_numpy())
    groups = cases[columns.group].rle_id().cast(pl.Int64).to_numpy()
    ids = cases[columns.group].unique(maintain_order=True).cast(pl.String)
    return Holdout(cases.select(features), weights, groups, classes, tuple(ids))

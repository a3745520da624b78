"""The examples as arrays."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from roadie.data import FEATURES, GROUP, LABEL, WEIGHT, read_examples
from roadie.errors import TrainingError

MINIMUM_SONGS = 20  # fewer cannot even fill a batch; the gate asks for far more before it believes a number


@dataclass(frozen=True)
class Table:
    """What a trainer sees: one example per song and country.

    features float32 [examples, features]; labels int64 [examples], indices into classes; weights float64
    [examples], the number of chart entries that an example stands for; groups are the ids of the songs, [examples].
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    classes: tuple[str, ...]
    groups: NDArray[np.object_]

    @cached_property
    def songs(self) -> int:
        """Number of songs."""
        return len(set(self.groups))

    def where(self, kept: NDArray[np.bool_]) -> "Table":
        """The examples that are kept, with those of the classes that they have; labels are numbered anew."""
        present, labels = np.unique(self.labels[kept], return_inverse=True)
        classes = tuple(self.classes[number] for number in present)
        return Table(self.features[kept], labels.astype(np.int64), self.weights[kept], classes, self.groups[kept])

    @property
    def prior(self) -> NDArray[np.float64]:
        """Share of the chart entries that each class has, [classes]."""
        counts = np.bincount(self.labels, self.weights, minlength=len(self.classes))
        return np.asarray(counts / counts.sum(), dtype=np.float64)


def read_table(examples: Path) -> Table:
    """Read the examples; raise TrainingError when nothing can be learnt from them."""
    frame = read_examples(examples)
    songs = frame[GROUP].n_unique()
    if songs < MINIMUM_SONGS:
        raise TrainingError(
            f"{examples.name} holds {songs} songs, but training needs {MINIMUM_SONGS}; give it more charts"
        )
    classes, labels = np.unique(frame[LABEL].to_numpy(), return_inverse=True)
    if len(classes) < 2:  # noqa: PLR2004
        raise TrainingError(
            f"{examples.name} holds the single country {classes[0]!r}, so there is nothing to tell apart; "
            "give it the charts of more countries"
        )
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused below
        features = frame.select(FEATURES).to_numpy().astype(np.float32)
    finite = np.isfinite(features).all(axis=0)
    broken = [name for name, usable in zip(FEATURES, finite, strict=True) if not usable]
    if broken:
        raise TrainingError(
            f"{examples.name} has values in {', '.join(broken)} that are missing, infinite or too large for "
            "float32; correct or drop those songs"
        )
    return Table(
        features=features,
        labels=labels.astype(np.int64),
        weights=frame[WEIGHT].to_numpy().astype(np.float64),
        classes=tuple(str(name) for name in classes),
        groups=frame[GROUP].to_numpy(),
    )

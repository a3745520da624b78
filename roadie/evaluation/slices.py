"""The holdout label by label: who is served worse, and who is taken for whom."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from roadie.evaluation.holdout import Holdout
from roadie.evaluation.metrics import SLICE_METRICS, Floats

MOST_CONFUSED = 10


@dataclass(frozen=True)
class Slice:
    """One label: how many entries and groups carry it, and each metric on them for both models."""

    label: str
    entries: int
    groups: int
    challenger: Mapping[str, float]
    reference: Mapping[str, float]


@dataclass(frozen=True)
class Confusion:
    """Entries by true label (rows) and the challenger's first answer (columns), among the most confused labels.

    The two fields are what KFP's ClassificationMetrics.log_confusion_matrix takes.
    """

    labels: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]


def slice_by_label(holdout: Holdout, challenger: Floats, reference: Floats) -> tuple[Slice, ...]:
    """Measure the metrics that are means over entries, for every label that the holdout has, by name."""
    entries = holdout.weights.sum(axis=0)
    groups = (holdout.by_group(holdout.weights) > 0).sum(axis=0)
    present = np.flatnonzero(entries)

    def means(probabilities: Floats) -> dict[str, Floats]:
        return {
            name: (holdout.weights * metric.entries(holdout, probabilities)).sum(axis=0)[present] / entries[present]
            for name, metric in SLICE_METRICS.items()
            if metric.entries
        }

    own, other = means(challenger), means(reference)
    return tuple(
        Slice(
            holdout.classes[index],
            round(entries[index]),
            int(groups[index]),
            {name: float(column[row]) for name, column in own.items()},
            {name: float(column[row]) for name, column in other.items()},
        )
        for row, index in enumerate(present)
    )


def confuse(holdout: Holdout, probabilities: Floats) -> Confusion:
    """Count who is taken for whom among the (up to ten) labels with the most entries on the wrong side."""
    table = np.zeros((len(holdout.classes), len(holdout.classes)))
    np.add.at(table.T, probabilities.argmax(axis=1), holdout.weights)
    wrong = table.sum(axis=0) + table.sum(axis=1) - 2 * np.diag(table)
    chosen = np.sort(np.argsort(-wrong, kind="stable")[:MOST_CONFUSED])
    matrix = np.rint(table[np.ix_(chosen, chosen)]).astype(int)
    return Confusion(tuple(holdout.classes[index] for index in chosen), tuple(tuple(row) for row in matrix.tolist()))

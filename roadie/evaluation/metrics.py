"""The metrics, each a function of sums over groups, so that the bootstrap can recompute them from sums alone.

All are weighted by entries: a label that stands for 30 chart entries counts 30 times.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadie.evaluation.holdout import Holdout

Floats = NDArray[np.float64]

# The least probability the log loss believes; scikit-learn clips float32 probabilities there too. A label
# that a model has never heard of costs -log(EPSILON) = 15.9 per entry.
EPSILON = float(np.finfo(np.float32).eps)
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Statistic:
    """A metric on one model: columns [groups, k], and how their sums [..., k] become values [...]."""

    columns: Floats
    combine: Callable[[Floats], Floats]

    @property
    def value(self) -> float:
        """The metric on the holdout as it is."""
        return float(self.combine(self.columns.sum(axis=0)))


@dataclass(frozen=True)
class Metric:
    """How a metric is called, which way it points, how it is computed.

    sign is 1 when higher is better and -1 when lower is. entries, where the metric is a mean over entries, gives
    the value of an entry of each case and class, [cases, classes]; only then can it be told apart by class.
    """

    title: str
    sign: int
    statistic: Callable[[Holdout, Floats], Statistic]
    entries: Callable[[Holdout, Floats], Floats] | None = None


def _mean_of(title: str, sign: int, entries: Callable[[Holdout, Floats], Floats]) -> Metric:
    def statistic(holdout: Holdout, probabilities: Floats) -> Statistic:
        sums = (holdout.weights * entries(holdout, probabilities)).sum(axis=1)
        columns = np.column_stack([sums, holdout.weights.sum(axis=1)])
        return Statistic(holdout.by_group(columns), lambda totals: totals[..., 0] / totals[..., 1])

    return Metric(title, sign, statistic, entries)


def _log_loss(_: Holdout, probabilities: Floats) -> Floats:
    return np.asarray(-np.log(np.maximum(probabilities, EPSILON)))


def _gain(holdout: Holdout, probabilities: Floats) -> Floats:
    """Log loss saved against always answering the holdout's own class shares, the best constant answer."""
    return _log_loss(holdout, holdout.prior[None, :]) - _log_loss(holdout, probabilities)


def _top(count: int) -> Callable[[Holdout, Floats], Floats]:
    def hits(_: Holdout, probabilities: Floats) -> Floats:
        best = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]  # ties go to the earlier name
        found = np.zeros_like(probabilities)
        np.put_along_axis(found, best, 1.0, axis=1)
        return found

    return hits


def _macro_auc(holdout: Holdout, probabilities: Floats) -> Statistic:
    """Area under the ROC curve, one class against the rest, averaged over the classes that have both.

    An area is no mean over songs, but close to one: each case adds the share of opposite cases that it is
    ranked rightly against (DeLong, DeLong and Clarke-Pearson 1988). These are what the bootstrap sums up.
    """
    areas, influence = [], np.zeros(len(probabilities))
    total = holdout.weights.sum(axis=1)
    for scores, positive in zip(probabilities.T, holdout.weights.T, strict=True):
        negative = total - positive
        pairs = positive.sum() * negative.sum()
        if pairs == 0:
            continue
        rank = np.unique(scores, return_inverse=True)[1]
        positive_at, negative_at = np.bincount(rank, positive), np.bincount(rank, negative)
        below = (np.cumsum(negative_at) - negative_at / 2)[rank]  # ties count half
        above = (positive.sum() - np.cumsum(positive_at) + positive_at / 2)[rank]
        area = (positive * below).sum() / pairs
        areas.append(area)
        influence += (positive * below + negative * above) / pairs
        influence -= area * (positive / positive.sum() + negative / negative.sum())
    if not areas:
        return Statistic(holdout.by_group(influence[:, None]), lambda totals: totals[..., 0] * np.nan)
    columns = holdout.by_group(influence[:, None] / len(areas))
    return Statistic(columns, lambda totals: totals[..., 0] + np.mean(areas))


def calibration_bins(holdout: Holdout, probabilities: Floats) -> Floats:
    """How sure and how right the first answer is, [cases, bins, (entries, confidence, right)].

    Bins hold about as many entries each (Nixon et al. 2019): with many classes all confidences are small, and
    of bins of equal width most would be empty.
    """
    confidence = probabilities.max(axis=1)
    entries = holdout.weights.sum(axis=1)
    right = np.take_along_axis(holdout.weights, probabilities.argmax(axis=1)[:, None], axis=1)[:, 0]
    order = np.argsort(confidence, kind="stable")
    wanted = holdout.entries * np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS
    edges = np.unique(confidence[order][np.searchsorted(np.cumsum(entries[order]), wanted)])
    bins = np.searchsorted(edges, confidence, side="right")
    table = np.zeros((len(confidence), len(edges) + 1, 3))
    table[np.arange(len(confidence)), bins] = np.column_stack([entries, confidence * entries, right])
    return table


def _calibration_error(holdout: Holdout, probabilities: Floats) -> Statistic:
    """Expected calibration error of the first answer (Naeini et al. 2015), in bins of equal mass."""
    table = calibration_bins(holdout, probabilities)
    gaps = table[:, :, 1] - table[:, :, 2]
    columns = np.column_stack([gaps, holdout.weights.sum(axis=1)])
    return Statistic(holdout.by_group(columns), lambda totals: np.abs(totals[..., :-1]).sum(axis=-1) / totals[..., -1])


METRICS: Mapping[str, Metric] = {
    "log_loss": _mean_of("log loss", -1, _log_loss),
    "gain": _mean_of("gain over the class prior", 1, _gain),
    "top_1": _mean_of("top-1 accuracy", 1, _top(1)),
    "top_5": _mean_of("top-5 accuracy", 1, _top(5)),
    "macro_auc": Metric("macro AUC", 1, _macro_auc),
    "calibration_error": Metric("calibration error", -1, _calibration_error),
}
SLICE_METRICS: Mapping[str, Metric] = {name: metric for name, metric in METRICS.items() if metric.entries}

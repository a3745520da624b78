"""The paired bootstrap: how far a difference between two models may be luck of the songs drawn."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadie.evaluation.metrics import METRICS, Metric, Statistic

BLOCK = 2_000_000  # counts held at a time: 16 MB as float64, whatever the size of the holdout


@dataclass(frozen=True)
class Comparison:
    """One metric on challenger and reference, and the improvement: above 0 is better, whichever way it points.

    Each of lower and upper is a one-sided bound at the gate's confidence; probability is the share of resamples
    in which the challenger is better, ties counting half.
    """

    metric: str
    title: str
    challenger: float
    reference: float
    improvement: float
    lower: float
    upper: float
    probability: float


def compare(
    challenger: Mapping[str, Statistic],
    reference: Mapping[str, Statistic],
    *,
    resamples: int,
    confidence: float,
    seed: int,
    metrics: Mapping[str, Metric] = METRICS,
) -> tuple[Comparison, ...]:
    """Compare two models on the same resamples of the same groups; statistics and metrics are by the metric's name.

    The bounds are percentiles (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
    """
    statistics = [*challenger.values(), *reference.values()]
    totals = resample(np.column_stack([each.columns for each in statistics]), resamples, seed)
    ends = np.cumsum([each.columns.shape[1] for each in statistics])
    drawn = [each.combine(part) for each, part in zip(statistics, np.split(totals, ends[:-1], axis=1), strict=True)]
    comparisons = []
    for name, own, other in zip(challenger, drawn, drawn[len(challenger) :], strict=False):
        metric = metrics[name]
        values = challenger[name].value, reference[name].value
        differences = metric.sign * (own - other) + 0.0  # never -0.0, which would be printed
        lower, upper = np.quantile(differences, [1 - confidence, confidence])
        better = np.mean(differences > 0) + np.mean(differences == 0) / 2
        improvement = metric.sign * (values[0] - values[1]) + 0.0
        comparisons.append(
            Comparison(name, metric.title, *values, improvement, float(lower), float(upper), float(better))
        )
    return tuple(comparisons)


def resample(columns: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Sum columns [groups, k] over groups drawn with replacement, [resamples, k]."""
    groups, width = columns.shape
    generator = np.random.default_rng(seed)
    totals = np.empty((resamples, width))
    block = max(1, BLOCK // groups)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        draws = generator.integers(groups, size=(size, groups)) + np.arange(size)[:, None] * groups
        counts = np.bincount(draws.ravel(), minlength=size * groups).reshape(size, groups)
        totals[start : start + size] = counts.astype(np.float64) @ columns
    return totals

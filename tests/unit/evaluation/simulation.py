"""Two models on rows that belong to groups: what a gate is up against."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from roadie.evaluation.metrics import Statistic


@dataclass(frozen=True)
class Simulated:
    """Which rows each model answers rightly, and which group each row belongs to; all are [rows]."""

    group: NDArray[np.int64]
    challenger: NDArray[np.bool_]
    champion: NDArray[np.bool_]

    def statistics(self) -> tuple[Statistic, Statistic]:
        """Top-1 accuracy of challenger and champion, as sums over groups."""
        sizes = np.bincount(self.group)
        pair = (np.column_stack([np.bincount(self.group, right), sizes]) for right in (self.challenger, self.champion))
        challenger, champion = (Statistic(sums, lambda totals: totals[..., 0] / totals[..., 1]) for sums in pair)
        return challenger, champion


def simulate(challenger: float, champion: float, *, groups: int, seed: int) -> Simulated:
    """Draw answers of two models with these chances of being right, on groups of 1 to 10 rows each.

    Half of the groups are answered alike in all their rows, so that rows are far from independent; half of the
    answers depend on the row and not on the model, so that the models err together.
    """
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), rng.integers(1, 11, groups))
    alike = (rng.random(groups) < 0.5)[group]
    shared = (rng.random(groups) < 0.5)[group]

    def luck() -> NDArray[np.float64]:
        return np.where(alike, rng.random(groups)[group], rng.random(len(group)))

    common = luck()
    answers = [np.where(shared, common, luck()) < accuracy for accuracy in (challenger, champion)]
    return Simulated(group, *answers)

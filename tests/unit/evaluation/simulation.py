"""Two models on rows that belong to groups: what a gate is up against."""

import numpy as np

from roadie.evaluation.metrics import Statistic


def simulate(challenger: float, champion: float, *, groups: int, seed: int) -> tuple[Statistic, Statistic]:
    """Top-1 accuracy of two models with these chances of being right, on groups of 1 to 10 rows each.

    Half of the groups are answered alike in all their rows, so that rows are far from independent; half of the
    answers depend on the row and not on the model, so that the models err together.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 11, groups)
    group = np.repeat(np.arange(groups), sizes)
    alike = (rng.random(groups) < 0.5)[group]
    shared = rng.random(groups)[group], rng.random(len(group))
    together = rng.random(len(group)) < 0.5
    common = np.where(alike, *shared)

    def statistic(accuracy: float) -> Statistic:
        own = np.where(alike, rng.random(groups)[group], rng.random(len(group)))
        right = np.where(together, common, own) < accuracy
        columns = np.column_stack([np.bincount(group, right), sizes]).astype(float)
        return Statistic(columns, lambda totals: totals[..., 0] / totals[..., 1])

    return statistic(challenger), statistic(champion)

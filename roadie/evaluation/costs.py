"""What a model costs: the size of its file, and how long it takes to answer."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from roadie.evaluation.scoring import Model, to_matrix

ROUNDS, FEWEST_ROUNDS = 25, 3
ROWS = 100  # a round asks for this many, one at a time
SECONDS = 5.0  # after which a slow model gets no more rounds


@dataclass(frozen=True)
class Cost:
    """The size of a model's files in bytes, and the median seconds it takes for one row; None when not measured."""

    bytes: int
    seconds: float | None = None


def measure_costs(models: Sequence[Model], inputs: pl.DataFrame, *, latency: bool) -> Mapping[str, Cost]:
    """The cost of each model by role; the time per row only if `latency` is asked for.

    Raises:
        UnusableModelError: a model fails on a single row.
    """
    seconds = _latencies(models, inputs) if latency else [None] * len(models)
    return {model.role: Cost(model.size, each) for model, each in zip(models, seconds, strict=True)}


def _latencies(models: Sequence[Model], inputs: pl.DataFrame) -> list[float]:
    """Median seconds per row in each model's fastest round; the models take turns, each on one thread.

    The fastest, because other work on the machine can only ever make a round slower.
    """
    matrices = [to_matrix(model, inputs.head(ROWS)) for model in models]
    fastest = [np.inf] * len(models)
    end = time.perf_counter() + SECONDS
    for number in range(ROUNDS):
        if number >= FEWEST_ROUNDS and time.perf_counter() > end:
            break
        for index, (model, matrix) in enumerate(zip(models, matrices, strict=True)):
            fastest[index] = min(fastest[index], model.median_seconds(matrix))
    return fastest

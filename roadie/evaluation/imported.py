"""Metrics of one's own: any function of labels, probabilities and weights, named by its import path."""

from collections.abc import Callable, Mapping
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from roadie.errors import EvaluationError
from roadie.evaluation.gate import GateConfig
from roadie.evaluation.holdout import Holdout
from roadie.evaluation.metrics import METRICS, Floats, Metric, Statistic

Function = Callable[[NDArray[np.int64], Floats, Floats], float]
PARTS = 100  # of the holdout, each left out once: as many calls of the function per model


def metrics_for(gate: GateConfig) -> Mapping[str, Metric]:
    """The metrics that the gate knows: those that are built in, and its own by import path.

    An own function takes the labels, int64 [rows] (each a column of the probabilities), the probabilities, float64
    [rows, classes], and the weights, float64 [rows] (entries that a row stands for), and returns one number.

    Raises:
        EvaluationError: a path leads to no function.
    """
    return {**METRICS, **{path: _own(path, better) for path, better in gate.metrics.items()}}


def _own(path: str, better: str) -> Metric:
    module, _, name = path.partition(":")
    try:
        function = getattr(import_module(module), name)
    except Exception as error:  # whatever the module does when it is imported
        raise EvaluationError(
            f"The metric {path} cannot be imported ({_brief(error)}); correct the path, or install its package"
        ) from error
    if not callable(function):
        raise EvaluationError(f"The metric {path} is no function but a {type(function).__name__}; name one that is")

    def statistic(holdout: Holdout, probabilities: Floats) -> Statistic:
        try:
            return _statistic(function, holdout, probabilities)
        except Exception as error:  # whatever the function raises
            raise EvaluationError(f"The metric {path} failed ({_brief(error)}); correct the function") from error

    return Metric(path, 1 if better == "higher" else -1, statistic)


def _statistic(function: Function, holdout: Holdout, probabilities: Floats) -> Statistic:
    """The metric as its value plus a sum over groups, by the jackknife over parts of the holdout.

    Calling the function on every resample would take minutes. Leaving out each part once tells what the part adds
    (Efron and Tibshirani 1993, chapters 11 and 20); that stands with one of the part's groups, so that the sum varies
    from resample to resample as the parts do.
    """
    cases, labels = np.nonzero(holdout.weights)
    weights = holdout.weights[cases, labels]
    parts = min(PARTS, holdout.group_count)
    part_of = holdout.groups[cases] % parts

    def measure(rows: NDArray[np.bool_]) -> float:
        return float(function(labels[rows], probabilities[cases[rows]], weights[rows]))

    value = measure(part_of >= 0)
    columns = np.zeros((holdout.group_count, 1))
    if parts > 1:
        without = np.array([measure(part_of != part) for part in range(parts)])
        columns[:parts, 0] = (without.mean() - without) * (parts - 1) / parts
    return Statistic(columns, lambda totals: totals[..., 0] + value)


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]

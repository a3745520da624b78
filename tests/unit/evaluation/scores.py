"""Metrics of one's own, as a team would write them, and what can be wrong with them."""

import numpy as np
from sklearn.metrics import f1_score

from roadie.evaluation.metrics import EPSILON

NO_FUNCTION = 7


def log_loss(labels, probabilities, weights):
    """The built-in one again."""
    chances = probabilities[np.arange(len(labels)), labels]
    return np.average(-np.log(np.maximum(chances, EPSILON)), weights=weights)


def f1(labels, probabilities, weights):
    """No mean over rows."""
    return f1_score(labels, probabilities.argmax(axis=1), sample_weight=weights, average="macro")


def undefined(labels, probabilities, weights):
    return float("nan")


def per_row(labels, probabilities, weights):
    return weights


def fails(labels, probabilities, weights):
    raise KeyError("no such\ncountry")

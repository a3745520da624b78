import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score, top_k_accuracy_score

from roadie.evaluation.holdout import Holdout
from roadie.evaluation.metrics import EPSILON, METRICS, SLICE_METRICS
from roadie.evaluation.slices import confuse, slice_by_label

CLASSES = tuple("abcdef")


def draw(seed, cases=60, groups=None, classes=CLASSES, zeros=0.7):
    """A holdout and the probabilities of some model, with ties among them."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 9, (cases, len(classes))) * (rng.random((cases, len(classes))) > zeros)
    weights[weights.sum(axis=1) == 0, 0] = 1
    group_of = np.arange(cases) if groups is None else np.sort(np.arange(cases) % groups)
    probabilities = rng.integers(1, 6, (cases, len(classes))) / 1.0
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Holdout(pl.DataFrame(), weights.astype(float), group_of, classes), probabilities


def expand(holdout, probabilities):
    """One row per case and class that has weight, as scikit-learn wants it."""
    case, label = np.nonzero(holdout.weights)
    return label, probabilities[case], holdout.weights[case, label]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), groups=st.sampled_from([None, 7]))
def test_the_metrics_agree_with_scikit_learn(seed, groups):
    holdout, probabilities = draw(seed, groups=groups)
    labels, rows, weights = expand(holdout, probabilities)
    expected = {
        "log_loss": log_loss(labels, rows, sample_weight=weights, labels=range(6)),
        "macro_auc": np.mean(
            [
                roc_auc_score(labels == index, rows[:, index], sample_weight=weights)
                for index in range(6)
                if 0 < (labels == index).sum() < len(labels)
            ]
        ),
    }
    untied = probabilities + np.random.default_rng(seed).random(probabilities.shape) / 1000
    labels, rows, weights = expand(holdout, untied)
    for count in (1, 5):
        expected[f"top_{count}"] = top_k_accuracy_score(labels, rows, k=count, sample_weight=weights, labels=range(6))
    for name, value in expected.items():
        answers = untied if name.startswith("top") else probabilities
        assert METRICS[name].statistic(holdout, answers).value == pytest.approx(value), name


def test_the_gain_of_the_class_prior_over_itself_is_nothing():
    holdout, probabilities = draw(1)
    prior = np.broadcast_to(holdout.prior, probabilities.shape)
    assert METRICS["gain"].statistic(holdout, prior).value == pytest.approx(0)
    assert METRICS["macro_auc"].statistic(holdout, prior).value == pytest.approx(0.5)
    assert METRICS["calibration_error"].statistic(holdout, prior).value == pytest.approx(0)


def test_a_label_that_the_model_has_no_chance_for_costs_the_documented_bound():
    holdout, probabilities = draw(1, zeros=1)  # every case is an "a"
    probabilities[:, 0] = 0
    assert METRICS["log_loss"].statistic(holdout, probabilities).value == pytest.approx(-np.log(EPSILON))


def test_the_calibration_error_is_the_gap_between_sure_and_right():
    holdout, probabilities = draw(1, zeros=1)
    probabilities[:] = [0.75, 0.05, 0.05, 0.05, 0.05, 0.05]  # always right, and only 75% sure
    assert METRICS["calibration_error"].statistic(holdout, probabilities).value == pytest.approx(0.25)


def test_drawing_groups_twice_gives_nearly_the_area_that_recomputing_would():
    """The bootstrap of the area is a first-order one; here is how near that comes."""
    holdout, probabilities = draw(5, cases=900, groups=300)
    statistic = METRICS["macro_auc"].statistic(holdout, probabilities)
    counts = np.random.default_rng(0).poisson(1, (40, 300))
    exact = [
        METRICS["macro_auc"]
        .statistic(
            Holdout(
                holdout.inputs,
                holdout.weights * row[holdout.groups][:, None],
                holdout.groups,
                holdout.classes,
            ),
            probabilities,
        )
        .value
        for row in counts
    ]
    drawn = statistic.combine(counts @ statistic.columns)
    assert np.std(drawn - exact) < np.std(exact) / 8


def test_the_slices_add_up_to_the_whole():
    holdout, probabilities = draw(3, groups=20)
    slices = slice_by_label(holdout, probabilities, probabilities)
    for name in SLICE_METRICS:
        whole = sum(part.entries * part.challenger[name] for part in slices) / holdout.entries
        assert METRICS[name].statistic(holdout, probabilities).value == pytest.approx(whole)
    assert sum(part.entries for part in slices) == holdout.entries


def test_a_class_without_entries_is_no_slice():
    holdout, probabilities = draw(3, zeros=1)
    assert [part.label for part in slice_by_label(holdout, probabilities, probabilities)] == ["a"]


def test_the_confusion_counts_entries_among_the_ten_most_confused():
    holdout, probabilities = draw(3, cases=400, classes=tuple("abcdefghijklmn"))
    confusion = confuse(holdout, probabilities)
    assert len(confusion.labels) == len(confusion.matrix) == 10
    assert list(confusion.labels) == sorted(confusion.labels)
    first = holdout.classes.index(confusion.labels[0])
    second = holdout.classes.index(confusion.labels[1])
    taken = probabilities.argmax(axis=1) == second
    assert confusion.matrix[0][1] == holdout.weights[taken, first].sum()
    assert all(type(count) is int for row in confusion.matrix for count in row)

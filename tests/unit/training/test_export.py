"""A model whose export says something else than the fit is refused, wherever in the table it does."""

import numpy as np
import pytest

from roadie.data import FEATURES
from roadie.errors import TrainingError
from roadie.training.fit import CHECKED_AT_ONCE, check_export, fit
from roadie.training.graph import build_model
from roadie.training.table import read_table
from roadie.training.trainers import parse_hyperparameters


@pytest.fixture(scope="module")
def exported(examples):
    """The exported model, the table it was fitted to, and what the fit answers there."""
    table = read_table(examples)
    native = fit(parse_hyperparameters({"trainer": "logistic", "iterations": 5}), table, 1)
    answers = native.answer(table.features)
    assert len(answers) > CHECKED_AT_ONCE, "so that it is looked at in parts"
    return build_model(native.classifier, native.wrapping, FEATURES, {}), table, answers


def test_an_export_that_says_the_same_is_fine(exported):
    check_export(*exported)


@pytest.mark.parametrize("example", [0, -1])
@pytest.mark.parametrize(("stray", "said"), [(1e-3, "0.001"), (np.nan, "nan")])
def test_an_export_that_strays_at_a_single_place_is_refused(exported, example, stray, said):
    model, table, answers = exported
    astray = answers.copy()
    astray[example, 3] += stray
    with pytest.raises(TrainingError, match=f"differs from the fitted one by {said}, more than 1e-05"):
        check_export(model, table, astray)

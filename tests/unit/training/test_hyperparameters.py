import pytest

from roadie.errors import TrainingError
from roadie.training import TRAINERS, describe, parse_hyperparameters


def test_nothing_given_means_the_default_trainer_with_its_defaults():
    settings = parse_hyperparameters({})
    assert settings.trainer == "mlp"
    assert settings.prior_share == 0.1


def test_whole_numbers_may_come_as_floats_as_kubeflow_hands_them_on():
    settings = parse_hyperparameters({"epochs": 5.0, "hidden_layers": [64.0, 32.0], "batch_size": 128.0})
    assert settings.model_dump()["hidden_layers"] == (64, 32)
    assert isinstance(settings.model_dump()["epochs"], int)


def test_an_unknown_name_is_refused_in_one_sentence_that_lists_the_known_ones():
    with pytest.raises(TrainingError) as refusal:
        parse_hyperparameters({"epoch": 3})
    assert "no hyperparameter epoch; it knows batch_size, clip_sigma, epochs" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_hyperparameter_of_the_other_trainer_is_unknown():
    with pytest.raises(TrainingError, match="'logistic' has no hyperparameter epochs"):
        parse_hyperparameters({"trainer": "logistic", "epochs": 3})


def test_an_unknown_trainer_is_refused_with_the_known_ones():
    with pytest.raises(TrainingError, match="no trainer 'forest'; choose one of logistic, mlp"):
        parse_hyperparameters({"trainer": "forest"})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": 2.5}, "epochs"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"hidden_layers": []}, "hidden_layers"),
        ({"hidden_layers": [0]}, "hidden_layers.0"),
        ({"prior_share": 0.9}, "prior_share"),
        ({"prior_share": float("nan")}, "prior_share"),
        ({"l2": "much"}, "l2"),
    ],
)
def test_a_value_out_of_bounds_is_named(values, named):
    with pytest.raises(TrainingError, match=named):
        parse_hyperparameters(values)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_hyperparameter_has_a_default_and_a_description(trainer):
    assert parse_hyperparameters({"trainer": trainer}).trainer == trainer
    assert all(field.description for field in TRAINERS[trainer].model_fields.values())


def test_the_description_of_every_hyperparameter_has_its_default_and_its_bounds():
    found = {(each.trainer, each.name): each for each in describe()}
    assert found["mlp", "learning_rate"].default == 3e-3
    assert found["mlp", "learning_rate"].allowed == "above 0, at most 1"
    assert found["mlp", "hidden_layers"].allowed == "at least 1 of them, at most 8"
    assert found["logistic", "clip_sigma"].meaning
    assert {trainer for trainer, _ in found} == set(TRAINERS)
    assert all(
        {name for trainer, name in found if trainer == each} == set(TRAINERS[each].model_fields) for each in TRAINERS
    )

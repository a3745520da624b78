import pytest

from roadie.errors import EvaluationError
from roadie.evaluation import GateConfig, parse_gate


def test_no_configuration_at_all_is_refused():
    with pytest.raises(EvaluationError, match="no configuration"):
        parse_gate({})


def test_one_setting_is_enough_and_the_rest_has_defaults():
    gate = parse_gate({"metric": "top_5", "resamples": 1000.0})
    assert (gate.mode, gate.margin, gate.confidence, gate.resamples) == ("superiority", 0, 0.95, 1000)
    assert gate.floors == {"gain": 0.0}


def test_an_unknown_setting_is_refused_in_one_sentence_that_lists_the_known_ones():
    with pytest.raises(EvaluationError, match="no setting margn; it knows metric, mode, margin"):
        parse_gate({"margn": 1})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"metric": "accuracy"}, "metric: 'accuracy' is none of log_loss, gain"),
        ({"floors": {"auc": 0.5}}, "floors: 'auc' is none of log_loss"),
        ({"floors": {"gain": float("nan")}}, "floors.gain"),
        ({"slice_floors": {"macro_auc": 0.5}}, "slice_floors: 'macro_auc' is none of"),
        ({"mode": "equality"}, "mode"),
        ({"margin": -0.1}, "margin"),
        ({"margin": float("inf")}, "margin"),
        ({"confidence": 1}, "confidence"),
        ({"resamples": 10}, "resamples"),
        ({"minimum_songs": 0}, "minimum_songs"),
        ({"maximum_bytes": 0}, "maximum_bytes"),
        ({"maximum_latency_ratio": 0}, "maximum_latency_ratio"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(values, named):
    with pytest.raises(EvaluationError, match=named) as refusal:
        parse_gate(values)
    assert "\n" not in str(refusal.value)


def test_non_inferiority_without_a_margin_is_refused():
    with pytest.raises(EvaluationError, match="margin above 0"):
        parse_gate({"mode": "non-inferiority"})


def test_every_setting_has_a_description():
    assert all(field.description for field in GateConfig.model_fields.values())


def test_a_metric_of_one_s_own_may_decide_and_have_a_floor():
    gate = parse_gate({"metric": "team.scores:brier", "metrics": {"team.scores:brier": "lower"}, "floors": {}})
    assert gate.metrics == {"team.scores:brier": "lower"}
    assert parse_gate({"metrics": {"team:f1": "higher"}, "floors": {"team:f1": 0.5}}).floors == {"team:f1": 0.5}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"metrics": {"f1": "higher"}}, "metrics: 'f1' is no import path; write it as package.module:function"),
        ({"metrics": {"team:f1": "up"}}, "metrics.team:f1: Input should be 'higher' or 'lower'"),
        ({"metric": "team:f1"}, "metric: 'team:f1' is none of .*; a function of one's own is declared in metrics"),
        ({"slice_floors": {"team:f1": 1}, "metrics": {"team:f1": "higher"}}, "slice_floors: 'team:f1' is none of"),
    ],
)
def test_a_metric_of_one_s_own_is_declared_by_its_import_path_and_its_direction(values, said):
    with pytest.raises(EvaluationError, match=said) as refusal:
        parse_gate(values)
    assert "\n" not in str(refusal.value)

import typing

import pytest

from roadie.errors import EvaluationError
from roadie.evaluation import GateConfig, parse_gate
from roadie.evaluation.gate import AnyMetric, SliceMetric
from roadie.evaluation.metrics import METRICS, SLICE_METRICS


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
        ({"metric": "accuracy"}, "metric: Input should be 'log_loss'"),
        ({"floors": {"auc": 0.5}}, "floors.auc"),
        ({"floors": {"gain": float("nan")}}, "floors.gain"),
        ({"slice_floors": {"macro_auc": 0.5}}, "slice_floors.macro_auc"),
        ({"mode": "equality"}, "mode"),
        ({"margin": -0.1}, "margin"),
        ({"margin": float("inf")}, "margin"),
        ({"confidence": 1}, "confidence"),
        ({"resamples": 10}, "resamples"),
        ({"minimum_songs": 0}, "minimum_songs"),
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


def test_the_configuration_knows_exactly_the_metrics_that_there_are():
    def names(literal):
        return {name for part in typing.get_args(literal) for name in (typing.get_args(part) or (part,))}

    assert names(AnyMetric) == set(METRICS)
    assert names(SliceMetric) == set(SLICE_METRICS)

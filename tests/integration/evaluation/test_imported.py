import numpy as np
import pytest

from roadie.errors import EvaluationError
from roadie.evaluation import evaluate
from tests.unit.evaluation.models import NUDGED, make_holdout, make_model

SCORES = "tests.unit.evaluation.scores"


def gate(name, better="lower", **more):
    path = f"{SCORES}:{name}"
    return {"metric": path, "metrics": {path: better}, "resamples": 4000, **more}


@pytest.fixture
def run(holdout, tmp_path):
    def run(challenger, champion, gate, holdout=holdout):
        return evaluate(challenger, champion, holdout, gate=gate, report=tmp_path / "report.html")

    return run


def test_a_function_gives_the_built_in_metric_s_value_and_nearly_its_bounds(run, sharp, blunt, tmp_path):
    for challenger in (sharp, make_model(tmp_path / "nudged.onnx", NUDGED)):
        found = {each.metric: each for each in run(challenger, blunt, gate("log_loss")).comparisons}
        own, built_in = found[f"{SCORES}:log_loss"], found["log_loss"]
        assert own.challenger == pytest.approx(built_in.challenger)
        assert own.improvement == pytest.approx(built_in.improvement)
        width = built_in.upper - built_in.lower
        assert own.lower == pytest.approx(built_in.lower, abs=width / 8)
        assert own.upper == pytest.approx(built_in.upper, abs=width / 8)


def test_a_function_of_scikit_learn_s_decides(run, sharp, blind):
    decision = run(sharp, blind, gate("f1", "higher")).decision
    assert decision.outcome == "promote"
    assert f"its {SCORES}:f1 is" in decision.reason
    assert run(blind, sharp, gate("f1", "higher")).decision.outcome == "reject"


def test_the_declared_direction_is_what_counts(run, sharp, blunt):
    assert run(sharp, blunt, gate("log_loss")).decision.outcome == "promote"
    assert run(sharp, blunt, gate("log_loss", "higher")).decision.outcome == "reject"


def test_a_function_may_have_a_floor(run, sharp, blunt):
    missed = gate("f1", "higher", metric="log_loss", floors={f"{SCORES}:f1": 0.99})
    decision = run(sharp, blunt, missed).decision
    assert decision.outcome == "reject"
    assert "at least 0.99" in decision.reason


def test_a_function_that_gives_nan_never_promotes(run, sharp, blunt):
    assert run(sharp, blunt, gate("undefined")).decision.outcome == "inconclusive"
    floor = gate("undefined", metric="log_loss", floors={f"{SCORES}:undefined": 0})
    assert run(sharp, blunt, floor).decision.outcome == "inconclusive"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"{SCORES}:recall", "recall cannot be imported .AttributeError"),
        ("tests.nowhere:f1", "cannot be imported .ModuleNotFoundError: No module named 'tests.nowhere'"),
        (f"{SCORES}:NO_FUNCTION", "is no function but a int"),
        (f"{SCORES}:fails", "fails failed .KeyError: 'no such"),
        (f"{SCORES}:per_row", "per_row failed .TypeError"),
    ],
)
def test_a_function_that_is_not_there_or_fails_is_named_with_the_reason(run, sharp, path, said):
    with pytest.raises(EvaluationError, match=said) as refusal:
        run(sharp, None, {"metrics": {path: "lower"}})
    assert "\n" not in str(refusal.value)


def test_a_holdout_of_one_song_is_too_small_and_no_failure(run, sharp, blunt, tmp_path):
    single = make_holdout(tmp_path / "single.parquet", songs=1)
    evaluation = run(sharp, blunt, gate("log_loss"), holdout=single)
    assert evaluation.decision.outcome == "inconclusive"
    assert np.isfinite(evaluation.judged.challenger)

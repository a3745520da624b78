import time

import numpy as np
import polars as pl
import pytest

from roadie.evaluation import costs, evaluate
from roadie.evaluation.costs import measure_costs
from roadie.evaluation.scoring import load_model
from tests.unit.evaluation.models import SHARP, make_model
from tests.unit.evaluation.processors import kept_busy

GATE = {"metric": "log_loss", "resamples": 300}


@pytest.fixture
def run(holdout, tmp_path):
    def run(challenger, champion, **limits):
        path = tmp_path / "report.html"
        evaluation = evaluate(challenger, champion, holdout, gate=GATE | limits, report=path)
        return evaluation, path.read_text()

    return run


@pytest.fixture(scope="session")
def slow(folder):
    """SHARP again, after a detour through a wide layer that adds nothing."""
    return make_model(folder / "slow.onnx", SHARP, detour=50_000)


def test_a_challenger_above_the_size_limit_is_rejected_however_good_it_is(run, sharp, blunt):
    size = sharp.stat().st_size
    assert run(sharp, blunt, maximum_bytes=float(size))[0].decision.promote
    decision = run(sharp, blunt, maximum_bytes=size - 1)[0].decision
    assert decision.outcome == "reject"
    assert decision.reason == (
        f"The challenger breaks a limit: its size in bytes is {size}, and has to be at most {size - 1}."
    )


def test_the_size_limit_holds_for_a_first_model_too_and_is_no_floor(run, sharp):
    assert run(sharp, None, maximum_bytes=10)[0].decision.outcome == "reject"
    evaluation, _ = run(sharp, None, maximum_bytes=10_000, floors={})
    assert evaluation.decision.outcome == "inconclusive"
    assert "nor a floor" in evaluation.decision.reason


def test_a_challenger_slower_than_allowed_is_rejected_and_a_faster_one_is_not(run, slow, blunt, sharp):
    evaluation, page = run(slow, blunt, maximum_latency_ratio=2)
    assert evaluation.decision.outcome == "reject"
    assert "breaks a limit: its latency over the champion's is" in evaluation.decision.reason
    assert "has to be at most 2" in evaluation.decision.reason
    assert "median time per row" in page
    quicker = make_model(slow.with_name("blunt-and-slow.onnx"), SHARP / 4, detour=50_000)
    assert run(sharp, quicker, maximum_latency_ratio=0.5)[0].decision.promote


def test_time_is_taken_only_where_a_limit_asks_for_it(run, sharp, blunt):
    evaluation, page = run(sharp, blunt)
    assert evaluation.costs["challenger"].seconds is None
    assert "time per row" not in page
    assert "file size in kB" in page


def test_without_a_champion_the_latency_limit_does_not_apply_and_the_report_says_so(run, sharp):
    evaluation, page = run(sharp, None, maximum_latency_ratio=0.001)
    assert evaluation.decision.promote
    assert "limit on latency does not apply" in page
    assert "limit on latency" not in run(sharp, None)[1]


def test_no_time_gets_into_the_figures_that_the_image_is_annotated_with(run, sharp, blunt):
    first, second = (run(sharp, blunt, maximum_latency_ratio=100)[0].metrics for _ in range(2))
    assert first == second


def test_a_model_is_as_fast_as_itself_while_others_keep_the_machine_busy(sharp, holdout):
    models = [load_model(sharp, role) for role in ("challenger", "champion")]
    inputs = pl.read_parquet(holdout)
    with kept_busy():
        found = [measure_costs(models, inputs, latency=True) for _ in range(5)]
    ratios = [each["challenger"].seconds / each["champion"].seconds for each in found]
    assert np.median(ratios) == pytest.approx(1, abs=0.25)


def test_a_slow_model_gets_fewer_rounds(sharp, holdout, monkeypatch):
    monkeypatch.setattr(costs, "SECONDS", 0.0)
    monkeypatch.setattr(costs, "ROUNDS", 1_000_000)
    started = time.perf_counter()
    found = measure_costs([load_model(sharp, "challenger")], pl.read_parquet(holdout), latency=True)
    assert found["challenger"].seconds > 0
    assert time.perf_counter() - started < 60

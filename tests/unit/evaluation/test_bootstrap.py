import numpy as np
import pytest

from roadie.evaluation import bootstrap
from roadie.evaluation.bootstrap import compare, resample
from roadie.evaluation.decision import decide
from roadie.evaluation.gate import GateConfig
from roadie.evaluation.metrics import Statistic
from tests.unit.evaluation.simulation import simulate

GATE = GateConfig(metric="top_1", resamples=500, floors={})


def outcome(accuracy, groups, seed):
    """The gate's answer to two models on grouped rows: one is right 90% of the time, the other at `accuracy`."""
    challenger, champion = simulate(accuracy, 0.9, groups=groups, seed=seed).statistics()
    (found,) = compare({"top_1": challenger}, {"top_1": champion}, resamples=GATE.resamples, confidence=0.95, seed=seed)
    return decide(GATE, groups=groups, unit="songs", broken=0, checks=(), comparison=found).outcome


def test_an_equal_challenger_gets_through_at_most_six_times_in_a_hundred():
    outcomes = [outcome(0.9, 2000, seed) for seed in range(250)]
    assert outcomes.count("promote") <= 15
    assert outcomes.count("reject") <= 15


def test_a_challenger_better_by_three_points_gets_through_nine_times_in_ten():
    outcomes = [outcome(0.93, 2000, seed) for seed in range(60)]
    assert outcomes.count("promote") >= 54


def test_the_same_seed_gives_the_same_bounds_and_another_gives_nearly_the_same():
    pair = simulate(0.9, 0.9, groups=300, seed=1).statistics()

    def bounds(seed):
        (found,) = compare({"top_1": pair[0]}, {"top_1": pair[1]}, resamples=4000, confidence=0.95, seed=seed)
        return found.lower, found.upper

    assert bounds(1) == bounds(1)
    assert bounds(1) != bounds(2)
    assert bounds(1) == pytest.approx(bounds(2), abs=0.005)


def test_the_bounds_are_those_of_the_normal_approximation_where_that_holds():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2000, 2))

    def mean(column):
        return Statistic(np.column_stack([column, np.ones(2000)]), lambda totals: totals[..., 0] / totals[..., 1])

    (found,) = compare(
        {"top_1": mean(values[:, 0])},
        {"top_1": mean(values[:, 1])},
        resamples=10_000,
        confidence=0.95,
        seed=0,
    )
    difference = values[:, 0] - values[:, 1]
    spread = 1.645 * difference.std() / np.sqrt(2000)
    assert found.lower == pytest.approx(difference.mean() - spread, abs=spread / 20)
    assert found.upper == pytest.approx(difference.mean() + spread, abs=spread / 20)


def test_for_a_metric_where_less_is_better_the_improvement_is_turned_round():
    low, high = simulate(0.5, 0.9, groups=200, seed=1).statistics()
    (found,) = compare({"log_loss": low}, {"log_loss": high}, resamples=500, confidence=0.95, seed=1)
    assert 0 < found.lower < found.improvement < found.upper
    assert found.probability == 1


def test_every_resample_draws_as_many_groups_as_there_are():
    totals = resample(np.column_stack([np.ones(37), np.eye(37)]), 200, seed=3)
    assert (totals[:, 0] == 37).all()
    assert totals[:, 1:].sum(axis=1) == pytest.approx(37)
    assert totals[:, 1:].std() == pytest.approx(1, abs=0.05)  # counts are multinomial: variance 1 - 1/n


def test_a_holdout_larger_than_a_block_is_drawn_in_pieces(monkeypatch):
    monkeypatch.setattr(bootstrap, "BLOCK", 10)
    assert (resample(np.ones((37, 1)), 5, seed=0) == 37).all()

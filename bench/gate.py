"""The gate under simulation: what a decision costs, whom it lets through, and whom a plain "greater" would.

    python bench/gate.py

The simulated models answer songs of 1 to 10 rows each (tests/unit/evaluation/simulation.py says how); the champion is
right in 90% of the rows. "By rows" is McNemar's test, which takes rows for independent.
"""

import resource
import time
from collections import Counter

import numpy as np
import polars as pl

from roadie.evaluation.bootstrap import compare
from roadie.evaluation.decision import decide
from roadie.evaluation.gate import GateConfig
from roadie.evaluation.holdout import Holdout
from roadie.evaluation.metrics import METRICS
from tests.unit.evaluation.simulation import Simulated, simulate

GATE = GateConfig(metric="top_1", resamples=1000, floors={})
HOLDOUTS = 500
SONGS = 2000
Z95 = 1.645  # of a one-sided test at 95%


def main() -> None:
    """Print the cost of one decision, then how often each kind of challenger gets through each kind of gate."""
    seconds, megabytes = cost()
    print(f"two models, {SONGS:,} songs, 72 countries, six metrics, 10,000 resamples: {seconds:.2f} s (target: 2 s)")
    print(f"peak memory of this process: {megabytes:.0f} MB\n")
    print(f"promoted in {HOLDOUTS} simulated holdouts of {SONGS:,} songs")
    print(f"{'challenger':>12} {'the gate':>10} {'by rows':>10} {'greater':>10}   the gate's other answers")
    for accuracy, name in ((0.9, "identical"), (0.89, "1 pt worse"), (0.91, "1 pt better"), (0.93, "3 pt better")):
        print(f"{name:>12} {promotions(accuracy)}")
    print("targets: identical at most 6%, 3 points better at least 90%")


def cost() -> tuple[float, float]:
    """Seconds for the whole comparison of two models, and this process's peak memory in MB."""
    rng = np.random.default_rng(0)
    weights = rng.poisson(0.1, (SONGS, 72)).astype(float)
    weights[:, 0] += 1
    holdout = Holdout(pl.DataFrame(), weights, np.arange(SONGS), tuple(map(str, range(72))))
    answers = rng.dirichlet(np.ones(72), (2, SONGS))
    started = time.perf_counter()
    challenger, champion = (
        {name: metric.statistic(holdout, own) for name, metric in METRICS.items()} for own in answers
    )
    compare(challenger, champion, resamples=10_000, confidence=0.95, seed=0)
    return time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def promotions(accuracy: float) -> str:
    """One line: the share of holdouts on which each gate promotes a challenger of this accuracy."""
    answers: Counter[str] = Counter()
    by_rows = greater = 0
    for seed in range(HOLDOUTS):
        simulated = simulate(accuracy, 0.9, groups=SONGS, seed=seed)
        challenger, champion = simulated.statistics()
        (found,) = compare({"top_1": challenger}, {"top_1": champion}, resamples=1000, confidence=0.95, seed=seed)
        answers[decide(GATE, groups=SONGS, unit="songs", broken=0, checks=(), comparison=found).outcome] += 1
        by_rows += mcnemar(simulated) > Z95
        greater += found.improvement > 0
    shares = " ".join(f"{count / HOLDOUTS:>10.1%}" for count in (answers["promote"], by_rows, greater))
    others = ", ".join(f"{name} {answers[name] / HOLDOUTS:.1%}" for name in ("reject", "inconclusive"))
    return f"{shares}   {others}"


def mcnemar(simulated: Simulated) -> float:
    """McNemar's statistic, signed: rows that only the challenger has right against those only the champion has."""
    won = int((simulated.challenger & ~simulated.champion).sum())
    lost = int((simulated.champion & ~simulated.challenger).sum())
    return (won - lost) / max(won + lost, 1) ** 0.5


if __name__ == "__main__":
    main()

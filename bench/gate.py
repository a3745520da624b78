"""The gate under simulation: what a decision costs, whom it lets through, and whom a plain "greater" would.

Then what keeps its latency limit honest: a model's time per row over its own, on this machine as it is and while every
processor is kept busy with something else.

    python bench/gate.py

The simulated models answer songs of 1 to 10 rows each (tests/unit/evaluation/simulation.py says how); the champion is
right in 90% of the rows. "By rows" is McNemar's test, which takes rows for independent.
"""

import resource
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import polars as pl

from roadie.evaluation.bootstrap import compare
from roadie.evaluation.costs import measure_costs
from roadie.evaluation.decision import decide
from roadie.evaluation.gate import GateConfig
from roadie.evaluation.holdout import Holdout
from roadie.evaluation.imported import metrics_for
from roadie.evaluation.metrics import METRICS, Metric
from roadie.evaluation.scoring import load_model
from tests.unit.evaluation.models import SHARP, make_holdout, make_model
from tests.unit.evaluation.processors import kept_busy
from tests.unit.evaluation.simulation import Simulated, simulate

GATE = GateConfig(metric="top_1", resamples=1000, floors={})
HOLDOUTS = 500
SONGS = 2000
OWN = "tests.unit.evaluation.scores:log_loss"
TIMES = 40
Z95 = 1.645  # of a one-sided test at 95%


def main() -> None:
    """Print the cost of a decision, how often each challenger gets through each gate, and how far latencies stray."""
    seconds, megabytes = cost(METRICS)
    print(f"two models, {SONGS:,} songs, 72 countries, six metrics, 10,000 resamples: {seconds:.2f} s (target: 2 s)")
    print(f"peak memory of this process: {megabytes:.0f} MB")
    own, _ = cost({OWN: metrics_for(GateConfig(metrics={OWN: "lower"}))[OWN]})
    print(f"the same with one metric by import path: {own:.2f} s\n")
    print(f"promoted in {HOLDOUTS} simulated holdouts of {SONGS:,} songs")
    print(f"{'challenger':>12} {'the gate':>10} {'by rows':>10} {'greater':>10}   the gate's other answers")
    for accuracy, name in ((0.9, "identical"), (0.89, "1 pt worse"), (0.91, "1 pt better"), (0.93, "3 pt better")):
        print(f"{name:>12} {promotions(accuracy)}")
    print("targets: identical at most 6%, 3 points better at least 90%\n")
    print(f"a model's latency over its own, {TIMES} times (a limit of 1.5 would refuse those above)")
    print(f"{'as it is':>12} {latencies(busy=False)}")
    print(f"{'busy':>12} {latencies(busy=True)}")


def cost(metrics: Mapping[str, Metric]) -> tuple[float, float]:
    """Seconds for the whole comparison of two models, and this process's peak memory in MB."""
    rng = np.random.default_rng(0)
    weights = rng.poisson(0.1, (SONGS, 72)).astype(float)
    weights[:, 0] += 1
    holdout = Holdout(pl.DataFrame(), weights, np.arange(SONGS), tuple(map(str, range(72))))
    answers = rng.dirichlet(np.ones(72), (2, SONGS))
    started = time.perf_counter()
    challenger, champion = (
        {name: metric.statistic(holdout, own) for name, metric in metrics.items()} for own in answers
    )
    compare(challenger, champion, resamples=10_000, confidence=0.95, seed=0, metrics=metrics)
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


def latencies(*, busy: bool) -> str:
    """One line: the smallest, median and largest ratio that the gate measures, while others compute or not."""
    with tempfile.TemporaryDirectory() as folder, kept_busy() if busy else nullcontext():
        model = make_model(Path(folder) / "model.onnx", SHARP)
        table = pl.read_parquet(make_holdout(Path(folder) / "holdout.parquet"))
        pair = [load_model(model, role) for role in ("challenger", "champion")]
        found = [measure_costs(pair, table, latency=True) for _ in range(TIMES)]
    ratios = [(each["challenger"].seconds or 0) / (each["champion"].seconds or 1) for each in found]
    return f"{min(ratios):>10.2f} {np.median(ratios):>10.2f} {max(ratios):>10.2f}"


if __name__ == "__main__":
    main()

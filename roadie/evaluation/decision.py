"""The decision: promote, reject, inconclusive or unchanged, each with a sentence that says why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from roadie.evaluation.bootstrap import Comparison
from roadie.evaluation.gate import GateConfig
from roadie.evaluation.metrics import METRICS

Outcome = Literal["promote", "reject", "inconclusive", "unchanged"]


@dataclass(frozen=True)
class Check:
    """One floor: what was measured, where (empty for the whole holdout), and the worst value allowed."""

    metric: str
    value: float
    floor: float
    where: str = ""

    @property
    def passed(self) -> bool:
        """Whether the value is as good as the floor; NaN never is."""
        sign = METRICS[self.metric].sign
        return self.value * sign >= self.floor * sign

    def __str__(self) -> str:
        bound = "at least" if METRICS[self.metric].sign > 0 else "at most"
        place = f" in {self.where}" if self.where else ""
        return f"{METRICS[self.metric].title}{place} is {self.value:.4g}, and has to be {bound} {self.floor:.4g}"


@dataclass(frozen=True)
class Decision:
    """What the gate says; `reason` is a sentence for whoever answers for the deployment."""

    outcome: Outcome
    reason: str
    checks: tuple[Check, ...] = ()

    @property
    def promote(self) -> bool:
        """Whether to deploy the challenger."""
        return self.outcome == "promote"


def decide(
    gate: GateConfig,
    *,
    groups: int,
    unit: str,
    broken: int,
    checks: Sequence[Check],
    comparison: Comparison | None,
) -> Decision:
    """Decide on a challenger that is not the champion itself.

    `broken` counts the cases for which the challenger gave no numbers; `comparison` is that of the gate's metric
    with the champion, None when there is no champion.
    """
    if broken:
        outcome: Outcome = "reject"
        reason = f"The challenger gives no number for {broken:,} of the holdout's {unit}."
    elif groups < gate.minimum_songs:
        outcome = "inconclusive"
        reason = f"The holdout has {groups:,} {unit}, too few to decide on: the gate asks for {gate.minimum_songs:,}."
    elif undefined := [check for check in checks if math.isnan(check.value)]:
        outcome = "inconclusive"
        reason = f"The {METRICS[undefined[0].metric].title} cannot be computed on this holdout."
    elif failed := [check for check in checks if not check.passed]:
        outcome = "reject"
        others = f", and {len(failed) - 1} more are missed" if len(failed) > 1 else ""
        reason = f"The challenger misses a floor: its {failed[0]}{others}."
    elif comparison is None:
        outcome, reason = _first_model(checks)
    else:
        outcome, reason = _against_champion(gate, comparison, f"{groups:,} {unit}")
    return Decision(outcome, reason, tuple(checks))


def _first_model(checks: Sequence[Check]) -> tuple[Outcome, str]:
    if not checks:
        return "inconclusive", "There is neither a champion to compare with nor a floor to meet."
    met = "; ".join(str(check) for check in checks if not check.where) or f"{len(checks)} of them"
    return "promote", f"There is no champion to compare with, and the challenger meets every floor: its {met}."


def _against_champion(gate: GateConfig, found: Comparison, holdout: str) -> tuple[Outcome, str]:
    title = METRICS[gate.metric].title
    if not math.isfinite(found.lower + found.upper):
        return "inconclusive", f"The {title} cannot be compared on this holdout, so the champion stays."
    evidence = (
        f"its {title} is {found.challenger:.4f} and the champion's {found.reference:.4f} on the same {holdout}, "
        f"an improvement of {found.improvement:+.4f} (between {found.lower:+.4f} and {found.upper:+.4f}, "
        f"{gate.confidence:.0%} sure of either end)"
    )
    if gate.mode == "superiority":
        goal = f"better than the champion by more than {gate.margin:g}" if gate.margin else "better than the champion"
    else:
        goal = f"as good as the champion within {gate.margin:g}"
    if found.lower > gate.threshold:
        return "promote", f"The challenger is {goal}: {evidence}."
    if found.upper <= gate.threshold:
        return "reject", f"The challenger is not {goal}: {evidence}."
    return "inconclusive", f"Whether the challenger is {goal} cannot be told, so that stays: {evidence}."

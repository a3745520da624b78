"""The decision: promote, reject, inconclusive or unchanged, each with a sentence that says why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from roadie.evaluation.bootstrap import Comparison
from roadie.evaluation.checks import Check
from roadie.evaluation.gate import GateConfig

Outcome = Literal["promote", "reject", "inconclusive", "unchanged"]


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
    seen: int | None = 0,
    own_seen: int | None = 0,
) -> Decision:
    """Decide on a challenger that is not the champion itself.

    `broken` counts the cases for which the challenger gave no numbers; `comparison` is that of the gate's metric
    with the champion, None when there is no champion; `seen` of the groups were trained on by the champion, `own_seen`
    by the challenger, None when nobody knows.
    """
    failed = [check for check in checks if not check.passed]
    undefined = [check for check in failed if math.isnan(check.value)]
    if broken:
        outcome: Outcome = "reject"
        reason = f"The challenger gives no number for {broken:,} of the holdout's {unit}."
    elif own_seen:
        outcome = "reject"
        reason = (
            f"The challenger was trained on {own_seen:,} of this holdout's {groups:,} {unit}, so that its figures say "
            "nothing: train it on the other side of the split, or give a holdout that it never saw."
        )
    elif groups < gate.minimum_songs:
        outcome = "inconclusive"
        reason = f"The holdout has {groups:,} {unit}, too few to decide on: the gate asks for {gate.minimum_songs:,}."
    elif undefined:
        outcome = "inconclusive"
        hint = f": {undefined[0].hint}" if undefined[0].hint else ""
        reason = f"The {undefined[0].subject} cannot be computed on this holdout{hint}."
    elif failed:
        outcome = "reject"
        verb = "misses a floor" if failed[0].kind == "floor" else "breaks a limit"
        others = f", and {len(failed) - 1} more are not kept" if len(failed) > 1 else ""
        reason = f"The challenger {verb}: its {failed[0]}{others}."
    elif gate.strict and own_seen is None:
        outcome, reason = "inconclusive", _unrecorded("challenger", f"{groups:,} {unit}")
    elif comparison is None:
        outcome, reason = _first_model(checks)
    elif gate.strict and seen is None:
        outcome, reason = "inconclusive", _unrecorded("champion", f"{groups:,} {unit}")
    elif gate.strict and seen:
        outcome, reason = "inconclusive", _leaked(seen, f"{groups:,} {unit}")
    else:
        outcome, reason = _against_champion(gate, comparison, f"{groups:,} {unit}")
        if seen:
            reason += f" The champion was trained on {seen:,} of these {unit}, so its figures flatter it."
    return Decision(outcome, reason, tuple(checks))


def _first_model(checks: Sequence[Check]) -> tuple[Outcome, str]:
    floors = [check for check in checks if check.kind == "floor"]
    if not floors:
        return "inconclusive", "There is neither a champion to compare with nor a floor to meet."
    met = "; ".join(str(check) for check in floors if not check.where) or f"{len(floors)} of them"
    return "promote", f"There is no champion to compare with, and the challenger meets every floor: its {met}."


def _unrecorded(role: str, holdout: str) -> str:
    remedy = "train" if role == "challenger" else "deploy"
    return (
        f"Nobody recorded whether the {role} was trained on this holdout's {holdout}, and the gate is strict: "
        f"{remedy} a {role} whose training groups travel with it, or decide this once without strict."
    )


def _leaked(seen: int, holdout: str) -> str:
    return (
        f"The champion was trained on {seen:,} of this holdout's {holdout}, and the gate is strict: "
        "split with the seed that the champion was split with, or give a holdout that it never saw."
    )


def _against_champion(gate: GateConfig, found: Comparison, holdout: str) -> tuple[Outcome, str]:
    if not math.isfinite(found.lower + found.upper):
        return "inconclusive", f"The {found.title} cannot be compared on this holdout, so the champion stays."
    evidence = (
        f"its {found.title} is {found.challenger:.4f} and the champion's {found.reference:.4f} on the same {holdout}, "
        f"an improvement of {found.improvement:+.4f} (between {found.lower:+.4f} and {found.upper:+.4f}, "
        f"{gate.confidence:.0%} sure of either end)"
    )
    if gate.mode == "superiority":
        goal = f"better than the champion by more than {gate.margin:g}" if gate.margin else "better than the champion"
    else:
        goal = f"as good as the champion within {gate.margin:g}"
    if found.lower > gate.threshold:
        return "promote", f"The challenger is {goal}: {evidence}."
    if found.upper < gate.threshold:  # where both are equal, too little differs to be sure of anything
        return "reject", f"The challenger is not {goal}: {evidence}."
    return "inconclusive", f"Whether the challenger is {goal} cannot be told, so that stays: {evidence}."

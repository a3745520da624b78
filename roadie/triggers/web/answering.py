"""What a sender is told about its events: how many, and why each starts a run or does not; short, however many."""

from collections.abc import Sequence
from typing import Any

from roadie.triggers.journal.recorder import Receipt

_MOST_REASONS = 50


def answer(receipts: Sequence[Receipt]) -> dict[str, Any]:
    """The counts, and each reason once with how often it was given: an answer to 2,000 alerts stays a few lines.

    A reason's sentence is that of the first event it was given for.
    """
    reasons: dict[tuple[str, str, str], dict[str, Any]] = {}
    for receipt in receipts:
        for verdict in receipt.verdicts:
            reason = reasons.setdefault(
                (verdict.model, verdict.action, verdict.code),
                {
                    "model": verdict.model,
                    "action": verdict.action,
                    "code": verdict.code,
                    "why": verdict.why,
                    "count": 0,
                },
            )
            reason["count"] += 1
    new = [receipt for receipt in receipts if receipt.new]
    return {
        "events": len(receipts),
        "new": len(new),
        "seen": len(receipts) - len(new),
        "runs": sum(verdict.action == "start" for receipt in new for verdict in receipt.verdicts),
        "reasons": list(reasons.values())[:_MOST_REASONS],
    }

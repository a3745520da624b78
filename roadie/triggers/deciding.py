"""What follows from an event for a model: start a run, hold it back, or ignore it. Pure rules, no clock and no disk."""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What was decided about an event for one model.

    Attributes:
        model: The model; empty where none is concerned.
        action: ``start``, ``hold`` (final: the same subject never starts a run of this model) or ``ignore``.
        code: One fixed word for metrics: accepted, resolved, no-model, own-commit, cool-down, active, superseded,
            few-new-rows, template, duplicate or other.
        why: The reason in a sentence.
        key: What the run is known by, from :func:`key_of`; empty where no model is concerned.
    """

    model: str
    action: str
    code: str
    why: str
    key: str


def key_of(model: str, subject: str) -> str:
    """12 hexadecimal digits that stand for a model and what a run of it is started for; a run's name ends in them."""
    return hashlib.sha256(f"{model}\0{subject}".encode()).hexdigest()[:12]

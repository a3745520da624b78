"""What the journal tells: an event, what was decided about it, and the run that came of it. All times are UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class RunRow:
    """An accepted intent to run a model's pipeline, and what became of it.

    Attributes:
        key: What it is known by; its run's name ends in it.
        model: The model.
        reason: ``alert`` or ``push``.
        name: The run's display name, fixed when the event was accepted.
        state: waiting, starting, running, succeeded, failed or canceled; held where it was given up before it started.
        created: When the event was accepted.
        started: When its run was created on the engine; None before that.
        ended: When the run ended, or was given up; None before that.
        run_id: The engine's id of the run; empty before it started.
        url: Where people look at the run; may be empty.
        error: Why it failed, or what keeps it from starting right now; may be empty.
        decision: What the gate decided: promote, reject, inconclusive or unchanged; empty while it is not known.
        decision_reason: Why the gate decided so, in a sentence.
        version: The version that it deployed; may be empty.
        image: The image that it pushed, by digest where that is known; may be empty.
        commits: The commits that it made in the GitOps repository, in their order.
    """

    key: str
    model: str
    reason: str
    name: str
    state: str
    created: datetime
    started: datetime | None
    ended: datetime | None
    run_id: str
    url: str
    error: str
    decision: str
    decision_reason: str
    version: str
    image: str
    commits: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """What a run came to, as far as it is known; see :class:`RunRow`."""

    decision: str = ""
    decision_reason: str = ""
    version: str = ""
    image: str = ""
    commits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decided:
    """A verdict as it stands now: what was accepted may have been held back since. Without a run, `run` is None."""

    model: str
    action: str
    code: str
    why: str
    key: str
    run: RunRow | None


@dataclass(frozen=True)
class Entry:
    """An event in the journal, and what was decided about it.

    `id` counts up in the order of receipt, `seen` is how often the event was sent, `told` are the labels that tell the
    alert from others, in a few short texts; the rest is as in :class:`roadie.triggers.events.Event`.
    """

    id: int
    received: datetime
    last_seen: datetime
    seen: int
    source: str
    kind: str
    status: str
    summary: str
    happened: str
    names: Mapping[str, str]
    told: tuple[str, ...]
    verdicts: tuple[Decided, ...]


@dataclass(frozen=True)
class Details:
    """What is large about a run and its event: the alert's labels, and the pipeline's arguments."""

    labels: Mapping[str, str]
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Intent:
    """An intent on its way, as those who work on it see it.

    Attributes:
        key: What it is known by.
        model: Its model.
        reason: ``alert`` or ``push``.
        name: The run's display name.
        description: The run's description.
        arguments: The pipeline's arguments.
        created: When the event was accepted.
        run_id: The engine's id of its run; empty before that is known.
        attempted: Whether a create was ever sent.
        tries: How many creates were sent.
        misses: How many looks in a row did not find its run.
        stop: Why its run is to be stopped; empty when it is not.
        error: What kept its run from starting the last time; may be empty.
    """

    key: str
    model: str
    reason: str
    name: str
    description: str
    arguments: Mapping[str, Any]
    created: datetime
    run_id: str
    attempted: bool
    tries: int
    misses: int
    stop: str
    error: str

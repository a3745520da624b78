"""What follows from an event for a model: start a run, hold it back, or ignore it. Pure rules, no clock and no disk."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from roadie.triggers.config import Model
from roadie.triggers.durations import said
from roadie.triggers.events import Event
from roadie.triggers.rules.matching import concerned, is_of, why_nobody


@dataclass(frozen=True)
class Verdict:
    """What was decided about an event for one model.

    Attributes:
        model: The model; empty where none is concerned.
        action: ``start``, ``hold`` (final: the same subject never starts a run of this model) or ``ignore``.
        code: One fixed word for metrics: accepted, resolved, no-model, never, own-commit, other-branch, cool-down,
            active, superseded, few-new-rows, template, duplicate or other.
        why: The reason in a sentence.
        key: What the run is known by, from :func:`key_of`; empty where no model is concerned.
    """

    model: str
    action: str
    code: str
    why: str
    key: str


@dataclass(frozen=True)
class History:
    """What a model has behind it: when its last intent was accepted, and how many have not ended yet.

    Intents that were held back since do not count.
    """

    accepted: datetime | None = None
    active: int = 0


class Past(Protocol):
    """What the rules need to know of the journal."""

    def decided(self, key: str) -> bool:
        """Whether a run was started or held back under this key."""
        ...

    def history(self, model: str) -> History:
        """What the model has behind it."""
        ...


def key_of(model: str, subject: str) -> str:
    """12 hexadecimal digits that stand for a model and what a run of it is started for; a run's name ends in them."""
    return hashlib.sha256(f"{model}\0{subject}".encode()).hexdigest()[:12]


def decide(event: Event, models: Mapping[str, Model], past: Past, now: datetime) -> tuple[Verdict, ...]:
    """What follows from an event that was not seen before: a verdict for each model it concerns, or one for none."""
    found = concerned(event, models)
    if found:
        return tuple(_for_model(event, name, models[name], past, now) for name in found)
    nobody = Verdict("", "ignore", "no-model", why_nobody(event, models), "")
    return (_not_to_start(event, nobody) or nobody,)


def _for_model(event: Event, name: str, model: Model, past: Past, now: datetime) -> Verdict:
    start = Verdict(name, "start", "accepted", f"a run of {name} is started for it", key_of(name, event.subject))
    history = past.history(name)
    return (
        _not_to_start(event, start)
        or _off_branch(event, start, model)
        or _decided_before(event, start, past)
        or _too_soon(start, model.cool_down, history, now)
        or _among_others(start, model, history)
    )


def _not_to_start(event: Event, verdict: Verdict) -> Verdict | None:
    """Events that start nothing, whatever the model. A push that is ignored, but no `other`, is one of Roadie's own."""
    if event.status == "resolved":
        return replace(verdict, action="ignore", code="resolved", why="it resolved: there is nothing to mend any more")
    if event.status == "other" or event.ignored:
        code = "other" if event.status == "other" else "never" if event.kind == "alert" else "own-commit"
        return replace(verdict, action="ignore", code=code, why=event.ignored or "such an event starts no run")
    return None


def _off_branch(event: Event, start: Verdict, model: Model) -> Verdict | None:
    """A push to another branch than the pipeline is read from; the commit may come to that branch later."""
    source = model.from_git
    if source is None or event.kind != "push" or not is_of(event, source.repository):
        return None
    branch = event.names.get("branch", "")
    if branch == source.branch:
        return None
    why = f"its pipeline is read from the branch {source.branch}, and this was pushed to {branch}"
    return replace(start, action="ignore", code="other-branch", why=why)


def _decided_before(event: Event, start: Verdict, past: Past) -> Verdict | None:
    if not past.decided(start.key):
        return None
    what = "commit" if event.kind == "push" else "alert"
    return replace(start, action="ignore", code="duplicate", why=f"this {what} was decided about before")


def _too_soon(start: Verdict, cool_down: timedelta, history: History, now: datetime) -> Verdict | None:
    # A clock that was set back must not hold back for longer than the time it was told to.
    if not cool_down or history.accepted is None or abs(now - history.accepted) >= cool_down:
        return None
    accepted = f"{history.accepted:%Y-%m-%dT%H:%M:%SZ}"
    why = f"the last run of {start.model} was accepted at {accepted}, less than {said(cool_down)} ago"
    return replace(start, action="hold", code="cool-down", why=why)


def _among_others(start: Verdict, model: Model, history: History) -> Verdict:
    if history.active < model.max_active:
        return start
    runs = "1 run" if history.active == 1 else f"{history.active} runs"
    are = f"{runs} of {start.model} {'is' if history.active == 1 else 'are'} under way"
    match model.when_active:
        case "skip":
            return replace(start, action="hold", code="active", why=f"{are}, and at most {model.max_active} may be")
        case "queue":
            return replace(start, why=f"{are}; a run is started for it when its turn comes")
        case "supersede":
            return replace(start, why=f"{are}; a run is started for it in the place of an older one")


def superseded(max_active: int, active: int) -> int:
    """How many of the `active` intents, the oldest first, make room for one more."""
    return max(0, active + 1 - max_active)

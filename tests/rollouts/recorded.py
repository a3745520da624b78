"""Recordings of real rollouts, played into the judging code at their own times, without waiting for them.

A recording is a file of JSON lines, one watch event each: `seconds`, `kind`, `type` (LISTED for what was there at the
start) and `object`. A watch may begin at any of them.
"""

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from roadie.rollout import Target, Wanted
from roadie.rollout.course import Course
from roadie.rollout.look import Snapshot

FOLDER = Path(__file__).parents[3] / "shared" / "recordings" / "rollout"
KINDS = ("Application", "InferenceService", "Deployment", "Pod")
LONGEST = 3_600.0  # seconds that the last state of a recording lasts

Object = dict[str, Any]
World = dict[str, dict[str, Object]]


@dataclass(frozen=True)
class Event:
    """What a watch tells: at which second, of which kind, and the object; None when it was deleted."""

    seconds: float
    kind: str
    name: str
    object: Object | None


@dataclass(frozen=True)
class Ending:
    """The outcome that was come to ("" for none), at which second, and what the last look said."""

    outcome: str
    seconds: float
    reason: str


def names() -> list[str]:
    """All recordings that are on this machine."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


@functools.cache
def events(name: str) -> list[Event]:
    """The events of a recording that a wait looks at. The test is skipped where the recording is not."""
    path = FOLDER / f"{name}.jsonl"
    if not path.exists():
        message = f"{path} is not there: recordings of real clusters are kept beside the repository"
        if os.environ.get("ROADIE_REQUIRE_SERVERS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Event(each["seconds"], each["kind"], each["object"]["metadata"]["name"], _object(each))
        for each in told
        if each["kind"] in KINDS
    ]


def _object(event: Object) -> Object | None:
    return None if event["type"] == "DELETED" else event["object"]


def later(told: list[Event], lags: Mapping[str, float]) -> list[Event]:
    """The same events, each kind so many seconds later: they are watched apart."""
    shifted = [Event(e.seconds + lags.get(e.kind, 0.0), e.kind, e.name, e.object) for e in told]
    return sorted(shifted, key=lambda each: each.seconds)


def play(
    told: list[Event],
    target: Target,
    wanted: Wanted,
    *,
    start: int = 0,
    ends: bool = False,
    replaced: Callable[[float], str] | None = None,
    **options: float,
) -> Ending:
    """Judge a recording from its event number `start` on.

    Args:
        told: The events.
        target: What is watched.
        wanted: What is waited for.
        start: The watch begins with what the cluster held after this event.
        ends: Whether nothing is known after the last event, instead of its state lasting on.
        replaced: What Git holds in the place of our version at a second; "" while it is ours.
        options: timeout, soak and grace.
    """
    began = told[start].seconds
    limits = {"timeout": 900.0, "soak": 60.0, "grace": 60.0, **options}
    course = Course(target, wanted, began, limits["timeout"], limits["soak"], limits["grace"])
    worlds = list(_worlds(told))
    for index in range(start, len(told)):
        now = told[index].seconds
        until = told[index + 1].seconds if index + 1 < len(told) else now if ends else now + LONGEST
        course.see(_snapshot(worlds[index], target), now)
        if replaced:
            course.hear(replaced(now), now)
        while not (outcome := course.outcome(now)) and now < until:
            # A clock of floats may stop just before what it waits for.
            now = min(until, now + course.left(now) + 1e-6)
            if replaced:
                course.hear(replaced(now), now)
        if outcome:
            return Ending(outcome, now, course.look.reason)
    return Ending("", now, course.look.reason)


def _worlds(told: list[Event]) -> Iterator[World]:
    world: World = {kind: {} for kind in KINDS}
    for event in told:
        of_kind = dict(world[event.kind])
        if event.object is None:
            of_kind.pop(event.name, None)
        else:
            of_kind[event.name] = event.object
        world = {**world, event.kind: of_kind}
        yield world


def _snapshot(world: World, target: Target) -> Snapshot:
    application = world["Application"].get(target.application, {}) if target.application else None
    service = world["InferenceService"].get(target.inference_service, {}) if target.inference_service else None
    return Snapshot(application, service, list(world["Deployment"].values()), list(world["Pod"].values()))

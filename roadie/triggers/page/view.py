"""What the page shows, from what the journal and the GitOps repository say. Pure: rows and a clock in, views out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from roadie.addresses import redact
from roadie.gitops import Deployment
from roadie.triggers.journal.rows import Decided, Details, Entry, RunRow
from roadie.triggers.page import words
from roadie.triggers.page.words import Commit, Moment

ACTIVE = frozenset({"waiting", "starting", "running"})
_LONGEST = 400  # characters of what others wrote in one line; a label's value may be a book


@dataclass(frozen=True)
class RunView:
    """A run: `since` is when it was started (accepted, while it waits), `took` how long it went on; `url` opens it."""

    key: str
    name: str
    model: str
    state: str
    since: Moment
    took: str
    decision: str
    reason: str
    error: str
    version: str
    image: str
    commits: tuple[Commit, ...]
    url: str

    @property
    def active(self) -> bool:
        """Whether it may still change."""
        return self.state in ACTIVE


@dataclass(frozen=True)
class VerdictView:
    """What was decided about an event for one model; `action` is start, hold or ignore."""

    model: str
    action: str
    code: str
    why: str
    run: RunView | None

    @property
    def word(self) -> str:
        """The action as people say it."""
        return {"start": "accepted", "hold": "held back"}.get(self.action, "ignored")


@dataclass(frozen=True)
class EventView:
    """An event of the journal: `url` opens what raised it; `commit` is what was pushed.

    `labels` tell one alert of a name from another, a few in short.
    """

    id: int
    kind: str
    source: str
    status: str
    summary: str
    received: Moment
    happened: Moment | None
    seen: int
    last_seen: Moment
    url: str
    commit: Commit
    labels: tuple[str, ...]
    verdicts: tuple[VerdictView, ...]

    @property
    def what(self) -> str:
        """What kind of event it is, in a word or two."""
        return {"firing": "firing alert", "resolved": "resolved alert", "pushed": "push"}.get(self.status, "message")


@dataclass(frozen=True)
class Day:
    """The events of a day (UTC)."""

    date: str
    title: str
    events: tuple[EventView, ...]


@dataclass(frozen=True)
class Place:
    """What an environment holds of a model."""

    environment: str
    version: str
    digest: str
    commit: Commit
    since: Moment


@dataclass(frozen=True)
class ModelView:
    """A model: what each environment holds of it (None for nothing), in their order, and its newest run."""

    name: str
    places: tuple[Place | None, ...]
    newest: RunView | None

    @property
    def differs(self) -> bool:
        """Whether two environments hold different versions of it."""
        return len({place.version for place in self.places if place}) > 1


@dataclass(frozen=True)
class Story:
    """The chain of a run: the event that asked for it, the run, and where its version is deployed now.

    Attributes:
        event: The event.
        why: Why it was accepted, or held back since.
        run: The run; None where it was held back before it started.
        arguments: The pipeline's arguments.
        facts: What the sender told of the event, by the names that a template may use.
        labels: The alert's labels.
        places: The environments that hold the run's version.
    """

    event: EventView
    why: str
    run: RunView | None
    arguments: Mapping[str, str]
    facts: Mapping[str, str]
    labels: Mapping[str, str]
    places: tuple[Place, ...]


def run_view(row: RunRow, now: datetime, repository: str) -> RunView:
    """A run as it is shown; `repository` is where its commits are."""
    since = row.started or row.created
    ended = row.ended or (now if row.state in ACTIVE else None)
    return RunView(
        key=row.key,
        name=row.name,
        model=row.model,
        state=row.state,
        since=words.moment(since, now),
        took=words.lasted(ended - since) if ended and row.started else "",
        decision=row.decision,
        reason=_line(row.decision_reason),
        error=_line(row.error),
        version=row.version,
        image=row.image,
        commits=tuple(words.commit(repository, sha) for sha in row.commits),
        url=words.web_address(row.url),
    )


def event_view(entry: Entry, now: datetime, repository: str) -> EventView:
    """An event as it is shown."""
    names = entry.names
    happened = words.parse(entry.happened)
    return EventView(
        id=entry.id,
        kind=entry.kind,
        source=entry.source,
        status=entry.status,
        summary=_line(entry.summary),
        received=words.moment(entry.received, now),
        happened=words.moment(happened, now) if happened else None,
        seen=entry.seen,
        last_seen=words.moment(entry.last_seen, now),
        url=words.web_address(names.get("generator_url", "")),
        commit=words.commit(names.get("repository", ""), names.get("sha", "")),
        labels=tuple(map(_line, entry.told)),
        verdicts=tuple(_verdict(decided, now, repository) for decided in entry.verdicts),
    )


def _verdict(decided: Decided, now: datetime, repository: str) -> VerdictView:
    run = run_view(decided.run, now, repository) if decided.run else None
    return VerdictView(decided.model, decided.action, decided.code, _line(decided.why), run)


def days(entries: Iterable[Entry], now: datetime, repository: str) -> tuple[Day, ...]:
    """The events by the day of their receipt, in the order given."""
    return tuple(
        Day(f"{date:%Y-%m-%d}", _day(date, now), tuple(event_view(entry, now, repository) for entry in those))
        for date, those in groupby(entries, key=lambda entry: entry.received.astimezone(UTC).date())
    )


def _day(date: Any, now: datetime) -> str:
    today = now.astimezone(UTC).date()
    title = f"{date:%A} {date.day} {date:%B}" + ("" if date.year == today.year else f" {date.year}")
    near = {0: "Today", 1: "Yesterday"}.get((today - date).days)
    return f"{near}, {title}" if near else title


def place_view(deployment: Deployment, now: datetime, repository: str) -> Place:
    """What an environment holds, as it is shown."""
    return Place(
        environment=deployment.environment,
        version=deployment.version,
        digest=deployment.digest,
        commit=words.commit(repository, deployment.commit),
        since=words.moment(datetime.fromtimestamp(deployment.time, UTC), now),
    )


def model_view(
    name: str,
    environments: Sequence[str],
    deployments: Iterable[Deployment],
    newest: RunRow | None,
    now: datetime,
    repository: str,
) -> ModelView:
    """A model's line."""
    held = {each.environment: place_view(each, now, repository) for each in deployments if each.model == name}
    run = run_view(newest, now, repository) if newest else None
    return ModelView(name, tuple(map(held.get, environments)), run)


def story_view(
    key: str, entry: Entry, details: Details, deployments: Iterable[Deployment], now: datetime, repository: str
) -> Story | None:
    """The chain of the run with this key; None where the event led to none."""
    decided = next((each for each in entry.verdicts if each.key == key), None)
    if not decided:
        return None
    row = decided.run
    deployed = [] if not row or not row.version else deployments
    return Story(
        event=event_view(entry, now, repository),
        why=_line(decided.why),
        run=run_view(row, now, repository) if row else None,
        arguments={name: _plain(value) for name, value in details.arguments.items()} if row else {},
        facts={name: redact(value) for name, value in entry.names.items() if value},
        labels={name: redact(value) for name, value in sorted(details.labels.items())},
        places=tuple(
            place_view(each, now, repository)
            for each in deployed
            if row and (each.model, each.version) == (row.model, row.version)
        ),
    )


def _plain(value: Any) -> str:
    """An argument as text: text as it is, all else as JSON."""
    return redact(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _line(text: str) -> str:
    text = redact(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"

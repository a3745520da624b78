"""What receiving an event changes in the journal, within one transaction."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from roadie.errors import TriggerError
from roadie.triggers.events import Event
from roadie.triggers.rules.arguments import Order, Target, order
from roadie.triggers.rules.deciding import History, Verdict, decide, superseded
from roadie.triggers.senders.reading import line
from roadie.triggers.times import moment, stamp


@dataclass(frozen=True)
class Receipt:
    """That an event is on disk. `new` is False for one that was sent before; its verdicts then say so."""

    event: Event
    new: bool
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True)
class Superseded:
    """A run that made room for a newer one before it was started."""

    model: str
    key: str


# What is said of an alert's labels in a line: those that every alert has that retrains are said in other words.
_SAID, _SAID_TO_MODELS = {"alertname"}, {"alertname", "model", "retrain", "severity"}
_MOST_TOLD, _LONGEST_TOLD = 5, 80


def telling(labels: Mapping[str, str], concerns: bool) -> list[str]:
    """The labels by which one alert of a name is told from another, and why it concerns no model; a few short texts."""
    said = _SAID_TO_MODELS if concerns else _SAID
    names = sorted((name for name in labels if name not in said), key=lambda name: (name not in _SAID_TO_MODELS, name))
    told = [line(f"{name}={labels[name]}", _LONGEST_TOLD) for name in names[:_MOST_TOLD]]
    return [*told, f"and {len(names) - _MOST_TOLD} more"] if len(names) > _MOST_TOLD else told


class Storing:
    """Stores events in an open transaction; remembers what they change about each model, and what was superseded."""

    def __init__(self, connection: sqlite3.Connection, targets: Mapping[str, Target], now: datetime) -> None:
        self._db, self._targets, self._now = connection, targets, now
        self._models = {name: target.model for name, target in targets.items()}
        self._histories: dict[str, History] = {}
        self.superseded: list[Superseded] = []

    def store(self, event: Event) -> Receipt:
        """Store one event with what is decided about it."""
        seen = self._db.execute(
            "UPDATE events SET seen = seen + 1, last_seen = ? WHERE identity = ? RETURNING id, received",
            (stamp(self._now), event.identity),
        ).fetchone()
        if seen:
            return Receipt(event, False, self._repeated(seen["id"], seen["received"]))
        pairs = [self._ordered(event, verdict) for verdict in decide(event, self._models, self, self._now)]
        number = self._insert(event, any(verdict.model for verdict, _ in pairs))
        for verdict, ordered in pairs:
            self._db.execute(
                "INSERT INTO decisions (event, model, action, code, why, key) VALUES (?, ?, ?, ?, ?, ?)",
                (number, verdict.model, verdict.action, verdict.code, verdict.why, verdict.key),
            )
            if ordered:
                self._accept(number, event, verdict, ordered)
        return Receipt(event, True, tuple(verdict for verdict, _ in pairs))

    def decided(self, key: str) -> bool:
        """See :class:`roadie.triggers.rules.deciding.Past`."""
        query = "SELECT 1 FROM decisions WHERE key = ? AND action <> 'ignore'"
        return self._db.execute(query, (key,)).fetchone() is not None

    def history(self, model: str) -> History:
        """See :class:`roadie.triggers.rules.deciding.Past`."""
        if model not in self._histories:
            accepted, active = self._db.execute(
                "SELECT (SELECT created FROM intents WHERE model = ?1 AND state <> 'held' ORDER BY event DESC LIMIT 1),"
                " (SELECT count(*) FROM intents WHERE model = ?1 AND state IN ('waiting', 'starting', 'running'))",
                (model,),
            ).fetchone()
            self._histories[model] = History(moment(accepted), active)
        return self._histories[model]

    def _repeated(self, number: int, received: str) -> tuple[Verdict, ...]:
        rows = self._db.execute("SELECT model, why, key FROM decisions WHERE event = ? ORDER BY model", (number,))
        return tuple(
            Verdict(row["model"], "ignore", "duplicate", f"received at {received} before: {row['why']}", row["key"])
            for row in rows
        )

    def _ordered(self, event: Event, verdict: Verdict) -> tuple[Verdict, Order | None]:
        if verdict.action != "start":
            return verdict, None
        try:
            return verdict, order(self._targets[verdict.model], event)
        except TriggerError as error:
            return replace(verdict, action="hold", code="template", why=str(error)), None

    def _insert(self, event: Event, concerns: bool) -> int:
        """Store the event; of one that concerns no model, whoever sends it, no more than what is shown of it."""
        row = self._db.execute(
            "INSERT INTO events (identity, received, last_seen, source, kind, subject, status, summary, happened,"
            " names, labels, told) VALUES (?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id",
            (
                event.identity,
                stamp(self._now),
                event.source,
                event.kind,
                event.subject,
                event.status,
                event.summary,
                event.happened,
                json.dumps(dict(event.names)),
                json.dumps(dict(event.labels) if concerns else {}),
                json.dumps(telling(event.labels, concerns)),
            ),
        ).fetchone()
        return int(row["id"])

    def _accept(self, number: int, event: Event, verdict: Verdict, ordered: Order) -> None:
        model, history = self._models[verdict.model], self.history(verdict.model)
        active = history.active
        if model.when_active == "supersede":
            active -= self._make_room(verdict, superseded(model.max_active, active))
        self._db.execute(
            "INSERT INTO intents (key, event, model, reason, name, description, arguments, state, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting', ?)",
            (
                ordered.key,
                number,
                verdict.model,
                event.kind,
                ordered.name,
                ordered.description,
                json.dumps(dict(ordered.arguments)),
                stamp(self._now),
            ),
        )
        self._histories[verdict.model] = History(self._now, active + 1)

    def _make_room(self, verdict: Verdict, count: int) -> int:
        """Give up the oldest `count` intents: how many were not started yet. Those that were are left to be stopped."""
        why = f"superseded by a newer event, {verdict.key}"
        waiting = self._db.execute(
            "UPDATE intents SET state = 'held', code = 'superseded', why = ?, ended = ? WHERE key IN (SELECT key FROM"
            " intents WHERE model = ? AND state = 'waiting' ORDER BY event LIMIT ?) RETURNING model, key",
            (why, stamp(self._now), verdict.model, count),
        ).fetchall()
        self.superseded += [Superseded(row["model"], row["key"]) for row in waiting]
        self._db.execute(
            "UPDATE intents SET stop = ? WHERE key IN (SELECT key FROM intents WHERE model = ?"
            " AND state IN ('starting', 'running') ORDER BY event LIMIT ?) AND stop = ''",
            (why, verdict.model, count - len(waiting)),
        )
        return len(waiting)

"""The journal: every event, what was decided about it, and the run that came of it, in one SQLite file."""

import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from roadie.triggers.journal.database import PATIENCE, Database
from roadie.triggers.journal.rows import Decided, Entry, RunRow
from roadie.triggers.times import moment, stamp, utc_now

# As many events as one transaction prunes, so that no sender has to wait for long.
_PRUNED_AT_ONCE = 500


@dataclass(frozen=True)
class Waiting:
    """How many intents wait to be started, and since when the first of them does (None when there is none)."""

    count: int
    since: datetime | None


class Journal:
    """The journal at a path. Its methods may be called from any thread; each raises TriggerError when it fails.

    Writing waits for `patience` seconds for another process to end its transaction.

    Raises:
        TriggerError: the file cannot be opened or written, is no journal, or is of a newer Roadie.
    """

    def __init__(self, path: Path, *, patience: float = PATIENCE) -> None:
        self.path = path
        self._database = Database(path, patience)
        self.writing, self.reading = self._database.writing, self._database.reading

    def timeline(self, limit: int, before: int | None = None, model: str = "") -> list[Entry]:
        """The newest `limit` entries, newest first: those with an id below `before`, those that concern `model`."""
        query = _EVENTS_OF_MODEL if model else _EVENTS
        with self.reading() as connection:
            events = connection.execute(query, {"model": model, "before": before, "limit": limit}).fetchall()
            decided = _decided(connection, [event["id"] for event in events])
        return [_entry(event, decided.get(event["id"], [])) for event in events]

    def runs(self, model: str = "", limit: int = 20) -> list[RunRow]:
        """The newest `limit` intents that were not held back, newest first, of one model or of all."""
        query = _RUNS_OF_MODEL if model else _RUNS
        with self.reading() as connection:
            rows = connection.execute(query, {"model": model, "limit": limit}).fetchall()
        return [run_row(row) for row in rows]

    def entry_of(self, key: str) -> Entry | None:
        """The event that the run with this key was accepted for; None when no run has it."""
        with self.reading() as connection:
            events = connection.execute(_EVENT_OF_RUN, (key,)).fetchall()
            decided = _decided(connection, [event["id"] for event in events])
        return next((_entry(event, decided[event["id"]]) for event in events), None)

    def waiting(self) -> Waiting:
        """What waits to be started."""
        with self.reading() as connection:
            count, since = connection.execute(
                "SELECT count(*), min(created) FROM intents WHERE state IN ('waiting', 'starting')"
            ).fetchone()
        return Waiting(count, moment(since))

    def check(self) -> None:
        """Write something, so that a disk that takes nothing any more is known before an event comes."""
        with self.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO checked (id, at) VALUES (1, ?)", (stamp(utc_now()),))

    def prune(self, keep: timedelta, now: datetime) -> int:
        """Forget events that were last sent more than `keep` ago, with all that came of them; how many there were.

        One that is sent again and again is kept, since it would else be taken for new; so are what has not ended yet,
        and the newest run of each model.
        """
        pruned = 0
        while True:
            with self.writing() as connection:
                count = connection.execute(_PRUNE, (stamp(now - keep), _PRUNED_AT_ONCE)).rowcount
            pruned += count
            if count < _PRUNED_AT_ONCE:
                return pruned

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._database.close()


_EVENTS = "SELECT * FROM events WHERE (:before IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit"
_EVENTS_OF_MODEL = """
SELECT events.* FROM decisions JOIN events ON events.id = decisions.event
WHERE decisions.model = :model AND (:before IS NULL OR event < :before) ORDER BY event DESC LIMIT :limit
"""
_RUNS = "SELECT * FROM intents WHERE state <> 'held' ORDER BY event DESC LIMIT :limit"
_RUNS_OF_MODEL = "SELECT * FROM intents WHERE model = :model AND state <> 'held' ORDER BY event DESC LIMIT :limit"
_EVENT_OF_RUN = "SELECT events.* FROM intents JOIN events ON events.id = intents.event WHERE intents.key = ?"
# An intent has the columns of a decision, too: those of the decision come under names of their own.
_DECISIONS = """
SELECT intents.*, decisions.event AS about, decisions.model AS of_model, action, decisions.code AS said_code,
    decisions.why AS said_why, decisions.key AS of_key
FROM decisions LEFT JOIN intents USING (key)
WHERE decisions.event IN (SELECT value FROM json_each(?)) ORDER BY decisions.model
"""
_PRUNE = """
DELETE FROM events WHERE id IN (
    SELECT id FROM events WHERE last_seen < ?1
    AND NOT EXISTS (
        SELECT 1 FROM intents WHERE intents.event = events.id AND state IN ('waiting', 'starting', 'running')
    )
    AND id NOT IN (SELECT max(event) FROM intents WHERE started IS NOT NULL GROUP BY model)
    ORDER BY last_seen LIMIT ?2
)
"""


def _decided(connection: sqlite3.Connection, events: list[int]) -> dict[int, list[Decided]]:
    """The decisions about `events`, each with its run."""
    found: dict[int, list[Decided]] = {}
    for row in connection.execute(_DECISIONS, (json.dumps(events),)):
        found.setdefault(row["about"], []).append(_verdict(row))
    return found


def _verdict(row: sqlite3.Row) -> Decided:
    held = row["state"] == "held"
    if held and row["action"] == "start":
        return Decided(row["of_model"], "hold", row["code"], row["why"], row["of_key"], None)
    run = run_row(row) if row["state"] and not held else None
    return Decided(row["of_model"], row["action"], row["said_code"], row["said_why"], row["of_key"], run)


def _entry(row: sqlite3.Row, verdicts: list[Decided]) -> Entry:
    return Entry(
        id=row["id"],
        received=_time(row["received"]),
        last_seen=_time(row["last_seen"]),
        seen=row["seen"],
        source=row["source"],
        kind=row["kind"],
        status=row["status"],
        summary=row["summary"],
        happened=row["happened"],
        names=json.loads(row["names"]),
        labels=json.loads(row["labels"]),
        verdicts=tuple(verdicts),
    )


def run_row(row: sqlite3.Row) -> RunRow:
    """A row of the table `intents`."""
    return RunRow(
        key=row["key"],
        model=row["model"],
        reason=row["reason"],
        name=row["name"],
        state=row["state"],
        created=_time(row["created"]),
        started=moment(row["started"]),
        ended=moment(row["ended"]),
        run_id=row["run_id"],
        url=row["url"],
        error=row["error"],
        decision=row["decision"],
        decision_reason=row["decision_reason"],
        version=row["version"],
        image=row["image"],
        commits=tuple(json.loads(row["commits"])),
        arguments=json.loads(row["arguments"]),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

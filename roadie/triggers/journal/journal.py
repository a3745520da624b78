"""The journal: every event, what was decided about it, and the run that came of it, in one SQLite file."""

import json
import sqlite3
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from roadie.triggers.journal.database import PATIENCE, Database
from roadie.triggers.journal.rows import Decided, Details, Entry, RunRow
from roadie.triggers.times import moment, stamp, utc_now

# As many events as one transaction prunes, so that no sender has to wait for long.
_PRUNED_AT_ONCE = 500
# Bytes, beyond which the oldest events go, whatever `keep` says: half of the disk that the chart asks for.
LARGEST = 512 << 20
# Proving the file reads all of it: that may take a thirtieth of the time.
_PAUSES = 30.0


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
        self._prove_at = float("-inf")
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

    def details(self, key: str) -> Details | None:
        """What is large about the run with this key; None when no run has it."""
        with self.reading() as connection:
            row = connection.execute(_DETAILS, (key,)).fetchone()
        return Details(json.loads(row["labels"]), json.loads(row["arguments"])) if row else None

    def note_deployed(self, run_id: str, commit: str, version: str, digest: str) -> None:
        """Note a commit that names this run, and what it deployed; a run that nobody knows is nobody's."""
        with self.writing() as connection:
            found = connection.execute(
                "SELECT key, commits, arguments FROM intents WHERE run_id = ?", (run_id,)
            ).fetchone()
            commits = json.loads(found["commits"]) if found else []
            if found is None or commit in commits:
                return
            image = f"{json.loads(found['arguments']).get('image', '')}@{digest}".strip("@")
            connection.execute(
                "UPDATE intents SET commits = ?, decision = 'promote', version = ?, image = ? WHERE key = ?",
                (json.dumps([*commits, commit]), version, image, found["key"]),
            )

    def waiting(self) -> Waiting:
        """What waits to be started."""
        with self.reading() as connection:
            count, since = connection.execute(
                "SELECT count(*), min(created) FROM intents WHERE state IN ('waiting', 'starting')"
            ).fetchone()
        return Waiting(count, moment(since))

    def check(self) -> None:
        """Write something and read everything: what the disk does not take or give is known before an event comes."""
        began = time.monotonic()
        if began >= self._prove_at or self._database.damaged:
            self._database.prove()
            ended = time.monotonic()
            self._prove_at = ended + _PAUSES * (ended - began)
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

    def shrink(self, largest: int = LARGEST) -> int:
        """Forget the oldest events that started nothing until the journal has `largest` bytes; how many there were.

        Where those are not enough, runs that have ended follow, as in :meth:`prune`.
        """
        pruned = 0
        for started in (0, 1):
            while True:
                with self.reading() as connection:
                    if _bytes(connection) <= largest:
                        return pruned
                with self.writing() as connection:
                    count = connection.execute(_SHRINK, (_PRUNED_AT_ONCE, started)).rowcount
                pruned += count
                if not count:
                    break
        return pruned

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._database.close()


# What strangers can make large, labels and arguments, is read one run at a time.
_OF_EVENT = (
    "events.id, events.received, events.last_seen, events.seen, events.source, events.kind, events.status,"
    " events.summary, events.happened, events.names, events.told"
)
_OF_RUN = (
    "intents.key, intents.model, intents.reason, intents.name, intents.state, intents.code, intents.why,"
    " intents.created, intents.started, intents.ended, intents.run_id, intents.url, intents.error, intents.decision,"
    " intents.decision_reason, intents.version, intents.image, intents.commits"
)
_EVENTS = f"SELECT {_OF_EVENT} FROM events WHERE (:before IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit"  # noqa: S608 - our own columns
_EVENTS_OF_MODEL = f"""
SELECT {_OF_EVENT} FROM decisions JOIN events ON events.id = decisions.event
WHERE decisions.model = :model AND (:before IS NULL OR event < :before) ORDER BY event DESC LIMIT :limit
"""  # noqa: S608
_RUNS = f"SELECT {_OF_RUN} FROM intents WHERE state <> 'held' ORDER BY event DESC LIMIT :limit"  # noqa: S608
_RUNS_OF_MODEL = f"""
SELECT {_OF_RUN} FROM intents WHERE model = :model AND state <> 'held' ORDER BY event DESC LIMIT :limit
"""  # noqa: S608
_EVENT_OF_RUN = f"""
SELECT {_OF_EVENT} FROM intents JOIN events ON events.id = intents.event WHERE intents.key = ?
"""  # noqa: S608
_DETAILS = "SELECT labels, arguments FROM intents JOIN events ON events.id = intents.event WHERE intents.key = ?"
# An intent has the columns of a decision, too: those of the decision come under names of their own.
_DECISIONS = f"""
SELECT {_OF_RUN}, decisions.event AS about, decisions.model AS of_model, action, decisions.code AS said_code,
    decisions.why AS said_why, decisions.key AS of_key
FROM decisions LEFT JOIN intents USING (key)
WHERE decisions.event IN (SELECT value FROM json_each(?)) ORDER BY decisions.model
"""  # noqa: S608
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
_SHRINK = """
DELETE FROM events WHERE id IN (
    SELECT id FROM events
    WHERE CASE (SELECT state IN ('waiting', 'starting', 'running') FROM intents WHERE intents.event = events.id)
        WHEN 1 THEN 0 WHEN 0 THEN ?2 ELSE 1 END
    AND id NOT IN (SELECT max(event) FROM intents WHERE started IS NOT NULL GROUP BY model)
    ORDER BY id LIMIT ?1
)
"""


def _bytes(connection: sqlite3.Connection) -> int:
    """What the journal's pages that are in use take."""
    size, pages, free = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    return size * (pages - free)


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
        told=tuple(json.loads(row["told"])),
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
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

"""What the journal knows of intents on their way: whose run to create now, and what became of each.

An intent goes from waiting through starting and running to succeeded, failed or canceled, or it is held. That a create
is about to be sent is noted first; whether it took effect may never be told, so that no other is sent before the first
has taken effect or never will (docs/decisions/triggers-exactly-once.md). When something is due is kept in memory, by
the clock that nobody sets; after a restart everything is due.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from roadie.runs import Run
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.rows import Facts, Intent
from roadie.triggers.times import stamp, utc_now

NOTHING = Facts()
# As many runs as are looked at in one round.
_MOST_AT_ONCE = 100


class Intents:
    """The intents of a journal, as its one receiver works on them.

    Args:
        journal: The journal.
        settle: Seconds after which a create that was sent has taken effect or never will.
        clock: The time, in UTC, for what is written down.
        ticks: Seconds that pass evenly, for what is waited for.
    """

    def __init__(
        self,
        journal: Journal,
        settle: float,
        clock: Callable[[], datetime] = utc_now,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal, self._clock, self._ticks = journal, clock, ticks
        self.settle = settle
        self._began = ticks()
        self._due: dict[tuple[str, str], float] = {}
        self._sent: dict[str, float] = {}

    def claim(self, room: Mapping[str, int], again: float) -> Intent | None:
        """The next intent to start, if there is one; `room` says how many runs each model may have.

        First come those that were begun and not finished; they come again every `again` seconds.
        """
        later = json.dumps(self._later("start"))
        with self._journal.writing() as connection:
            row = connection.execute(_STARTING, (later,)).fetchone() or _first_with_room(connection, room, later)
            if row is None:
                return None
            connection.execute("UPDATE intents SET state = 'starting' WHERE key = ?", (row["key"],))
        self._due["start", row["key"]] = self._ticks() + again
        return _intent(row)

    def settled(self, intent: Intent, times: int = 1) -> bool:
        """Whether a create that was sent for it, if any, took effect or never will; or `times` as long ago.

        What a process before this one sent counts as sent when this one began.
        """
        since = self._sent.get(intent.key, self._began)
        return not intent.attempted or self._ticks() - since >= times * self.settle

    def attempt(self, intent: Intent, rows: int | None) -> bool:
        """Note that a create is about to be sent; False when the run is to be stopped, or was held back."""
        self._sent[intent.key] = self._ticks()
        return self._change(
            "UPDATE intents SET attempted = :now, tries = tries + 1, rows = :rows"
            " WHERE key = :key AND state = 'starting' AND stop = ''",
            intent,
            now=stamp(self._clock()),
            rows=rows,
        )

    def postpone(self, intent: Intent, error: str, seconds: float) -> None:
        """Look at the intent again in `seconds`; where no create was sent, others go first meanwhile."""
        self._due["start", intent.key] = self._ticks() + seconds
        self._change(
            "UPDATE intents SET error = :error, state = CASE WHEN attempted = '' THEN 'waiting' ELSE state END"
            " WHERE key = :key AND state = 'starting'",
            intent,
            error=error,
        )

    def hold(self, intent: Intent, code: str, why: str) -> bool:
        """Give the intent up before it started; whether it was this call that did."""
        self._forget(intent)
        return self._change(
            "UPDATE intents SET state = 'held', code = :code, why = :why, error = '', ended = :now"
            " WHERE key = :key AND state = 'starting'",
            intent,
            code=code,
            why=why,
            now=stamp(self._clock()),
        )

    def hold_unknown(self, models: Iterable[str]) -> None:
        """Give up what waits for models that are not among `models`."""
        with self._journal.writing() as connection:
            connection.execute(
                "UPDATE intents SET state = 'held', code = 'no-model', why = ?, ended = ?"
                " WHERE state = 'waiting' AND model NOT IN (SELECT value FROM json_each(?))",
                ("its model is no longer in the configuration", stamp(self._clock()), json.dumps(list(models))),
            )

    def started(self, intent: Intent, run: Run, tell: Iterable[str] = ()) -> bool:
        """Note the intent's run, and in the outbox that the targets `tell` are to know; whether this call did."""
        values = {"key": intent.key, "id": run.id, "url": run.url, "started": stamp(run.created)}
        with self._journal.writing() as connection:
            changed = connection.execute(
                "UPDATE intents SET state = 'running', run_id = :id, url = :url, started = :started, error = ''"
                " WHERE key = :key AND state = 'starting'",
                values,
            ).rowcount
            if changed:
                self._tell(connection, intent, tell)
        self._due.pop(("start", intent.key), None)
        return changed == 1

    def due(self, every: float) -> list[Intent]:
        """The runs to look at now; each comes again after `every` seconds, one that is to be stopped at once, too."""
        with self._journal.reading() as connection:
            keys = [(row["stop"], row["key"]) for row in connection.execute(_RUNNING)]
            now = self._ticks()
            found = [key for key in keys if self._due.get(key, now) <= now][:_MOST_AT_ONCE]
            rows = connection.execute(_OF_KEYS, (json.dumps([key for _, key in found]),)).fetchall()
        self._due.update((key, now + every) for key in found)
        return [_intent(row) for row in rows]

    def looked(self, intent: Intent, run: Run | None) -> None:
        """Note what a look at the intent's run found: the run, perhaps an older one than was known, or nothing."""
        if run is None:
            self._change("UPDATE intents SET misses = misses + 1 WHERE key = :key", intent)
        elif run.id != intent.run_id or intent.misses:
            self._change(
                "UPDATE intents SET misses = 0, run_id = :id, url = :url WHERE key = :key AND state = 'running'",
                intent,
                id=run.id,
                url=run.url,
            )

    def ended(
        self,
        intent: Intent,
        state: str,
        error: str = "",
        *,
        at: datetime | None = None,
        facts: Facts = NOTHING,
        tell: Iterable[str] = (),
    ) -> bool:
        """Note how the intent ended, and in the outbox that the targets `tell` are to know; whether this call did.

        What `facts` leaves empty stays as it was; without `at` it ended now.
        """
        ending = {"key": intent.key, "state": state, "error": error, "ended": stamp(at or self._clock())}
        with self._journal.writing() as connection:
            changed = connection.execute(_END, {**_columns(facts), **ending}).rowcount
            if changed:
                self._tell(connection, intent, tell)
        self._forget(intent)
        return changed == 1

    def last_rows(self, model: str) -> int | None:
        """How many rows the data had for which the model's last run was started; None when nobody counted."""
        with self._journal.reading() as connection:
            row = connection.execute(
                "SELECT rows FROM intents WHERE model = ? AND started IS NOT NULL AND rows IS NOT NULL"
                " ORDER BY event DESC LIMIT 1",
                (model,),
            ).fetchone()
        return row["rows"] if row else None

    def _forget(self, intent: Intent) -> None:
        self._sent.pop(intent.key, None)
        for each in ("start", intent.stop, ""):
            self._due.pop((each, intent.key), None)

    def _later(self, what: str) -> list[str]:
        """The keys that are not due yet."""
        now = self._ticks()
        return [key for (each, key), due in self._due.items() if each == what and due > now]

    def _tell(self, connection: sqlite3.Connection, intent: Intent, targets: Iterable[str]) -> None:
        now = stamp(self._clock())
        connection.executemany(
            "INSERT OR IGNORE INTO outbox (key, target, created) VALUES (?, ?, ?)",
            [(intent.key, target, now) for target in targets],
        )

    def _change(self, statement: str, intent: Intent, **values: Any) -> bool:
        with self._journal.writing() as connection:
            return connection.execute(statement, {"key": intent.key, **values}).rowcount == 1


_STARTING = """
SELECT * FROM intents WHERE state = 'starting' AND key NOT IN (SELECT value FROM json_each(?)) ORDER BY event LIMIT 1
"""
_RUNNING = "SELECT key, stop FROM intents WHERE state = 'running' ORDER BY event"
_OF_KEYS = "SELECT * FROM intents WHERE key IN (SELECT value FROM json_each(?)) ORDER BY event"
_END = """
UPDATE intents SET state = :state, ended = :ended, error = :error,
    decision = coalesce(nullif(:decision, ''), decision),
    decision_reason = coalesce(nullif(:decision_reason, ''), decision_reason),
    version = coalesce(nullif(:version, ''), version),
    image = coalesce(nullif(:image, ''), image),
    commits = coalesce(nullif(:commits, '[]'), commits)
WHERE key = :key AND state IN ('starting', 'running')
"""


def _columns(facts: Facts) -> dict[str, str]:
    return {
        "decision": facts.decision,
        "decision_reason": facts.decision_reason,
        "version": facts.version,
        "image": facts.image,
        "commits": json.dumps(list(facts.commits)),
    }


def _first_with_room(connection: sqlite3.Connection, room: Mapping[str, int], later: str) -> sqlite3.Row | None:
    """The first that waits, of the models that may have one run more, without those of `later`."""
    first: sqlite3.Row | None = None
    for model, most in room.items():
        active = connection.execute(
            "SELECT count(*) FROM intents WHERE state IN ('starting', 'running') AND model = ?", (model,)
        ).fetchone()[0]
        if active >= most:
            continue
        row = connection.execute(
            "SELECT * FROM intents WHERE state = 'waiting' AND model = ?"
            " AND key NOT IN (SELECT value FROM json_each(?)) ORDER BY event LIMIT 1",
            (model, later),
        ).fetchone()
        if row and (first is None or row["event"] < first["event"]):
            first = row
    return first


def _intent(row: sqlite3.Row) -> Intent:
    return Intent(
        key=row["key"],
        model=row["model"],
        reason=row["reason"],
        name=row["name"],
        description=row["description"],
        arguments=json.loads(row["arguments"]),
        created=datetime.fromisoformat(row["created"]),
        run_id=row["run_id"],
        attempted=bool(row["attempted"]),
        tries=row["tries"],
        misses=row["misses"],
        stop=row["stop"],
        error=row["error"],
    )

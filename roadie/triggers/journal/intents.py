"""What the journal knows of intents on their way: who may create a run now, and what became of each.

An intent goes from waiting through starting and running to succeeded, failed or canceled, or it is held. Whoever
creates its run holds a lease on it; the lease runs out only when a create that was sent under it has taken effect or
never will (docs/decisions/triggers-exactly-once.md). Everything else may be done by any receiver, at any time, twice.
"""

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from roadie.runs import Run
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.rows import Facts, Intent
from roadie.triggers.times import after, moment, stamp, utc_now

NOTHING = Facts()
# As many runs as are looked at in one round.
_MOST_AT_ONCE = 100


class Intents:
    """The intents of a journal, as one receiver works on them.

    Args:
        journal: The journal.
        settle: Seconds after which a create that was sent has taken effect or never will.
        clock: The time, in UTC.
    """

    def __init__(self, journal: Journal, settle: float, clock: Callable[[], datetime] = utc_now) -> None:
        self._journal, self._clock = journal, clock
        self.settle = settle
        self._owner = uuid.uuid4().hex

    def claim(self, room: Mapping[str, int], again: float) -> Intent | None:
        """The next intent to start, if there is one; `room` says how many runs each model may have.

        First come those that somebody began to start and did not finish; they come again every `again` seconds.
        """
        with self._journal.writing() as connection:
            now = self._clock()
            row = connection.execute(
                "SELECT * FROM intents WHERE state = 'starting' AND next_look <= ? ORDER BY event LIMIT 1",
                (stamp(now),),
            ).fetchone() or _first_with_room(connection, room, stamp(now))
            if row is None:
                return None
            # One's own lease is as good as a new one, as long as no create was sent under it.
            own = row["owner"] == self._owner and not row["attempted"]
            leased = own or row["leased_until"] <= stamp(now)
            connection.execute(
                "UPDATE intents SET state = 'starting', next_look = ? WHERE key = ?", (after(now, again), row["key"])
            )
            if leased:
                connection.execute(
                    "UPDATE intents SET owner = ?, leased_until = ? WHERE key = ?",
                    (self._owner, after(now, self.settle), row["key"]),
                )
            return _intent(row, leased=leased)

    def renew(self, intent: Intent, seconds: float) -> bool:
        """Keep the lease for `seconds` from now on; False when it is lost."""
        return self._change(
            "UPDATE intents SET leased_until = :until WHERE key = :key AND state = 'starting' AND owner = :owner",
            intent,
            until=after(self._clock(), seconds),
            owner=self._owner,
        )

    def attempt(self, intent: Intent, rows: int | None) -> bool:
        """Note that a create is about to be sent; False when the lease is lost, or the run is to be stopped."""
        now = self._clock()
        return self._change(
            "UPDATE intents SET attempted = :now, leased_until = :until, tries = tries + 1, rows = :rows"
            " WHERE key = :key AND state = 'starting' AND owner = :owner AND stop = ''",
            intent,
            now=stamp(now),
            until=after(now, self.settle),
            owner=self._owner,
            rows=rows,
        )

    def postpone(self, intent: Intent, error: str, seconds: float) -> None:
        """Look at the intent again in `seconds`; whoever holds its lease and sent no create lets others go first."""
        self._change(
            "UPDATE intents SET error = :error, next_look = :next,"
            " state = CASE WHEN attempted = '' AND owner = :owner THEN 'waiting' ELSE state END,"
            " leased_until = CASE WHEN attempted = '' AND owner = :owner THEN '' ELSE leased_until END"
            " WHERE key = :key AND state = 'starting'",
            intent,
            error=error,
            next=after(self._clock(), seconds),
            owner=self._owner,
        )

    def hold(self, intent: Intent, code: str, why: str) -> bool:
        """Give the intent up before it started; whether it was this call that did."""
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
                "UPDATE intents SET state = 'running', run_id = :id, url = :url, started = :started, error = '',"
                " next_look = '' WHERE key = :key AND state = 'starting'",
                values,
            ).rowcount
            if changed:
                self._tell(connection, intent, tell)
        return changed == 1

    def due(self, every: float) -> list[Intent]:
        """The runs to look at now; each comes again after `every` seconds."""
        with self._journal.writing() as connection:
            now = self._clock()
            rows = connection.execute(
                "UPDATE intents SET next_look = ? WHERE key IN (SELECT key FROM intents WHERE state = 'running'"
                " AND next_look <= ? ORDER BY next_look LIMIT ?) RETURNING *",
                (after(now, every), stamp(now), _MOST_AT_ONCE),
            ).fetchall()
        return [_intent(row, leased=False) for row in rows]

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

    def _tell(self, connection: sqlite3.Connection, intent: Intent, targets: Iterable[str]) -> None:
        now = stamp(self._clock())
        connection.executemany(
            "INSERT OR IGNORE INTO outbox (key, target, created, next_try) VALUES (?, ?, ?, ?)",
            [(intent.key, target, now, now) for target in targets],
        )

    def _change(self, statement: str, intent: Intent, **values: Any) -> bool:
        with self._journal.writing() as connection:
            return connection.execute(statement, {"key": intent.key, **values}).rowcount == 1


_END = """
UPDATE intents SET state = :state, ended = :ended, error = :error, leased_until = '',
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


def _first_with_room(connection: sqlite3.Connection, room: Mapping[str, int], now: str) -> sqlite3.Row | None:
    """The first that waits, of the models that may have one run more."""
    first: sqlite3.Row | None = None
    for model, most in room.items():
        active = connection.execute(
            "SELECT count(*) FROM intents WHERE state IN ('starting', 'running') AND model = ?", (model,)
        ).fetchone()[0]
        if active >= most:
            continue
        row = connection.execute(
            "SELECT * FROM intents WHERE state = 'waiting' AND model = ? AND next_look <= ? ORDER BY event LIMIT 1",
            (model, now),
        ).fetchone()
        if row and (first is None or row["event"] < first["event"]):
            first = row
    return first


def _intent(row: sqlite3.Row, *, leased: bool) -> Intent:
    return Intent(
        key=row["key"],
        model=row["model"],
        reason=row["reason"],
        name=row["name"],
        description=row["description"],
        arguments=json.loads(row["arguments"]),
        run_id=row["run_id"],
        attempted=moment(row["attempted"]),
        tries=row["tries"],
        misses=row["misses"],
        stop=row["stop"],
        error=row["error"],
        leased=leased,
    )

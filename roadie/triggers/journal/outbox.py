"""What is still to be told to others: kept in the journal until they took it, so that nothing is lost on the way."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from roadie.triggers.journal.journal import Journal
from roadie.triggers.times import after, moment, stamp, utc_now

# Seconds within which a letter is delivered, or somebody else may try.
_LEASE = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 900.0
PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Letter:
    """Something to tell `target` about the intent `key`; `tries` counts this try, too."""

    id: int
    key: str
    target: str
    created: datetime
    tries: int


class Outbox:
    """The letters of a journal. Each is delivered at least once: twice when the receiver dies right after it."""

    def __init__(self, journal: Journal, clock: Callable[[], datetime] = utc_now) -> None:
        self._journal, self._clock = journal, clock

    def take(self) -> Letter | None:
        """The next letter to deliver now; None when there is none."""
        with self._journal.writing() as connection:
            now = self._clock()
            row = connection.execute(
                "UPDATE outbox SET next_try = ?, tries = tries + 1 WHERE id ="
                " (SELECT id FROM outbox WHERE next_try <= ? ORDER BY next_try LIMIT 1) RETURNING *",
                (after(now, _LEASE), stamp(now)),
            ).fetchone()
        created = moment(row["created"]) if row else None
        return Letter(row["id"], row["key"], row["target"], created, row["tries"]) if created else None

    def done(self, letter: Letter) -> None:
        """The letter was delivered, or never will be."""
        with self._journal.writing() as connection:
            connection.execute("DELETE FROM outbox WHERE id = ?", (letter.id,))

    def postpone(self, letter: Letter) -> bool:
        """Try again later; False when that has been tried for a day, and the letter is given up."""
        now = self._clock()
        if now - letter.created >= PATIENCE:
            self.done(letter)
            return False
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(letter.tries - 1, 20))
        with self._journal.writing() as connection:
            connection.execute("UPDATE outbox SET next_try = ? WHERE id = ?", (after(now, pause), letter.id))
        return True

"""What is still to be told to others: kept in the journal until they took it, so that nothing is lost on the way."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from roadie.triggers.journal.journal import Journal

_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 900.0
# Pauses of a day in all.
MOST_TRIES = 104


@dataclass(frozen=True)
class Letter:
    """Something to tell `target` about the intent `key`; `tries` counts this try, too."""

    id: int
    key: str
    target: str
    created: datetime
    tries: int


class Outbox:
    """The letters of a journal. Each is delivered at least once: twice when the receiver dies right after it.

    Args:
        journal: The journal.
        ticks: Seconds that pass evenly; a clock that is set back must not hold a letter up.
    """

    def __init__(self, journal: Journal, ticks: Callable[[], float] = time.monotonic) -> None:
        self._journal, self._ticks = journal, ticks
        self._due: dict[int, float] = {}

    def take(self) -> Letter | None:
        """The next letter to deliver now; None when there is none."""
        now = self._ticks()
        later = json.dumps([number for number, due in self._due.items() if due > now])
        with self._journal.writing() as connection:
            row = connection.execute(
                "UPDATE outbox SET tries = tries + 1 WHERE id = (SELECT id FROM outbox"
                " WHERE id NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT 1) RETURNING *",
                (later,),
            ).fetchone()
        if row is None:
            return None
        # One whose delivery ends in an error that nobody thought of must not keep the others from their turn.
        self._due[row["id"]] = now + _LONGEST_PAUSE
        return Letter(row["id"], row["key"], row["target"], datetime.fromisoformat(row["created"]), row["tries"])

    def done(self, letter: Letter) -> None:
        """The letter was delivered, or never will be."""
        with self._journal.writing() as connection:
            connection.execute("DELETE FROM outbox WHERE id = ?", (letter.id,))
        self._due.pop(letter.id, None)

    def postpone(self, letter: Letter) -> bool:
        """Try again later; False when that has been tried for a day, and the letter is given up."""
        if letter.tries >= MOST_TRIES:
            self.done(letter)
            return False
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(letter.tries - 1, 20))
        self._due[letter.id] = self._ticks() + pause
        return True

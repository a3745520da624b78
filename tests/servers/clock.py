"""A clock that runs only while somebody waits, so that minutes cost nothing."""

import threading
from collections.abc import Callable

from roadie.modelcar.access import Clock


class HandClock(Clock):
    """Seconds since it was made; `at` has things that happen once that many have passed."""

    def __init__(self, at: dict[float, Callable[[], None]] | None = None) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []
        self._at = dict(at or {})
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since it was made."""
        return self.seconds

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Let that time pass at once."""
        with self._lock:
            self.seconds += seconds
            self.waits.append(seconds)
            for moment in sorted(self._at):
                if moment <= self.seconds:
                    self._at.pop(moment)()
        return stop.is_set()

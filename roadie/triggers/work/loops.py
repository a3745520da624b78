"""Threads that do one thing again and again, and go on whatever happens."""

import logging
import threading
from collections.abc import Callable

from roadie.errors import RoadieError

_log = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0


class Loop:
    """Calls `step` until it is stopped; each call says after how many seconds the next one is due.

    A step that raises is logged, and called again after a pause that grows as long as it raises.
    """

    def __init__(self, name: str, step: Callable[[], float]) -> None:
        self._name, self._step = name, step
        self._woken, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it goes on."""
        return self._thread.is_alive() and not self._stopped.is_set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Make the next call now."""
        self._woken.set()

    def stop(self) -> None:
        """Make no further call; :meth:`join` waits for the one that goes on."""
        self._stopped.set()
        self._woken.set()

    def join(self, seconds: float) -> None:
        """Wait until it has ended, for `seconds` at the most."""
        self._thread.join(seconds)

    def _work(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                pause, failures = self._step(), 0
            except Exception as error:  # noqa: BLE001 - nobody is there to start the thread again
                failures += 1
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - 1, 10))
                fields = {"thread": self._name, "again_in_s": pause, "why": error}
                _log.error("thread goes on after an error", extra={"fields": fields}, exc_info=_unexpected(error))
            if not self._stopped.is_set():
                self._woken.wait(pause)


def _unexpected(error: Exception) -> Exception | None:
    """The error, where its sentence is not enough to understand it."""
    return None if isinstance(error, RoadieError) else error

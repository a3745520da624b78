"""Trying again: which failures may pass by themselves, and how long to wait for them."""

import threading
from collections.abc import Callable
from typing import TypeVar

from roadie.errors import RegistryError
from roadie.modelcar.access import Answer, Clock
from roadie.modelcar.words import Words

T = TypeVar("T")

_FIRST_DELAY = 0.1
_FACTOR = 2.0
_LONGEST_DELAY = 15.0
# However long a try takes, one failure is not the end. A server that has never answered is most likely a wrong one.
_LEAST_TRIES = 3
BRIEF, _BROKEN = 15.0, 120.0
# Waiting is told about when it takes longer than this.
_SILENT = 5.0


class RefusedError(RegistryError):
    """The registry answered, but not what was asked for."""

    def __init__(self, message: str, answer: Answer, words: Words | None = None) -> None:
        super().__init__(message)
        self.status, self.code = answer.status, words.code if words else ""
        # 500 is more often a broken registry than one that is away.
        self.most = _BROKEN if answer.status == 500 else float("inf")  # noqa: PLR2004
        # Distribution may read a manifest back that another push is just writing, and find half of it.
        self.retryable = is_passing(answer.status) or self.code == "DIGEST_INVALID"
        self.retry_after = retry_after(answer)


class CancelledError(RegistryError):
    """The push was given up, by Ctrl-C or because another layer failed."""


def is_passing(status: int) -> bool:
    """Whether a status tells of a server that is busy, away or limits requests, and not of what was asked."""
    return status in {408, 425, 429} or (500 <= status < 600 and status not in {501, 505})  # noqa: PLR2004


def is_hidden(error: RegistryError) -> bool:
    """Whether it is 401 or 403: what many registries say, instead of 404, of a repository that is not there yet."""
    return getattr(error, "status", 0) in {401, 403}


def retry_after(answer: Answer) -> float:
    """The seconds that a server asks to be left alone (RFC 9110, 10.2.3: seconds or a date); 0 when it says nothing."""
    value = answer.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    from email.utils import parsedate_to_datetime
    from time import time

    try:
        then = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return 0.0
    try:  # by the server's own clock where it tells the time
        now = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        now = time()
    return max(0.0, then - now)


class Patience:
    """For one thing that is tried until it works: `seconds` may pass from its first failure, or the last progress.

    Waits double up to 15 s, with jitter, so that many workers do not come back all at once.
    """

    def __init__(self, seconds: float, clock: Clock, stop: threading.Event) -> None:
        self._seconds, self._clock, self._stop = seconds, clock, stop
        self.progress()

    def progress(self) -> None:
        """Something went on: what failed before no longer counts."""
        self._since, self._tries, self._told = -1.0, 0, False

    def wait(self, error: RegistryError) -> None:
        """Wait before another try, at least as long as Retry-After says; raises `error` when there is no point."""
        if not getattr(error, "retryable", False):
            raise error
        import random  # here, since most pushes never wait

        now = self._clock.now()
        self._since = now if self._since < 0 else self._since
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * _FACTOR ** min(self._tries, 30))
        delay *= random.uniform(0.8, 1.2)  # noqa: S311 - no secret hangs on it
        wanted = float(getattr(error, "retry_after", 0.0))
        if wanted > self._seconds:
            raise _told_to_wait(error, wanted) from error
        self._tries += 1
        most = min(self._seconds, getattr(error, "most", self._seconds))
        left = max(0.0, most - (now - self._since))
        if max(delay, wanted) > left and (self._tries > _LEAST_TRIES or wanted > left):
            raise error
        self._tell(error, now + max(delay, wanted) - self._since, left)
        if self._clock.wait(max(delay, wanted), self._stop):
            raise CancelledError("The push was given up.") from error

    def _tell(self, error: RegistryError, waited: float, left: float) -> None:
        if waited > _SILENT and not self._told:
            import logging

            logging.getLogger("roadie.modelcar").warning("%s Trying again for up to %.0f s.", error, left)
            self._told = True


def _told_to_wait(error: RegistryError, seconds: float) -> RegistryError:
    return RegistryError(f"{str(error).rstrip('.')}; it asks to be left alone for {seconds:.0f} s: try again then.")


def retrying(call: Callable[[], T], patience: Patience) -> T:
    """Call until it succeeds, fails for good, or `patience` is at an end; never around something that does the same."""
    while True:
        try:
            return call()
        except RegistryError as error:
            patience.wait(error)

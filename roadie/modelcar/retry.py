"""Trying again: which failures may pass by themselves, and how long to wait for them."""

import threading
from collections.abc import Callable
from typing import TypeVar

from roadie.errors import RegistryError
from roadie.modelcar.access import Answer

T = TypeVar("T")

ATTEMPTS = 6
_FIRST_DELAY = 0.1
_FACTOR = 3.0
# A registry that asks for more patience than this (seconds) is better asked again by a person.
_LONGEST_DELAY = 120.0
_PASSING = {408, 429, 500, 502, 503, 504}


class RefusedError(RegistryError):
    """The registry answered, but not what was asked for."""

    def __init__(self, message: str, answer: Answer, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = answer.status, code
        # Distribution may read a manifest back that another push is just writing, and find half of it.
        self.retryable = answer.status in _PASSING or code == "DIGEST_INVALID"
        # A date instead of seconds (RFC 9110, 10.2.3) is rare enough to be treated as absent.
        after = answer.headers.get("retry-after", "")
        self.retry_after = float(after) if after.isdigit() else 0.0


class CancelledError(RegistryError):
    """The push was given up, by Ctrl-C or because another layer failed."""


def retrying(call: Callable[[], T], stop: threading.Event) -> T:
    """Call until it succeeds, fails for good, or has failed six times (after some 12 s of waiting in all)."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return call()
        except RegistryError as error:
            wait_before(attempt, error, stop)
    return call()


def wait_before(attempt: int, error: RegistryError, stop: threading.Event) -> None:
    """Wait before the try after `attempt`, at least as long as Retry-After says; raises `error` when there is no point.

    The waits grow threefold, with jitter, so that many workers do not come back all at once.
    """
    if attempt >= ATTEMPTS - 1 or not getattr(error, "retryable", False):
        raise error
    import random  # here, since most pushes never wait

    delay = _FIRST_DELAY * _FACTOR**attempt * random.uniform(0.8, 1.2)  # noqa: S311 - no secret hangs on it
    delay = max(delay, getattr(error, "retry_after", 0.0))
    if delay > _LONGEST_DELAY:
        raise error
    if stop.wait(delay):
        raise CancelledError("The push was given up.") from error

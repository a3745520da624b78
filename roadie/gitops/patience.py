"""How long to wait for a server that is away, or for a turn among many who push: minutes in all, not tries."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

# A server that is restarted or a network that is mended should cost a run some waiting, and not its training.
PATIENCE = 600.0
# Where a person waits for the answer, or there is a next time anyway.
SHORT = 20.0
_LONGEST, _LEAST = 30.0, 0.001


@dataclass(frozen=True)
class Clock:
    """What tells the seconds and lets them pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


CLOCK = Clock()


class Patience:
    """`budget` seconds from now, shared by all that an operation waits for; so no wait multiplies another."""

    def __init__(self, budget: float = PATIENCE, clock: Clock = CLOCK) -> None:
        self.budget, self._clock = budget, clock
        self._end = clock.now() + budget

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._end - self._clock.now())

    def now(self) -> float:
        """The clock's seconds."""
        return self._clock.now()

    def wait(self, number: int, at_least: float = 0.0) -> bool:
        """Wait before another try after the `number`-th (from 0) found nobody; False when time is up."""
        return self._sleep(max(at_least, random.uniform(0.5, 1.0) * min(2.0**number, _LONGEST)))  # noqa: S311 - jitter

    def take_turns(self, number: int, took: float) -> bool:
        """Wait after a lost race, at random and for longer the longer a try takes, so that many who race spread out."""
        return self._sleep(random.uniform(0, min(max(took, 0.1), 2.0) * min(2 ** (number + 1), 16)))  # noqa: S311 - jitter

    def _sleep(self, seconds: float) -> bool:
        left = self.left
        # Less than a clock can be asked to let pass is nothing.
        if left < _LEAST:
            return False
        self._clock.sleep(min(seconds, left))
        return True

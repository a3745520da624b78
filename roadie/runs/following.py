"""Follow a run on a cluster to its end."""

import time
from collections.abc import Callable, Sequence

from roadie.errors import RunError
from roadie.runs.cluster import Cluster
from roadie.runs.engine import ENDED, Run
from roadie.runs.outcome import StepRun
from roadie.runs.tasks import news

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between two looks: soon at first, for what fails at once
PATIENCE = 600.0  # seconds for which the service may be away
DOUBT = 90.0  # seconds for which a pod may not begin before it is said why


def follow(
    cluster: Cluster,
    run_id: str,
    listener: Callable[[StepRun], None] = lambda _step: None,
    worry: Callable[[RunError], None] = lambda _error: None,
    *,
    patience: float = PATIENCE,
    doubt: float = DOUBT,
) -> tuple[Run | None, Sequence[StepRun]]:
    """Wait until a run has ended.

    Args:
        cluster: Where it runs.
        run_id: Its id.
        listener: Called with each step as it starts (state ``running``) and ends.
        worry: Called when the service begins to refuse or be silent, and when pods do not begin. All may be well in a
            while, so looking goes on.
        patience: Seconds for which the service may be away.
        doubt: Seconds for which pods may not begin.

    Returns:
        The run as it ended, and its steps; None for the run when the service does not know it any more.

    Raises:
        RunError: the service was away for longer than `patience`.
    """
    steps: Sequence[StepRun] = ()
    pause, away_since = FIRST_PAUSE, 0.0
    stuck = _Stuck(doubt)
    while True:
        try:
            watched = cluster.watch(run_id)
        except RunError as error:
            if not away_since:
                away_since = time.monotonic()
                worry(error)
            if time.monotonic() - away_since >= patience:
                raise
        else:
            away_since = 0.0
            if watched is None:
                return None, steps
            for step in news(steps, watched.steps):
                listener(step)
            steps = watched.steps
            if watched.run.state in ENDED:
                return watched.run, steps
            if stuck.since_long(watched.waiting):
                worry(RunError(f"no pod has begun for {stuck.seconds:.0f} s: {cluster.reasons.of_waiting(run_id)}"))
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


class _Stuck:
    """Tells once of each thing that a run waits for that it does so for `doubt` seconds."""

    def __init__(self, doubt: float) -> None:
        self._doubt, self._waiting, self._told = doubt, None, False  # type: tuple[float, tuple[str, ...] | None, bool]
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._since

    def since_long(self, waiting: tuple[str, ...] | None) -> bool:
        if waiting is None or waiting != self._waiting:
            self._waiting, self._told, self._since = waiting, False, time.monotonic()
        if waiting is None or self._told or self.seconds < self._doubt:
            return False
        self._told = True
        return True

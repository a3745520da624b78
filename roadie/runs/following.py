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


def follow(
    cluster: Cluster,
    run_id: str,
    listener: Callable[[StepRun], None] = lambda _step: None,
    worry: Callable[[RunError], None] = lambda _error: None,
    *,
    patience: float = PATIENCE,
) -> tuple[Run | None, Sequence[StepRun]]:
    """Wait until a run has ended.

    Args:
        cluster: Where it runs.
        run_id: Its id.
        listener: Called with each step as it starts (state ``running``) and ends.
        worry: Called when the service begins to refuse or be silent. It may be back in a while, so looking goes on.
        patience: Seconds for which that may last.

    Returns:
        The run as it ended, and its steps; None for the run when the service does not know it any more.

    Raises:
        RunError: the service was away for longer than `patience`.
    """
    steps: Sequence[StepRun] = ()
    pause, away_since = FIRST_PAUSE, 0.0
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
            run, now = watched
            for step in news(steps, now):
                listener(step)
            steps = now
            if run.state in ENDED:
                return run, steps
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)

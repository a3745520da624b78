"""Runs whose Workflow is gone from the cluster: Kubeflow Pipelines shows them as going on for ever.

That happens when somebody deletes the Workflow, or a recurring run while a run of it goes on. Only three things tell it
through the service: it fails to end the run, the recurring run of a scheduled run is gone, or a run that is to end does
not move any more.
"""

import time
from collections.abc import Callable
from typing import Any

from roadie.runs.connection import Connection, ServiceError

STILL = 600.0  # seconds after which a run that is to end and that does not move has nothing left that could end it


class Orphans:
    """Knows them, as long as this process lives; safe to share."""

    def __init__(self, connection: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self._connection, self._clock = connection, clock
        self._known: set[str] = set()
        self._seen: dict[str, tuple[Any, float]] = {}

    def add(self, run_id: str) -> None:
        """Remember that the service could not find the run's Workflow."""
        self._known.add(run_id)

    def holds(self, run: Any) -> bool:
        """Whether a run (V2beta1Run) that the service shows as going on has lost its Workflow."""
        if (
            run.run_id in self._known
            or self._without_schedule(run.recurring_run_id)
            or (run.state == "CANCELING" and self._is_still(run))
        ):
            self._known.add(run.run_id)
        return run.run_id in self._known

    def _without_schedule(self, recurring_run_id: str | None) -> bool:
        if not recurring_run_id:
            return False
        get = self._connection.recurring_runs.recurring_run_service_get_recurring_run_with_http_info
        try:
            self._connection.ask("looking for the schedule of a run", get, recurring_run_id=recurring_run_id)
        except ServiceError as error:
            if error.unknown:
                return True
            raise
        return False

    def _is_still(self, run: Any) -> bool:
        details = (run.run_details.task_details if run.run_details else None) or ()
        shape = (len(run.state_history or ()), sorted((str(each.task_id), str(each.state)) for each in details))
        before, since = self._seen.get(run.run_id, (None, 0.0))
        if shape != before:
            self._seen[run.run_id] = (shape, self._clock())
            return False
        return self._clock() - since >= STILL

"""Runs on a cluster: an engine over the REST API of Kubeflow Pipelines (v2beta1)."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from roadie.errors import RunError, UsageError
from roadie.runs.connection import TIMEOUTS, Connection, ServiceError, Token
from roadie.runs.engine import ENDED, Run, RunRefusedError
from roadie.runs.orphans import Orphans
from roadie.runs.outcome import StepRun
from roadie.runs.pipeline import Pipeline
from roadie.runs.reasons import Reasons
from roadie.runs.step_image import StepImage
from roadie.runs.submission import require_real_places, shortened, specification
from roadie.runs.tasks import model_of, moment, state_of, steps_of, waiting

PAGE = 20  # runs asked for at a time; each comes with its whole pipeline
SCAN = 200  # of the last runs, those that are looked through for scheduled ones of a model

NEWEST = "created_at desc"
_GONE = "its Workflow is gone from the cluster, so that nothing will ever end it"


class Watched(NamedTuple):
    """A run, its steps that have begun, and what of it waits for its pod (:func:`roadie.runs.tasks.waiting`)."""

    run: Run
    steps: tuple[StepRun, ...]
    waiting: tuple[str, ...] | None


class Cluster:
    """Kubeflow Pipelines as an :class:`~roadie.runs.Engine`. Made without a word to the service; safe to share."""

    def __init__(
        self,
        endpoint: str = "",
        *,
        namespace: str = "",
        experiment: str = "Default",
        service_account: str = "",
        step_image: StepImage | None = None,
        token: Token | None = None,
        ca_file: Path | None = None,
        timeouts: tuple[float, float] = TIMEOUTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe where the service is.

        Args:
            endpoint: Its address; KF_PIPELINES_ENDPOINT when empty.
            namespace: Whose runs; needed where Kubeflow has profiles, without meaning where it has none.
            experiment: What new runs are grouped under; made when it is missing.
            service_account: What the pods of new runs run as; the service's own choice when empty.
            step_image: The image of new runs' steps; that of ROADIE_STEP_IMAGE when left out.
            token: Gives the bearer token, asked before each request; the service account's when left out.
            ca_file: The certificates (PEM) that the service's own is signed by; the public ones when left out.
            timeouts: Seconds to connect, and to wait for an answer.
            clock: Seconds, by which a run that does not move is told.

        Raises:
            UsageError: the endpoint or the CA file cannot be used.
        """
        self.connection = Connection(endpoint, token=token, ca_file=ca_file, timeouts=timeouts)
        self.namespace = namespace
        self.experiment = experiment
        self.service_account = service_account
        self.step_image = step_image or StepImage()
        self.reasons = Reasons(self.connection, namespace)
        self._orphans = Orphans(self.connection, clock)
        self._page = os.environ.get("KF_PIPELINES_UI_ENDPOINT", self.connection.endpoint).rstrip("/")

    def start(
        self, pipeline: Pipeline, name: str, arguments: Mapping[str, Any], *, description: str = "", cache: bool = True
    ) -> Run:
        """Create a run; see :meth:`roadie.runs.Engine.start`. It is sent once, and never again by itself."""
        models = self.connection.models
        try:
            require_real_places(pipeline, arguments)
            arguments = self.step_image.given_to(pipeline, arguments)
            body = models.V2beta1Run(
                display_name=name,
                description=shortened(description),
                experiment_id=self.experiment_id(),
                pipeline_spec=specification(pipeline, cache=cache),
                runtime_config=models.V2beta1RuntimeConfig(parameters=dict(arguments)),
                service_account=self.service_account or None,
            )
        except UsageError as error:
            raise RunRefusedError(str(error)) from None
        create = self.connection.runs.run_service_create_run_with_http_info
        try:
            made = self.connection.tell(f"creating the run {name}", create, run=body)
        except ServiceError as error:
            if error.refused:
                raise RunRefusedError(str(error)) from None
            raise
        return self._run(made)

    def find(self, name: str) -> list[Run]:
        """Every run with this very display name, the oldest first, whatever its experiment."""
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        found = map(self._told, self._list(f"looking for the run {name}", "created_at asc", predicate))
        # The name once more, and the order: a whole second may hold several runs.
        return sorted((run for run in found if run.name == name), key=lambda run: (run.created, run.id))

    def look(self, run_id: str) -> Run | None:
        """The run as it is now; None when the service itself says that it has no such run."""
        watched = self.watch(run_id)
        return watched.run if watched else None

    def watch(self, run_id: str) -> Watched | None:
        """The run as it is now, with those of its steps that have begun; None when the service has no such run."""
        found = self._get(run_id)
        if not found:
            return None
        run, steps = self._told(found), steps_of(found)
        if run.state == "failed":
            run = replace(run, error=self.reasons.of_failure(found, steps))
        return Watched(run, steps, None if run.state in ENDED else waiting(found))

    def stop(self, run_id: str) -> None:
        """End the run, if it goes on; its state becomes canceled in a while, after its last step has told it."""
        terminate = self.connection.runs.run_service_terminate_run_with_http_info
        try:
            self.connection.ask(f"ending the run {run_id}", terminate, run_id=run_id)
        except ServiceError as error:
            if error.orphaned:
                self._orphans.add(run_id)
                return
            # A run that has ended, or is about to, is one that the service does not find.
            if error.status not in {400, 404}:
                raise
            found = self._get(run_id)
            if found and found.state not in {"CANCELING", "CANCELED", "SUCCEEDED", "SKIPPED", "FAILED"}:
                raise

    def recent(self, limit: int, model: str = "") -> list[Run]:
        """The last `limit` runs, the newest first; of one model only those named ``<model>-...``, and its schedules'.

        A scheduled run is named after its schedule: of the last 200 runs, those count whose ``model_name`` it is.
        """
        if not model:
            return [self._told(run) for run in islice(self._list("listing the runs", NEWEST, None, limit), limit)]
        predicate = {"operation": "IS_SUBSTRING", "key": "display_name", "stringValue": f"{model}-"}
        listed = self._list("listing the runs", NEWEST, predicate, limit)
        named = islice((run for run in listed if str(run.display_name).startswith(f"{model}-")), limit)
        last = islice(self._list("listing the last runs", NEWEST, None), SCAN)
        scheduled = islice((run for run in last if run.recurring_run_id and model_of(run) == model), limit)
        found = {run.run_id: run for run in (*named, *scheduled)}
        runs = sorted(map(self._told, found.values()), key=lambda run: (run.created, run.id), reverse=True)
        return runs[:limit]

    def going_on(self, recurring_run_id: str, name: str, since: datetime) -> list[Run]:
        """The runs of a recurring run of this name, which was made at `since`, that have not ended."""
        listed = self._list(f"looking for runs of the schedule {name}", NEWEST, None)
        # However long ago a run began: one that is overlooked would be ended with its schedule.
        younger = takewhile(lambda run: (moment(run.created_at) or since) >= since, listed)
        mine = [run for run in younger if run.recurring_run_id == recurring_run_id]
        return [run for run in map(self._told, mine) if run.state not in ENDED]

    def url(self, kind: str, identity: str) -> str:
        """Where people look at a thing: KF_PIPELINES_UI_ENDPOINT, as kfp has it, or the endpoint itself."""
        return f"{self._page}/#/{kind}/details/{identity}"

    def whose(self) -> dict[str, str]:
        """The namespace, where there is one, as the list calls take it."""
        return {"namespace": self.namespace} if self.namespace else {}

    def experiment_id(self) -> str:
        """The id of the experiment, which is made when it is missing."""
        if found := self._find_experiment():
            return found
        body = self.connection.models.V2beta1Experiment(display_name=self.experiment, namespace=self.namespace or None)
        create = self.connection.experiments.experiment_service_create_experiment_with_http_info
        try:
            made = self.connection.tell(f"creating the experiment {self.experiment}", create, experiment=body)
            return str(made.experiment_id)
        except ServiceError as error:
            # Somebody else was faster, or the answer was lost.
            if error.status in {0, 409} and (found := self._find_experiment()):
                return found
            raise

    def _find_experiment(self) -> str:
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": self.experiment}
        found = self.connection.ask(
            f"looking for the experiment {self.experiment}",
            self.connection.experiments.experiment_service_list_experiments_with_http_info,
            filter=filter_of(predicate),
            **self.whose(),
        )
        exact = [each for each in found.experiments or [] if each.display_name == self.experiment]
        return str(exact[0].experiment_id) if exact else ""

    def _get(self, run_id: str) -> Any:
        """The run in the service's own words; None only when the service itself says that it has none."""
        get = self.connection.runs.run_service_get_run_with_http_info
        try:
            return self.connection.ask(f"looking at the run {run_id}", get, run_id=run_id)
        except ServiceError as error:
            if error.unknown:
                return None
            raise

    def _list(self, what: str, order: str, predicate: Mapping[str, str] | None, most: int = PAGE) -> Iterator[Any]:
        token = ""
        while True:
            answer = self.connection.ask(
                what,
                self.connection.runs.run_service_list_runs_with_http_info,
                sort_by=order,
                page_size=min(most, PAGE),
                page_token=token,
                **({"filter": filter_of(predicate)} if predicate else {}),
                **self.whose(),
            )
            yield from answer.runs or []
            token = answer.next_page_token
            if not token:
                return

    def _run(self, run: Any) -> Run:
        if not getattr(run, "run_id", None):
            raise RunError(
                f"what answers at {self.connection.endpoint} does not tell of runs as Kubeflow Pipelines does: "
                "check the endpoint"
            )
        state = state_of(run)
        failed = next((step.name for step in steps_of(run) if step.state == "failed"), "") if state == "failed" else ""
        return Run(
            id=run.run_id,
            name=run.display_name or "",
            state=state,
            created=moment(run.created_at) or datetime.now(UTC),
            ended=moment(run.finished_at) if state in ENDED else None,
            error=f"the step {failed} failed" if failed else "",
            url=self.url("runs", run.run_id),
        )

    def _told(self, run: Any) -> Run:
        """A run that may have lost its Workflow."""
        told = self._run(run)
        if told.state not in ENDED and self._orphans.holds(run):
            return replace(told, state="canceled", ended=datetime.now(UTC), error=_GONE)
        return told


def filter_of(predicate: Mapping[str, str]) -> str:
    """The ``filter`` of a list call (filter.proto); URL-encoded, for the service decodes once more than HTTP does."""
    return quote(json.dumps({"predicates": [predicate]}))

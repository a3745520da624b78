"""Runs on a cluster: an engine over the REST API of Kubeflow Pipelines (v2beta1)."""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from roadie.errors import RunError, UsageError
from roadie.runs.connection import REFUSALS, TIMEOUTS, Connection, ServiceError, Token
from roadie.runs.engine import ENDED, Run, RunRefusedError
from roadie.runs.outcome import StepRun
from roadie.runs.pipeline import Pipeline
from roadie.runs.submission import require_real_places, shortened, specification
from roadie.runs.tasks import moment, steps_of, why_failed

PAGE = 50  # runs asked for at a time; each comes with its whole pipeline

_STATES = {
    "RUNNING": "running",
    "PAUSED": "running",
    "CANCELING": "running",
    "SUCCEEDED": "succeeded",
    "SKIPPED": "succeeded",
    "FAILED": "failed",
    "CANCELED": "canceled",
}


class Cluster:
    """Kubeflow Pipelines as an :class:`~roadie.runs.Engine`. Made without a word to the service; safe to share."""

    def __init__(
        self,
        endpoint: str = "",
        *,
        namespace: str = "",
        experiment: str = "Default",
        service_account: str = "",
        token: Token | None = None,
        ca_file: Path | None = None,
        timeouts: tuple[float, float] = TIMEOUTS,
    ) -> None:
        """Describe where the service is.

        Args:
            endpoint: Its address; KF_PIPELINES_ENDPOINT when empty.
            namespace: Whose runs; needed where Kubeflow has profiles, without meaning where it has none.
            experiment: What new runs are grouped under; made when it is missing.
            service_account: What the pods of new runs run as; the service's own choice when empty.
            token: Gives the bearer token, asked before each request; the service account's when left out.
            ca_file: The certificates (PEM) that the service's own is signed by; the public ones when left out.
            timeouts: Seconds to connect, and to wait for an answer.

        Raises:
            UsageError: the endpoint or the CA file cannot be used.
        """
        self.connection = Connection(endpoint, token=token, ca_file=ca_file, timeouts=timeouts)
        self.namespace = namespace
        self.experiment = experiment
        self.service_account = service_account
        self._page = os.environ.get("KF_PIPELINES_UI_ENDPOINT", self.connection.endpoint).rstrip("/")

    def start(
        self, pipeline: Pipeline, name: str, arguments: Mapping[str, Any], *, description: str = "", cache: bool = True
    ) -> Run:
        """Create a run; see :meth:`roadie.runs.Engine.start`. It is sent once, and never again by itself."""
        models = self.connection.models
        try:
            require_real_places(pipeline, arguments)
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
            if error.status in REFUSALS:
                raise RunRefusedError(str(error)) from None
            raise
        return self._run(made)

    def find(self, name: str) -> list[Run]:
        """Every run with this very display name, the oldest first, whatever its experiment."""
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        found = self._list(f"looking for the run {name}", "created_at asc", predicate)
        # The name once more, and the order: a whole second may hold several runs.
        return sorted((run for run in found if run.name == name), key=lambda run: (run.created, run.id))

    def look(self, run_id: str) -> Run | None:
        """The run as it is now; None when the service itself says that it has no such run."""
        watched = self.watch(run_id)
        return watched[0] if watched else None

    def watch(self, run_id: str) -> tuple[Run, tuple[StepRun, ...]] | None:
        """The run as it is now, with those of its steps that have begun; None when the service has no such run."""
        found = self._get(run_id)
        return (self._run(found), steps_of(found)) if found else None

    def stop(self, run_id: str) -> None:
        """End the run, if it goes on; its state becomes canceled in a while."""
        terminate = self.connection.runs.run_service_terminate_run_with_http_info
        try:
            self.connection.ask(f"ending the run {run_id}", terminate, run_id=run_id)
        except ServiceError as error:
            # A run that has ended, or is about to, is one that the service does not find.
            if error.status not in {400, 404}:
                raise
            found = self._get(run_id)
            if found and found.state not in {"CANCELING", "CANCELED", "SUCCEEDED", "SKIPPED", "FAILED"}:
                raise

    def recent(self, limit: int, model: str = "") -> list[Run]:
        """The last `limit` runs, the newest first; of one model only those that are named ``<model>-...``."""
        predicate = {"operation": "IS_SUBSTRING", "key": "display_name", "stringValue": f"{model}-"} if model else None
        runs: list[Run] = []
        for run in self._list("listing the runs", "created_at desc", predicate, page=min(limit, PAGE)):
            if not model or run.name.startswith(f"{model}-"):
                runs.append(run)
            if len(runs) >= limit:
                break
        return runs

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

    def _list(self, what: str, order: str, predicate: Mapping[str, str] | None, page: int = PAGE) -> Iterator[Run]:
        token = ""
        while True:
            answer = self.connection.ask(
                what,
                self.connection.runs.run_service_list_runs_with_http_info,
                sort_by=order,
                page_size=page,
                page_token=token,
                **({"filter": filter_of(predicate)} if predicate else {}),
                **self.whose(),
            )
            for run in answer.runs or []:
                yield self._run(run)
            token = answer.next_page_token
            if not token:
                return

    def _run(self, run: Any) -> Run:
        if not getattr(run, "run_id", None):
            raise RunError(
                f"what answers at {self.connection.endpoint} does not tell of runs as Kubeflow Pipelines does: "
                "check the endpoint"
            )
        state = _STATES.get(run.state, "pending")
        return Run(
            id=run.run_id,
            name=run.display_name or "",
            state=state,
            created=moment(run.created_at) or datetime.now(UTC),
            ended=moment(run.finished_at) if state in ENDED else None,
            error=why_failed(run, steps_of(run)) if state == "failed" else "",
            url=self.url("runs", run.run_id),
        )


def filter_of(predicate: Mapping[str, str]) -> str:
    """The ``filter`` of a list call (filter.proto); URL-encoded, for the service decodes once more than HTTP does."""
    return quote(json.dumps({"predicates": [predicate]}))

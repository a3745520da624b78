"""What the double of the KFP API keeps and can be ordered to do; kfp_api.py serves it, kfp_answers.py answers.

What trips clients up is kept as it was recorded: display names are not unique, times have whole seconds, a run that
goes on has the ``finished_at`` 1970-01-01, a filter is decoded twice, a run that was ended becomes FAILED and never
CANCELED, its tasks tell no error, and a recurring run that is deleted takes the Workflows of its runs along.
"""

import json
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.servers import kfp_answers
from tests.servers.kfp_documents import NEVER, Answer, Json, entries, failure, pod_of, stamp, task

__all__ = ["Answer", "Fault", "Json", "KfpApi", "failure", "task"]
ENDED = kfp_answers.ENDED


@dataclass
class Fault:
    """What goes wrong, with which requests, and how often.

    Attributes:
        do: ``lose`` does the work and drops the connection, ``drop`` drops it at once, ``refuse`` answers 503, ``slow``
            does the work and answers after `seconds`, ``garble`` answers a web page.
        method: Only requests with this method; empty: all.
        path: Only requests whose path contains this.
        times: How many requests are hit; None: all from now on.
        seconds: For ``slow``.
        chance: The probability that a request that fits is hit.
    """

    do: str
    method: str = ""
    path: str = ""
    times: int | None = 1
    seconds: float = 0.0
    chance: float = 1.0


@dataclass
class KfpApi:
    """The service's whole state, and what a test may order.

    `seconds_pending` and `seconds_running` move runs on by themselves; None leaves that to :meth:`order`. `ghosts` are
    runs whose Workflow is gone, `logs` what each pod wrote.
    """

    url: str = ""
    token: str = ""
    multi_user: bool = False
    seconds_pending: float | None = None
    seconds_running: float | None = None
    seconds_canceling: float | None = 0.0
    retry_node: str = ""
    runs: dict[str, Json] = field(default_factory=dict)
    experiments: dict[str, Json] = field(default_factory=dict)
    recurring: dict[str, Json] = field(default_factory=dict)
    pipelines: dict[str, Json] = field(default_factory=dict)
    born: dict[str, float] = field(default_factory=dict)
    canceled_at: dict[str, float] = field(default_factory=dict)
    ghosts: set[str] = field(default_factory=set)
    logs: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    file: Path | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.ghosts = set(self.ghosts)
        # The service makes this one itself when it starts, unless every namespace is to have its own.
        if not self.experiments and not self.multi_user:
            about = "All runs created without specifying an experiment will be grouped here."
            kfp_answers.create_experiment(self, {"display_name": "Default", "description": about})

    # What a test orders

    def order(self, run_id: str, state: str, tasks: list[Json] | None = None) -> None:
        """Put a run into `state` ("" for the moment in which it has none), its steps (:func:`task`) into theirs."""
        with self.lock:
            run = self.runs[run_id]
            self.enter(run, state)
            if tasks is not None:
                workflow = self.workflow_of(run)
                run["run_details"] = {"task_details": entries(workflow, state, tasks)}
                self.logs |= {pod_of(workflow, each["name"]): each["log"] for each in tasks if each["log"]}
            self.save()

    def forget(self, run_id: str) -> None:
        """Lose a run, as when somebody deletes it."""
        with self.lock:
            del self.runs[run_id]
            self.save()

    def lose_workflow(self, run_id: str) -> None:
        """Let Argo's Workflow be gone, as when somebody deletes it with kubectl: nothing ever moves the run again."""
        with self.lock:
            self.ghosts.add(run_id)
            self.save()

    def fire(self, recurring_run_id: str, number: int = 1) -> Json:
        """Let a recurring run start a run now."""
        with self.lock:
            recurring = self.recurring[recurring_run_id]
            name = f"{recurring['display_name'].lower()[:25]}wn5s2-{number}-2873415915"
            now = stamp(time.time())
            run = {key: recurring[key] for key in ("experiment_id", "pipeline_spec", "runtime_config")}
            run |= {"run_id": f"{recurring_run_id[:-4]}{number:04}", "display_name": name, "created_at": now}
            run |= {"storage_state": "AVAILABLE", "scheduled_at": now, "recurring_run_id": recurring_run_id}
            self.add_run(run)
            run["state_history"].clear()
            self.enter(run, "RUNNING")
            self.save()
            return run

    def fault(self, do: str, **what: Any) -> None:
        """Let a :class:`Fault` happen."""
        with self.lock:
            self.faults.append(Fault(do, **what))

    def set(self, **settings: Any) -> None:
        """Change the token or the seconds."""
        with self.lock:
            for name, value in settings.items():
                setattr(self, name, value)
            self.save()

    def named(self, name: str) -> list[Json]:
        """The runs with this display name."""
        with self.lock:
            return [run for run in self.runs.values() if run["display_name"] == name]

    # What survives

    def to_dict(self) -> Json:
        """All that :meth:`save` keeps."""
        kept = ("token", "seconds_pending", "seconds_running", "runs", "experiments", "recurring", "born", "logs")
        return {**{name: getattr(self, name) for name in kept}, "ghosts": sorted(self.ghosts)}

    def save(self) -> None:
        """Write everything to the file, if there is one; whole or not at all."""
        if self.file:
            partial = self.file.with_suffix(".partial")
            partial.write_text(json.dumps(self.to_dict()))
            partial.replace(self.file)

    # What the answers are made from

    def answer(self, method: str, path: str, query: dict[str, str], content: bytes) -> Answer:
        """What the API answers; a text is no JSON."""
        with self.lock:
            for run in self.runs.values():
                self._move_on(run)
            return kfp_answers.answer(self, method, path, query, content)

    def workflow_of(self, run: Json) -> str:
        """The name of the run's Workflow in Argo."""
        if run.get("recurring_run_id"):
            return str(run["display_name"])
        document = run.get("pipeline_spec") or {}
        spec = document.get("pipeline_spec", document)
        return f"{spec.get('pipelineInfo', {}).get('name', 'pipeline')}-{run['run_id'][:5]}"

    def add_run(self, run: Json) -> None:
        """Keep a new run, which is PENDING."""
        run["state_history"] = []
        self.runs[run["run_id"]] = run
        self.born[run["run_id"]] = time.time()
        self.enter(run, "PENDING")

    def enter(self, run: Json, state: str) -> None:
        """Let a run be in a state, as the persistence agent reports it."""
        now = stamp(time.time())
        run.pop("state", None)
        run |= {"state": state} if state else {}
        run["state_history"].append({"update_time": now, **({"state": state} if state else {})})
        run["finished_at"] = now if state in ENDED else NEVER

    def belongs(self, thing: Json, query: dict[str, str]) -> bool:
        """Whether a thing is of the experiment or namespace asked for; in single-user mode no namespace counts."""
        if query.get("experiment_id"):
            return bool(thing["experiment_id"] == query["experiment_id"])
        if not self.multi_user:
            return True
        experiment = self.experiments.get(thing["experiment_id"], {})
        return bool(experiment.get("namespace", "") == query.get("namespace", ""))

    def _move_on(self, run: Json) -> None:
        """What time alone does to a run whose Workflow is there."""
        key, state, now = run["run_id"], run.get("state"), time.time()
        if key in self.ghosts:
            return
        if state == "CANCELING":
            if run["state_history"][-1].get("state") != "CANCELING":
                run["state_history"].append({"update_time": stamp(now), "state": "CANCELING"})
            if self.seconds_canceling is not None and now >= self.canceled_at.get(key, 0.0) + self.seconds_canceling:
                self.enter(run, "FAILED")
            return
        born = self.born.get(key) or datetime.fromisoformat(run["created_at"]).timestamp()
        if state == "PENDING" and self.seconds_pending is not None and now >= born + self.seconds_pending:
            self.enter(run, "RUNNING")
        ends = born + (self.seconds_pending or 0.0) + (self.seconds_running or 0.0)
        if run.get("state") == "RUNNING" and self.seconds_running is not None and now >= ends:
            self.enter(run, "SUCCEEDED")

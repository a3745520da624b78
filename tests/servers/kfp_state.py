"""What the double of the KFP API keeps, answers and can be ordered to do; kfp_api.py serves it.

What trips clients up is kept: display names are not unique, times have whole seconds, a run that goes on has the
``finished_at`` 1970-01-01, a filter is decoded twice, ending an ended run is a 400, and :terminate only begins the end.
"""

import base64
import json
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

Json = dict[str, Any]
Answer = tuple[int, Json]
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 503: 14}
ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
NEVER = "1970-01-01T00:00:00Z"
CRON = re.compile(r"\S+( \S+){5}")


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

    `seconds_pending` and `seconds_running` move runs on by themselves; None leaves that to :meth:`order`.
    """

    url: str = ""
    token: str = ""
    multi_user: bool = False
    seconds_pending: float | None = None
    seconds_running: float | None = None
    seconds_canceling: float | None = 0.0
    runs: dict[str, Json] = field(default_factory=dict)
    experiments: dict[str, Json] = field(default_factory=dict)
    recurring: dict[str, Json] = field(default_factory=dict)
    born: dict[str, float] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    file: Path | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        # The service makes this one itself when it starts, unless every namespace is to have its own.
        if not self.experiments and not self.multi_user:
            self._create_experiment({"display_name": "Default"})

    # What a test orders

    def order(self, run_id: str, state: str, error: str = "", tasks: list[Json] | None = None) -> None:
        """Put a run into `state`, with the service's own `error` and the details of its tasks (:func:`task`)."""
        with self.lock:
            run = self.runs[run_id]
            self._enter(run, state, time.time())
            if error:
                run["error"] = {"code": 13, "message": error}
            if tasks is not None:
                run["run_details"] = {"task_details": tasks}
            self.save()

    def forget(self, run_id: str) -> None:
        """Lose a run, as when somebody deletes it."""
        with self.lock:
            del self.runs[run_id]
            self.save()

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
        kept = ("token", "seconds_pending", "seconds_running", "runs", "experiments", "recurring", "born")
        return {name: getattr(self, name) for name in kept}

    def save(self) -> None:
        """Write everything to the file, if there is one; whole or not at all."""
        if self.file:
            partial = self.file.with_suffix(".partial")
            partial.write_text(json.dumps(self.to_dict()))
            partial.replace(self.file)

    # The API

    def answer(self, method: str, path: str, query: dict[str, str], body: Json) -> Answer:
        """What the API answers."""
        with self.lock:
            for run in self.runs.values():
                self._move_on(run)
            found = re.fullmatch(r"/apis/v2beta1/(\w+)(?:/([\w-]+))?(?::(\w+))?", path)
            routes: dict[str, Callable[..., Answer]] = {
                "runs": self._runs,
                "recurringruns": self._recurring,
                "experiments": self._experiments,
            }
            if path == "/apis/v2beta1/healthz":
                return 200, {"multi_user": self.multi_user, "pipeline_store": "database"}
            if not found or found[1] not in routes:
                return failure(404, "Not Found")
            answer = routes[found[1]](method, found[2] or "", found[3] or "", query, body)
            if method != "GET":
                self.save()
            return answer

    def _runs(self, method: str, key: str, verb: str, query: dict[str, str], body: Json) -> Answer:
        if not key:
            return self._create_run(body) if method == "POST" else self._list("runs", self.runs, query)
        if key not in self.runs:
            return failure(404, f"Failed to get a run: ResourceNotFoundError: Run {key} not found")
        run = self.runs[key]
        if method == "POST" and verb == "terminate":
            if run["state"] in ENDED:
                return failure(400, f"Failed to terminate run {key}. Row not found")
            self._enter(run, "CANCELING", time.time())
        elif method == "DELETE":
            del self.runs[key]
        return 200, run if method == "GET" else {}

    def _create_run(self, body: Json) -> Answer:
        if not body.get("display_name"):
            return failure(400, "The run name is empty. Please specify a valid name")
        if not body.get("pipeline_spec") and not body.get("pipeline_version_reference"):
            return failure(400, "Failed to fetch a template with an invalid pipeline spec manifest")
        if body.get("experiment_id") not in self.experiments:
            return failure(404, f"Failed to create a run: Experiment {body.get('experiment_id')} not found")
        now = time.time()
        run = {
            **body,
            "run_id": str(uuid.uuid4()),
            "storage_state": "AVAILABLE",
            "created_at": stamp(now),
            "scheduled_at": stamp(now),
            "finished_at": NEVER,
            "state": "PENDING",
            "state_history": [],
        }
        self.runs[run["run_id"]] = run
        self.born[run["run_id"]] = now
        self._enter(run, "PENDING", now)
        return 200, run

    def _recurring(self, method: str, key: str, verb: str, query: dict[str, str], body: Json) -> Answer:
        if not key:
            create = method == "POST"
            return self._create_recurring(body) if create else self._list("recurringRuns", self.recurring, query)
        if key not in self.recurring:
            return failure(404, f"Failed to fetch a recurring run: ResourceNotFoundError: Job {key} not found")
        recurring = self.recurring[key]
        match method, verb:
            case "GET", "":
                return 200, recurring
            case "DELETE", "":
                del self.recurring[key]
                return 200, {}
            case "POST", ("enable" | "disable"):
                recurring |= {"mode": verb.upper(), "status": f"{verb.upper()}D", "updated_at": stamp(time.time())}
                return 200, {}
        return failure(404, "Not Found")

    def _create_recurring(self, body: Json) -> Answer:
        cron = body.get("trigger", {}).get("cron_schedule", {}).get("cron", "")
        if not body.get("display_name"):
            return failure(400, "Recurring run name is empty. Please specify a valid name")
        if not CRON.fullmatch(cron):
            return failure(400, f"Schedule cron is not a supported format: {cron}")
        if body.get("experiment_id") not in self.experiments:
            return failure(404, f"Failed to create a recurring run: Experiment {body.get('experiment_id')} not found")
        now = stamp(time.time())
        mode = body.get("mode", "MODE_UNSPECIFIED")
        made = {"recurring_run_id": str(uuid.uuid4()), "created_at": now, "updated_at": now}
        recurring = {**body, **made, "mode": mode, "status": "ENABLED" if mode == "ENABLE" else "DISABLED"}
        self.recurring[recurring["recurring_run_id"]] = recurring
        return 200, recurring

    def _experiments(self, method: str, key: str, verb: str, query: dict[str, str], body: Json) -> Answer:
        if key in self.experiments:
            return 200, self.experiments[key]
        if key or verb:
            return failure(404, f"Experiment {key} not found")
        return self._create_experiment(body) if method == "POST" else self._list("experiments", self.experiments, query)

    def _create_experiment(self, body: Json) -> Answer:
        name, namespace = body.get("display_name", ""), body.get("namespace", "")
        there = [(each["display_name"], each.get("namespace", "")) for each in self.experiments.values()]
        if (name, namespace) in there:
            return failure(409, f"Failed to create a new experiment. The name {name} already exists")
        made = {"experiment_id": str(uuid.uuid4()), "created_at": stamp(time.time())}
        experiment = {**body, **made, "storage_state": "AVAILABLE"}
        self.experiments[experiment["experiment_id"]] = experiment
        return 200, experiment

    def _list(self, what: str, things: dict[str, Json], query: dict[str, str]) -> Answer:
        if self.multi_user and not query.get("namespace") and not query.get("experiment_id"):
            return failure(400, f"Failed to list {what}: A namespace cannot be empty in multi-user mode")
        try:
            fits = matcher(query.get("filter", ""))
        except (ValueError, KeyError, TypeError):
            return failure(400, f"failed to parse valid filter from {query.get('filter')!r}")
        by, _, direction = (query.get("sort_by") or "created_at").partition(" ")
        if direction not in {"", "asc", "desc"} or by not in {"created_at", "display_name", "name"}:
            return failure(400, f"Invalid sorting field: {query['sort_by']!r}")
        by = "display_name" if by == "name" else by

        def place(thing: Json) -> list[str]:
            return [thing[by], thing.get("run_id") or thing.get("recurring_run_id") or thing["experiment_id"]]

        chosen = [thing for thing in things.values() if fits(thing) and self._belongs(thing, query)]
        chosen.sort(key=place, reverse=direction == "desc")
        criteria = [query.get("sort_by", ""), query.get("filter", "")]
        rest = chosen
        if token := query.get("page_token"):
            after = json.loads(base64.b64decode(token))
            if after["criteria"] != criteria:
                return failure(400, "page token does not match the supplied sort by and/or filtering criteria")
            rest = [each for each in chosen if (place(each) < after["place"]) == (direction == "desc")]
            rest = [each for each in rest if place(each) != after["place"]]
        size = min(int(query.get("page_size") or 0) or 20, 200)
        shown = rest[:size]
        answer: Json = {what: shown, "total_size": len(chosen)} if shown else {}
        if len(rest) > size:
            after = {"criteria": criteria, "place": place(shown[-1])}
            answer["next_page_token"] = base64.b64encode(json.dumps(after).encode()).decode()
        return 200, answer

    def _belongs(self, thing: Json, query: dict[str, str]) -> bool:
        """Whether a thing is of the experiment or namespace asked for; in single-user mode none counts."""
        if query.get("experiment_id"):
            return bool(thing["experiment_id"] == query["experiment_id"])
        if not self.multi_user:
            return True
        experiment = self.experiments.get(thing["experiment_id"], {})
        return bool(experiment.get("namespace", "") == query.get("namespace", ""))

    def _move_on(self, run: Json) -> None:
        """What time alone does to a run."""
        now, born = time.time(), self.born[run["run_id"]]
        if run["state"] == "CANCELING" and self.seconds_canceling is not None:
            since = datetime.fromisoformat(run["state_history"][-1]["update_time"]).timestamp()
            if now >= since + self.seconds_canceling:
                self._enter(run, "CANCELED", now)
        if run["state"] == "PENDING" and self.seconds_pending is not None and now >= born + self.seconds_pending:
            self._enter(run, "RUNNING", now)
        ends = born + (self.seconds_pending or 0.0) + (self.seconds_running or 0.0)
        if run["state"] == "RUNNING" and self.seconds_running is not None and now >= ends:
            self._enter(run, "SUCCEEDED", now)

    def _enter(self, run: Json, state: str, now: float) -> None:
        run["state"] = state
        run["state_history"].append({"update_time": stamp(now), "state": state})
        run["finished_at"] = stamp(now) if state in ENDED else NEVER


def stamp(moment: float) -> str:
    """A moment as the API writes it: whole seconds, UTC."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def failure(status: int, message: str) -> Answer:
    """An error as grpc-gateway writes it."""
    details = [{"@type": "type.googleapis.com/google.rpc.Status", "code": CODES[status], "message": message}]
    return status, {"code": CODES[status], "message": message, "details": details}


def task(name: str, state: str, error: str = "", started: float = 0.0, ended: float = 0.0) -> Json:
    """The details of one task, as a run shows them; a test gives moments as seconds since 1970."""
    detail: Json = {"task_id": str(uuid.uuid4()), "display_name": name, "state": state, "child_tasks": []}
    detail |= {"create_time": stamp(started), "start_time": stamp(started), "end_time": stamp(ended)}
    if error:
        detail["error"] = {"code": 13, "message": error}
    return detail


def matcher(text: str) -> Callable[[Json], bool]:
    """The `filter` of a list call; the server decodes it once more than HTTP does."""
    predicates = json.loads(unquote_plus(text)).get("predicates", []) if text else []
    tests: list[Callable[[Json], bool]] = []
    for each in predicates:
        key, value = each["key"], each.get("stringValue", each.get("string_value"))
        if key not in {"display_name", "name", "state", "storage_state"} or value is None:
            raise ValueError(key)
        key = "display_name" if key == "name" else key
        match each["operation"]:
            case "EQUALS" | 1:
                tests.append(lambda thing, key=key, value=value: thing.get(key) == value)  # type: ignore[misc]
            case "IS_SUBSTRING" | 9:
                tests.append(lambda thing, key=key, value=value: value in thing.get(key, ""))  # type: ignore[misc]
            case other:
                raise ValueError(other)
    return lambda thing: all(test(thing) for test in tests)

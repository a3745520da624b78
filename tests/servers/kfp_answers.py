"""What the double of the KFP API answers to each request; kfp_state.py keeps what it answers from."""

import base64
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.servers.kfp_documents import (
    Answer,
    Json,
    cron_problem,
    failure,
    gateway,
    launcher_log,
    matcher,
    missing,
    refusal,
    spec_problem,
    stamp,
)

if TYPE_CHECKING:
    from tests.servers.kfp_state import KfpApi

ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
HEALTH = {"commit_sha": "unknown", "tag_name": "unknown"}
SORTED_BY = {"created_at", "display_name", "name", "id", "finished_at"}
_PATH = re.compile(r"/apis/v2beta1/(\w+)(?:/([\w-]+))?(?::(\w+))?")
_LOG = re.compile(r"/apis/v1alpha1/runs/([\w-]+)/nodes/([\w.-]+)/log")


def answer(  # noqa: PLR0911 - one way out for each kind of answer
    api: "KfpApi", method: str, path: str, query: dict[str, str], content: bytes
) -> Answer:
    """The answer to one request; a text is no JSON."""
    if path in {"/apis/v2beta1/healthz", "/apis/v1beta1/healthz"}:
        store = {"pipeline_store": "database"} if "v2" in path else {}
        return 200, {**HEALTH, "multi_user": api.multi_user, **store}
    if log := _LOG.fullmatch(path):
        return read_log(api, log[1], log[2])
    if not path.startswith("/apis/"):
        return 404, "404 page not found\n"
    if path in {"/apis/v2beta1/pipelines/upload", "/apis/v2beta1/pipelines/upload_version"}:
        return upload(api, path, query)
    found = _PATH.fullmatch(path)
    routes: dict[str, Callable[..., Answer]] = {
        "runs": runs,
        "recurringruns": recurring_runs,
        "experiments": experiments,
        "pipelines": pipelines,
    }
    if not found or found[1] not in routes:
        return gateway(404, "Not Found")
    if method not in {"GET", "POST", "DELETE"}:
        return gateway(501, "Method Not Allowed")
    try:
        body = json.loads(content or b"{}")
    except ValueError:
        return gateway(400, not_json(content.decode(errors="replace")))
    told = routes[found[1]](api, method, found[2] or "", found[3] or "", query, body)
    if method != "GET":
        api.save()
    return told


def not_json(text: str) -> str:
    """What Go's parser says of a body that is no JSON; for what begins like `null` in its very words."""
    at = next((at for at, (ours, null) in enumerate(zip(text, "null", strict=False)) if ours != null), 0)
    if at:
        return f"invalid character {text[at]!r} in literal null (expecting {'null'[at]!r})"
    return f"invalid character {text[:1]!r} looking for beginning of value"


def runs(api: "KfpApi", method: str, key: str, verb: str, query: dict[str, str], body: Json) -> Answer:
    if not key:
        return create_run(api, body) if method == "POST" else listed(api, "runs", "Run", api.runs, query)
    if key not in api.runs:
        fetch = f"Failed to fetch run {key}"
        said = {
            ("GET", ""): f"Failed to get a run: {fetch}",
            ("DELETE", ""): f"Failed to delete a run: Failed to delete run {key} as it does not exist: {fetch}",
            ("POST", "terminate"): f"Failed to terminate a run: Failed to terminate run {key}"
            f" due to error fetching the run: {fetch}",
        }
        return missing(said.get((method, verb), fetch), "Run", key)
    run = api.runs[key]
    match method, verb:
        case "POST", "terminate":
            return terminate(api, run)
        case "POST", "retry":
            return retry(api, run)
        case "DELETE", "":
            del api.runs[key]
            return 200, {}
    return 200, run if method == "GET" else {}


def create_run(api: "KfpApi", body: Json) -> Answer:
    if not body.get("display_name"):
        converted = "Failed to convert a API run detail to its internal representation"
        return failure(
            500,
            "CreateJob(job.ToV2())Failed to create a run due to conversion error: InternalServerError: "
            f"{converted}: Invalid input error: Run name cannot be empty",
        )
    experiment = body.get("experiment_id") or next(iter(api.experiments), "")
    if experiment not in api.experiments:
        return missing(
            "Failed to create a new run: Failed to create a run due to invalid experimentId and namespace combination: "
            f"Failed to fetch namespace for experiment {experiment}: Failed to fetch namespace from experiment "
            f"{experiment}",
            "Experiment",
            experiment,
        )
    given = body.get("runtime_config", {}).get("parameters", {})
    if problem := spec_problem(body.get("pipeline_spec"), given):
        return problem
    now = stamp(time.time())
    run = {
        "experiment_id": experiment,
        "run_id": str(uuid.uuid4()),
        **{name: value for name, value in body.items() if name != "experiment_id"},
        "storage_state": "AVAILABLE",
        "service_account": body.get("service_account") or "pipeline-runner",
        "created_at": now,
        "scheduled_at": now,
    }
    api.add_run(run)
    return 200, run


def terminate(api: "KfpApi", run: Json) -> Answer:
    key, failed = run["run_id"], "Failed to terminate a run"
    if run.get("state") in {*ENDED, "CANCELING"}:
        cause = f"{failed} {key}. Row not found"
        return refusal(f"{failed}: Failed to terminate run {key}", cause)
    # The row says so at once; the history only once Argo's Workflow does.
    run["state"] = "CANCELING"
    api.canceled_at[key] = time.time()
    if key in api.ghosts:
        name = api.workflow_of(run)
        gone = f'workflows.argoproj.io "{name}" not found'
        return failure(
            500,
            f"{failed}: InternalServerError: Failed to terminate run {key} due to error terminating its workflow: "
            f"Failed to terminate workflow {name} due to patching error after multiple retries: "
            f"Failed to terminate workflow {name} due to patching error: {gone}",
        )
    return 200, {}


def retry(api: "KfpApi", run: Json) -> Answer:
    prefix = f"Failed to retry a run: Failed to retry run {run['run_id']}"
    why = "workflow cannot be retried"
    if run.get("state") != "FAILED":
        cause = "Workflow must be Failed/Error to retry"
        return failure(409, f"{prefix}: BadRequestError: {cause}: {why}", cause, 10)
    told = run.get("run_details", {}).get("task_details", [])
    hanging = [each for each in told if each.get("display_name") == "executor" and each.get("state") == "RUNNING"]
    if hanging:
        node = api.retry_node
        return failure(
            500, f"{prefix}: InternalServerError: Workflow cannot be retried with node {node} in Running phase: {why}"
        )
    api.enter(run, "RUNNING")
    return 200, {}


def recurring_runs(api: "KfpApi", method: str, key: str, verb: str, query: dict[str, str], body: Json) -> Answer:
    if not key:
        create = method == "POST"
        return create_recurring(api, body) if create else listed(api, "recurringRuns", "Job", api.recurring, query)
    if key not in api.recurring:
        said = {
            ("GET", ""): "Failed to fetch a recurring run",
            ("DELETE", ""): f"Failed to delete a recurring run: Failed to delete recurring run {key}. Check if exists",
            ("POST", "enable"): "Failed to enable a recurring run: Failed to change recurring run's mode to "
            f"enable:true. Check if recurring run {key} exists",
            ("POST", "disable"): "Failed to disable a recurring run: Failed to change recurring run's mode to "
            f"enable:false. Check if recurring run {key} exists",
        }
        return missing(said[method, verb], "Job", key)
    recurring = api.recurring[key]
    match method, verb:
        case "GET", "":
            return 200, recurring
        case "DELETE", "":
            del api.recurring[key]
            # Its Workflows are its own, and Kubernetes takes them along.
            for run in api.runs.values():
                if run.get("recurring_run_id") == key and run.get("state") not in ENDED:
                    api.ghosts.add(run["run_id"])
            return 200, {}
        case "POST", ("enable" | "disable"):
            recurring |= {"mode": verb.upper(), "status": f"{verb.upper()}D", "updated_at": stamp(time.time())}
            return 200, {}
    return gateway(404, "Not Found")


def create_recurring(api: "KfpApi", body: Json) -> Answer:
    conversion = "Failed to create a recurring run due to conversion error"
    if not body.get("display_name"):
        converted = "InternalServerError: Failed to convert a API recurring run to its internal representation"
        return failure(500, f"{conversion}: {converted}: Invalid input error: Recurring run's name cannot be empty")
    concurrency = int(body.get("max_concurrency", 0))
    if not 1 <= concurrency <= 10:
        cause = f"Max concurrency of a recurring run must be at least 1 and at most 10. Received {concurrency}"
        return refusal(conversion, cause)
    if problem := cron_problem(body.get("trigger", {}).get("cron_schedule", {}).get("cron", "")):
        return refusal(conversion, problem)
    if problem := spec_problem(body.get("pipeline_spec"), body.get("runtime_config", {}).get("parameters", {})):
        return problem
    now = stamp(time.time())
    mode = body.get("mode", "MODE_UNSPECIFIED")
    recurring = {
        "recurring_run_id": str(uuid.uuid4()),
        **body,
        "service_account": body.get("service_account") or "pipeline-runner",
        "created_at": now,
        "updated_at": now,
        "mode": mode,
        "status": "ENABLED" if mode == "ENABLE" else "DISABLED",
        "namespace": body.get("namespace") or "kubeflow",
    }
    api.recurring[recurring["recurring_run_id"]] = recurring
    return 200, recurring


def experiments(api: "KfpApi", method: str, key: str, verb: str, query: dict[str, str], body: Json) -> Answer:
    if not key:
        if method == "POST":
            return create_experiment(api, body)
        return listed(api, "experiments", "Experiment", api.experiments, query)
    if key not in api.experiments:
        return missing("Failed to fetch experiment", "Experiment", key)
    if verb in {"archive", "unarchive"}:
        api.experiments[key]["storage_state"] = "ARCHIVED" if verb == "archive" else "AVAILABLE"
        return 200, {}
    return 200, api.experiments[key]


def create_experiment(api: "KfpApi", body: Json) -> Answer:
    name, namespace = body.get("display_name", ""), body.get("namespace", "")
    if not name:
        converted = "InternalServerError: Failed to convert API experiment to model experiment"
        return failure(
            500,
            f"[ExperimentServer]: Failed to create a experiment due to conversion error: {converted}: "
            "Invalid input error: Experiment must have a non-empty name",
        )
    there = [(each["display_name"], each.get("namespace", "")) for each in api.experiments.values()]
    if (name, namespace) in there:
        cause = f"Failed to create a new experiment. The name {name} already exists. Please specify a new name"
        return failure(409, f"Failed to create a experiment: Already exist error: {cause}", cause)
    experiment = {
        "experiment_id": str(uuid.uuid4()),
        **body,
        "created_at": stamp(time.time()),
        "storage_state": "AVAILABLE",
        "last_run_created_at": "1970-01-01T00:00:00Z",
    }
    api.experiments[experiment["experiment_id"]] = experiment
    return 200, experiment


def pipelines(api: "KfpApi", _method: str, key: str, _verb: str, query: dict[str, str], _body: Json) -> Answer:
    if not key:
        return listed(api, "pipelines", "Pipeline", api.pipelines, query)
    if key not in api.pipelines:
        get = f"Failed to get a pipeline {key}. Check error stack: Failed to get a pipeline with id {key}"
        return missing(get, "Pipeline", key)
    return 200, api.pipelines[key]


def upload(api: "KfpApi", path: str, query: dict[str, str]) -> Answer:
    """The upload of a pipeline or a version; what is in the form does not matter here."""
    name, now = query.get("name", ""), stamp(time.time())
    if path.endswith("upload_version"):
        ids = {"pipeline_id": query["pipelineid"], "pipeline_version_id": str(uuid.uuid4())}
        return 200, {**ids, "display_name": name, "name": name, "created_at": now, "pipeline_spec": {}}
    if any(each["name"] == name for each in api.pipelines.values()):
        message = "Failed to create a pipeline and a pipeline version"
        return 409, {"error_message": message, "error_details": f"{message}\n..."}
    made = {"pipeline_id": str(uuid.uuid4()), "display_name": name, "name": name, "created_at": now}
    api.pipelines[made["pipeline_id"]] = made
    return 200, made


def read_log(api: "KfpApi", run_id: str, pod: str) -> Answer:
    """The log of a pod's main container; the service has said 200 before it knows whether it has one."""
    if run_id in api.runs and run_id not in api.ghosts and pod in api.logs:
        return 200, launcher_log(api.logs[pod])
    return 200, json.dumps({"error_message": f"Failed to read logs for run {run_id}", "error_details": "..."})


def listed(  # noqa: PLR0911 - each is another refusal
    api: "KfpApi", what: str, kind: str, things: dict[str, Json], query: dict[str, str]
) -> Answer:
    prefix = "Failed to create list options"
    size_text = query.get("page_size") or "0"
    if not re.fullmatch(r"-?\d+", size_text):
        parse = f'parsing field "page_size": strconv.ParseInt: parsing "{size_text}": invalid syntax'
        return gateway(400, parse)
    if int(size_text) < 0:
        return refusal(prefix, f"The page size should be greater than 0. Got {size_text}")
    experiment = query.get("experiment_id", "")
    if experiment and experiment not in api.experiments:
        return missing(
            f"Failed to list runs: Failed to list runs due to error fetching namespace for experiment {experiment}. "
            f"Try filtering based on namespace: Failed to fetch namespace from experiment {experiment}",
            "Experiment",
            experiment,
        )
    if api.multi_user and not query.get("namespace") and not experiment:
        return failure(400, f"Failed to list {what}: A namespace cannot be empty in multi-user mode")
    try:
        fits = matcher(query.get("filter", ""))
    except ValueError as error:
        return refusal(prefix, str(error))
    order = query.get("sort_by") or "created_at"
    by, _, direction = order.partition(" ")
    if direction not in {"", "asc", "desc"}:
        formats = '"field_name", "field_name desc", or "field_name asc"'
        return refusal(prefix, f'Received invalid sort by format "{order}". Supported format: {formats}')
    if by not in SORTED_BY:
        return refusal(prefix, f'Invalid sorting field: "{by}" on listable type {kind}')
    chosen = [thing for thing in things.values() if fits(thing) and api.belongs(thing, query)]
    try:
        return page(what, chosen, "display_name" if by == "name" else by, direction == "desc", query)
    except (ValueError, KeyError):
        wrong = "Invalid page token"
        odd = "invalid character '\\u009e' looking for beginning of value"
        return failure(400, f"{prefix}: InvalidInputError: {wrong}: {odd}", wrong)


def page(what: str, chosen: list[Json], by: str, backwards: bool, query: dict[str, str]) -> Answer:
    """One page of what was chosen."""

    def place(thing: Json) -> list[Any]:
        keys = ("run_id", "recurring_run_id", "experiment_id", "pipeline_id")
        return [thing.get(by, ""), next(thing[key] for key in keys if key in thing)]

    chosen.sort(key=place, reverse=backwards)
    criteria = [query.get("sort_by", ""), query.get("filter", "")]
    rest = chosen
    if token := query.get("page_token"):
        after = json.loads(base64.b64decode(token))
        if after["criteria"] != criteria:
            cause = (
                "page token does not match the supplied sort by and/or filtering criteria. Either specify the same "
                "criteria or leave the latter empty if page token is specified"
            )
            return refusal("Failed to create list options", cause)
        rest = [each for each in chosen if (place(each) < after["place"]) == backwards]
        rest = [each for each in rest if place(each) != after["place"]]
    size = min(int(query.get("page_size") or 0) or 20, 200)
    shown = rest[:size]
    told: Json = {what: shown, "total_size": len(chosen)} if shown else {}
    if len(rest) > size:
        after = {"criteria": criteria, "place": place(shown[-1])}
        told["next_page_token"] = base64.b64encode(json.dumps(after).encode()).decode()
    return 200, told

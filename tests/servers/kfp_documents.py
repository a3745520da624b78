"""What the double of the KFP API writes: moments, errors, and a run's tasks as Argo's nodes make them. Pure.

Shapes and sentences are those of a recorded Kubeflow Pipelines 2.17 (tests/recordings/kfp).
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

Json = dict[str, Any]
Answer = tuple[int, Json | str]
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 501: 12, 503: 14}
NEVER = "1970-01-01T00:00:00Z"
NOT_ENDED = "0001-01-01T00:00:00Z"
POD = "system-container-impl"  # the template that a step's pod is made from
RUN_FIELDS = {
    *("run_id", "id", "display_name", "name", "created_at", "finished_at", "description", "scheduled_at"),
    *("storage_state", "status", "namespace", "experiment_id", "state", "recurring_run_id"),
}
_LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


def stamp(moment: float) -> str:
    """A moment as the API writes it: whole seconds, UTC."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def failure(status: int, message: str, cause: str | None = None, code: int | None = None) -> Answer:
    """An error of the service: its whole chain of words, and in the details the cause alone."""
    code = code or CODES[status]
    hidden = "Internal Server Error" if status == 500 else message.rpartition("Error: ")[2]
    details = [{"@type": "type.googleapis.com/google.rpc.Status", "code": code, "message": cause or hidden}]
    return status, {"code": code, "message": message, "details": details}


def refusal(prefix: str, cause: str) -> Answer:
    """A 400 for what the caller gave."""
    return failure(400, f"{prefix}: Invalid input error: {cause}", cause)


def gateway(status: int, message: str) -> Answer:
    """An error of grpc-gateway itself, which knows no details."""
    return status, {"code": CODES[status], "message": message}


def missing(prefix: str, kind: str, key: str) -> Answer:
    """A 404 for a thing that the service has not."""
    return failure(404, f"{prefix}: ResourceNotFoundError: {kind} {key} not found", f"{kind} {key} not found")


def task(name: str, state: str, log: str = "", started: float = 0.0, ended: float = 0.0) -> Json:
    """What a test says of one step; `log` is what its pod wrote. Moments are seconds since 1970.

    An empty `state` is a step that was left out.
    """
    return {"name": name, "state": state, "log": log, "started": started, "ended": ended}


def node_id(workflow: str, path: str) -> str:
    """Argo's id of a node: the Workflow's name and the FNV-1a of the node's."""
    value = 2166136261
    for byte in path.encode():
        value = ((value ^ byte) * 16777619) & 0xFFFFFFFF
    return f"{workflow}-{value}"


def pod_of(workflow: str, name: str) -> str:
    """The name of the pod that runs the step `name` of :func:`entries`."""
    path = f"{workflow}(0).root(0).{name}(0).executor(0)"
    return f"{workflow}-{POD}-{node_id(workflow, path).rpartition('-')[2]}"


def entries(workflow: str, state: str, tasks: Sequence[Json]) -> list[Json]:
    """A run's task_details: for each step its driver, itself and its executor, each with its first attempt.

    None has an error, whatever happened; one that was left out has no state; MLMD's have no name.
    """
    top = state if state in {"RUNNING", "SUCCEEDED", "FAILED"} else "RUNNING"
    began = min((each["started"] for each in tasks), default=0.0)
    root = f"{workflow}(0).root"
    told = [
        *_node(workflow, workflow, workflow, [f"{workflow}(0).root-driver"], task(workflow, top, started=began)),
        *_node(workflow, "root-driver", f"{workflow}(0).root-driver", [root], task("", "SUCCEEDED", "", began, began)),
        *_node(workflow, "root", root, [], task("", top, started=began)),
    ]
    for each in tasks:
        path = f"{root}(0).{each['name']}"
        driven = {**each, "state": "SUCCEEDED", "ended": each["started"]} if each["state"] else each
        told += _node(workflow, f"{each['name']}-driver", f"{path}-driver", [path], driven)
        told += _node(workflow, each["name"], path, [f"{path}(0).executor"], each)
        if each["state"]:
            told += _node(workflow, "executor", f"{path}(0).executor", [], each)
            nameless = {"task_id": str(uuid.uuid4()), "create_time": stamp(each["started"]), "execution_id": "12"}
            told.append({**nameless, "start_time": stamp(each["started"]), "end_time": stamp(each["ended"])})
    return told


def _node(workflow: str, name: str, path: str, below: Sequence[str], each: Json) -> Iterator[Json]:
    """A node and its first attempt, under which is what is `below`."""
    ended = stamp(each["ended"]) if each["ended"] else NOT_ENDED
    times = {"create_time": stamp(each["started"]), "start_time": stamp(each["started"]), "end_time": ended}
    state = {"state": each["state"]} if each["state"] else {}
    attempt = f"{path}(0)"
    shown = [(name, [attempt]), (f"{name}(0)", below)] if state else [(name, below)]
    for display_name, children in shown:
        history = [{"update_time": times["start_time"], **state}]
        detail = {"task_id": str(uuid.uuid4()), "display_name": display_name, **times, **state}
        linked = {"child_tasks": [{"pod_name": node_id(workflow, child)} for child in children]} if children else {}
        yield {**detail, "state_history": history, **linked}


def launcher_log(said: str) -> str:
    """The log of a step's main container that failed: what the step said, and what launcher and Argo add."""
    return (
        "I1125 01:28:05.101010       1 launcher_v2.go:187] publish success.\n"
        "[KFP Executor 2026-11-25 01:28:06,000 INFO]: Looking for component `f` in --component_module_path `/tmp/x`\n"
        f"{said}\n"
        "I1125 01:28:11.202020       1 launcher_v2.go:195] publish success.\n"
        "F1125 01:28:11.303030       1 main.go:59] failed to execute component: exit status 1\n"
        'time="2026-11-25T01:28:11.404Z" level=info msg="sub-process exited" argo=true error="<nil>"\n'
        "Error: exit status 1\n"
    )


def spec_problem(document: Any, given: Json) -> Answer | None:
    """Why a pipeline's document and the parameters given are not taken; None when they are."""
    new = "Failed to create a new run: "
    manifest = f"{new}InternalServerError: Failed to create a run due to error fetching manifest: "
    if not document:
        cause = "Failed to fetch a template with an empty pipeline spec manifest"
        return failure(500, f"{manifest}Invalid input error: {cause}")
    spec = document.get("pipeline_spec", document) if isinstance(document, dict) else {}
    if not spec.get("root") or not spec.get("schemaVersion"):
        cause = "Failed to fetch a template with an invalid pipeline spec manifest: InvalidInputError: "
        return failure(500, f"{manifest}{cause}unknown template format: pipeline spec is invalid")
    components = spec.get("components", {})
    for owner, each in [("root", spec["root"]), *components.items()]:
        for step in each.get("dag", {}).get("tasks", {}).values():
            wanted = step.get("componentRef", {}).get("name")
            if wanted not in components:
                where = f'error processing component name="{owner}": cannot find component ref name="{wanted}"'
                message = f"Internal error: {where}\nFailed to compile job\n..."
                return failure(500, message, message, 13)
    declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    inputs = f"{new}Failed to generate the ExecutionSpec: invalid pipeline job inputs"
    for name, each in declared.items():
        if name not in given and "defaultValue" not in each and not each.get("isOptional"):
            cause = f"parameter {name} is not optional, yet has neither default value nor user provided value"
            return refusal(inputs, cause)
    if unknown := sorted(given.keys() - declared.keys()):
        return refusal(inputs, f"parameter(s) provided are not required by pipeline: {', '.join(unknown)}")
    return None


def cron_problem(cron: str) -> str:
    """What the service's parser (github.com/robfig/cron) says of an expression, seconds first; empty when it takes it.

    Five fields are taken, too, and are not those of crontab: the first is the seconds.
    """
    fields = cron.split()
    prefix = "Schedule cron is not a supported format(https://godoc.org/github.com/robfig/cron). Error: "
    if not 5 <= len(fields) <= 6:
        return f"{prefix}Expected 5 to 6 fields, found {len(fields)}: {cron}"
    for part, (low, high) in zip(fields, _LIMITS, strict=False):
        for number in map(int, re.findall(r"(?<![/\d])\d+", part)):
            if number > high:
                return f"{prefix}End of range ({number}) above maximum ({high}): {part}"
            if number < low:
                return f"{prefix}Beginning of range ({number}) below minimum ({low}): {part}"
        if words := [word for word in re.findall(r"[A-Za-z]+", part) if word.upper() not in _NAMES]:
            return f"{prefix}Failed to parse int from {words[0]}: strconv.Atoi: parsing {words[0]!r}: invalid syntax"
    return ""


_NAMES = {
    *("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
    *("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
}


def matcher(text: str) -> Callable[[Json], bool]:
    """The `filter` of a list call; the service decodes it once more than HTTP does. ValueError in its words."""
    text = unquote_plus(text)
    if not text:
        return lambda _: True
    quoted = f"failed to parse valid filter from {json.dumps(text)}: proto:"
    try:
        given = json.loads(text)
    except ValueError:
        raise ValueError(f"{quoted} syntax error (line 1:1): invalid value {text}") from None
    if strange := [key for key in given if key != "predicates"]:
        raise ValueError(f'{quoted} (line 1:2): unknown field "{strange[0]}"')
    tests: list[Callable[[Json], bool]] = []
    for each in given["predicates"]:
        key, value = each["key"], each.get("stringValue", each.get("string_value"))
        if key not in RUN_FIELDS:
            raise ValueError(f'no support for filtering on unrecognized field "{key}"')
        key = {"name": "display_name", "id": "run_id"}.get(key, key)
        match each["operation"]:
            case "EQUALS" | 1:
                tests.append(lambda thing, key=key, value=value: thing.get(key, "") == value)  # type: ignore[misc]
            case "NOT_EQUALS" | 2:
                tests.append(lambda thing, key=key, value=value: thing.get(key, "") != value)  # type: ignore[misc]
            case "IS_SUBSTRING" | 9:
                tests.append(lambda thing, key=key, value=value: value in thing.get(key, ""))  # type: ignore[misc]
            case other:
                raise ValueError(f"invalid operation {other}")
    return lambda thing: all(test(thing) for test in tests)

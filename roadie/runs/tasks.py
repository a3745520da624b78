"""A cluster's account of a run's tasks, told as the steps of the pipeline. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from roadie.runs.outcome import StepRun

# Kubeflow Pipelines names a moment that has not come yet with one long past: 1970, or the year 1.
LONG_PAST = datetime(2000, 1, 1, tzinfo=UTC)

_STATES = {"RUNNING": "running", "SUCCEEDED": "succeeded", "FAILED": "failed", "SKIPPED": "skipped"}
_RUN_STATES = {**_STATES, "PAUSED": "running", "CANCELING": "running", "SKIPPED": "succeeded", "CANCELED": "canceled"}
DRIVER = "-driver"  # the end of the name of what prepares a step
# What a pod's name has between the Workflow's name and the node's hash: the template of a step, or of its driver.
_STEP_POD, _DRIVER_POD = "system-container-impl", "system-container-driver"


def moment(when: datetime | None) -> datetime | None:
    """A moment of the service in UTC; None when it has not come yet."""
    if when is None:
        return None
    when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return when if when > LONG_PAST else None


def state_of(run: Any) -> str:
    """The state of a run (V2beta1Run) in the words of :class:`roadie.runs.Run`.

    The service has a state CANCELED and never uses it: a run that was ended is CANCELING and then FAILED. For a moment
    before it is RUNNING a run has no state.
    """
    told = [each.state for each in run.state_history or [] if each.state]
    state = run.state or (told[-1] if told else "")
    before = [each for each in told if each != "FAILED"]
    if state == "FAILED" and before[-1:] == ["CANCELING"]:
        return "canceled"
    return _RUN_STATES.get(state, "pending")


def model_of(run: Any) -> str:
    """The model that a run (V2beta1Run) is about: its parameter ``model_name``, or that one's default."""
    given = (run.runtime_config.parameters if run.runtime_config else None) or {}
    document = run.pipeline_spec if isinstance(run.pipeline_spec, Mapping) else {}
    root = document.get("pipeline_spec", document).get("root", {})
    declared = root.get("inputDefinitions", {}).get("parameters", {}).get("model_name", {})
    return str(given.get("model_name") or declared.get("defaultValue") or "")


def step_names(specification: Any) -> dict[str, tuple[str, str]]:
    """The display name and component of each step, by the names that the service may give its task."""
    if not isinstance(specification, Mapping):
        return {}
    specification = specification.get("pipeline_spec", specification)
    components = specification.get("components", {})
    names: dict[str, tuple[str, str]] = {}
    for graph in [specification.get("root", {}), *components.values()]:
        for key, task in graph.get("dag", {}).get("tasks", {}).items():
            component = task.get("componentRef", {}).get("name", "")
            if "dag" not in components.get(component, {}):
                name = task.get("taskInfo", {}).get("name", key)
                names[key] = names[name] = (name, component.removeprefix("comp-"))
    return names


def steps_of(run: Any) -> tuple[StepRun, ...]:
    """The steps of a run (V2beta1Run) that have begun, in the order in which they did.

    The service also lists drivers, executors and the graphs themselves; those are left out, but for a driver that
    failed, without which its step never began. A step of a loop comes once for each turn.
    """
    turns: dict[str, int] = {}
    steps = []
    for task, (name, component) in _begun(run):
        turns[name] = turns.get(name, 0) + 1
        shown = name if turns[name] == 1 else f"{name} ({turns[name]})"
        state = _STATES[task.state]
        error = message_of(task) if state == "failed" else ""
        steps.append(StepRun(shown, component, state, seconds=_seconds(task), error=error))
    return tuple(steps)


def _begun(run: Any) -> list[tuple[Any, tuple[str, str]]]:
    """The service's tasks that are steps, in the order in which they began, with the step's name and component."""
    names = step_names(run.pipeline_spec)
    begun = []
    for task in _details(run):
        shown = task.display_name or ""
        if shown.endswith(DRIVER) and shown not in names and task.state == "FAILED":
            shown = shown.removesuffix(DRIVER)
        if shown in names and task.state in _STATES:
            begun.append((task, names[shown]))
    return sorted(begun, key=lambda each: (moment(each[0].start_time) or LONG_PAST, each[0].task_id or ""))


def _details(run: Any) -> Sequence[Any]:
    return (run.run_details.task_details if run.run_details else None) or ()


def failed_pods(run: Any) -> list[str]:
    """The pods in which the first failed step may have failed, the last attempt first.

    The service tells Argo's nodes, ``<workflow>-<hash>``; the pod of one has its template's name in between.
    """
    failed = next((task for task, _ in _begun(run) if task.state == "FAILED"), None)
    if failed is None:
        return []
    driver = (failed.display_name or "").endswith(DRIVER)
    executors = [each for each in _details(run) if each.display_name == "executor" and each.state == "FAILED"]
    if not driver:
        executors = [each for each in executors if each.start_time == failed.start_time]
    children = [child.pod_name for each in ([failed] if driver else executors) for child in each.child_tasks or []]
    template = _DRIVER_POD if driver else _STEP_POD
    split = [(child or "").rpartition("-") for child in reversed(children)]
    return [f"{workflow}-{template}-{hashed}" for workflow, _, hashed in split if workflow]


def waiting(run: Any) -> tuple[str, ...] | None:
    """What of a run that goes on waits for its pod, by id; empty for a run of which nothing is there; None: it works.

    Two looks that give the same mean that nothing happened in between.
    """
    attempts = [each for each in _details(run) if (each.display_name or "").endswith(")") and not each.child_tasks]
    if any(each.state == "RUNNING" for each in attempts):
        return None
    return tuple(sorted(str(each.task_id) for each in attempts if each.state == "PENDING"))


def _seconds(task: Any) -> float:
    began, ended = moment(task.start_time), moment(task.end_time)
    return max(0.0, (ended - began).total_seconds()) if began and ended else 0.0


def message_of(thing: Any) -> str:
    """The error of a run or task, in one line; empty when the service keeps it to itself, as KFP 2 mostly does."""
    errors = [thing.error, *(status.error for status in reversed(thing.state_history or []))]
    for error in errors:
        if error and error.message:
            return " ".join(str(error.message).split())[:500]
    return ""


def news(before: Sequence[StepRun], now: Sequence[StepRun]) -> list[StepRun]:
    """What to tell of `now` to one who was told `before`: each step as it begins and as it ends."""
    told = {step.name: step.state for step in before}
    tidings = []
    for step in now:
        if step.state == "skipped" or told.get(step.name) == step.state:
            continue
        if step.name not in told and step.state != "running":
            tidings.append(StepRun(step.name, step.component, "running"))
        tidings.append(step)
    return tidings

"""A cluster's account of a run's tasks, told as the steps of the pipeline. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from roadie.runs.outcome import StepRun

# Kubeflow Pipelines names a moment that has not come yet with one long past: 1970, or the year 1.
LONG_PAST = datetime(2000, 1, 1, tzinfo=UTC)

_STATES = {"RUNNING": "running", "SUCCEEDED": "succeeded", "FAILED": "failed", "SKIPPED": "skipped"}


def moment(when: datetime | None) -> datetime | None:
    """A moment of the service in UTC; None when it has not come yet."""
    if when is None:
        return None
    when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    return when if when > LONG_PAST else None


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

    The service also lists drivers, executors and the graphs themselves; those are left out. A step of a loop comes
    once for each turn.
    """
    names = step_names(run.pipeline_spec)
    details = run.run_details.task_details if run.run_details else None
    begun = [task for task in details or [] if task.display_name in names and task.state in _STATES]
    begun.sort(key=lambda task: (moment(task.start_time) or LONG_PAST, task.task_id or ""))
    turns: dict[str, int] = {}
    steps = []
    for task in begun:
        name, component = names[task.display_name]
        turns[name] = turns.get(name, 0) + 1
        shown = name if turns[name] == 1 else f"{name} ({turns[name]})"
        state = _STATES[task.state]
        error = message_of(task) if state == "failed" else ""
        steps.append(StepRun(shown, component, state, seconds=_seconds(task), error=error))
    return tuple(steps)


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


def why_failed(run: Any, steps: Sequence[StepRun]) -> str:
    """Why a run failed, in a sentence: the first step that did, with what is known of it."""
    failed = next((step for step in steps if step.state == "failed"), None)
    said = (failed.error if failed else "") or message_of(run)
    if failed:
        return f"the step {failed.name} failed: {said or 'its log says why'}"
    return said or "the service does not say why"


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

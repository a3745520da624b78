"""How large a pipeline's Workflow grows on a cluster: Argo keeps it in one object, and a run that outgrows it dies.

KFP's backend makes an Argo Workflow of the compiled YAML. What the driver and the launcher of a task are given is
copied into the status of each of the task's nodes, so a Workflow grows as it runs: a task's container stands in it
eight times, what the task was handed six times, a component that holds others twice. The factors below were fitted to
the Workflows of four runs on Kubeflow Pipelines 2.17 with Argo Workflows 4.0 (docs/decisions/workflow-budget.md).

- Above `LIMIT` bytes Argo compresses the status, and KFP's task details stand still.
- Above `LIMIT` bytes compressed, the run fails without its exit handler.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from roadie.errors import UsageError
from roadie.runs.pipeline import yaml_loader

LIMIT = 1_048_576  # bytes: Argo's default MAX_WORKFLOW_SIZE
ALLOWED = 0.8  # of it, by this estimate: arguments and metadata of a run may be longer than usual

# What a launcher is handed (its executor input): a fixed part, and so much for each input and output.
_HANDED, _PARAMETER, _ARTIFACT_IN, _ARTIFACT_OUT, _RESULT = 470, 45, 950, 290, 65
# JSON inside of JSON inside of JSON: so much longer do its quotes make it.
_NESTED = 1.4


@dataclass(frozen=True)
class Growth:
    """What becomes of a pipeline on the longest path through it: every condition holds, every loop turns once."""

    bytes: int
    pods: int

    @property
    def share(self) -> float:
        """The part of `LIMIT` that it takes; 1 is all."""
        return self.bytes / LIMIT


def within_budget(name: str, text: str) -> Growth:
    """The growth of the compiled pipeline `name`, whose YAML is `text`.

    Raises:
        UsageError: it grows beyond what is allowed.
    """
    found = growth(*yaml.load_all(text, Loader=yaml_loader()))
    if found.share > ALLOWED:
        raise UsageError(
            f"the pipeline {name} grows to about {found.bytes:,} bytes on a cluster, {found.share:.0%} of the "
            f"{LIMIT:,} that Argo keeps of a run, and a run that outgrows them dies: take steps, inputs or levels "
            f"(conditions, loops) out until it is below {ALLOWED:.0%}"
        )
    return found


def growth(spec: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> Growth:
    """How large the Workflow of a compiled pipeline is when its run has ended, and how many pods that took.

    Args:
        spec: The compiled YAML's first document.
        platform: Its second one, if there is one.
    """
    deployment = (platform or {}).get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {})
    executors = spec["deploymentSpec"]["executors"]
    total, pods = 12_500.0, 0
    for name, component, task in _graphs(spec):
        turns = 2 if {"parameterIterator", "artifactIterator"} & task.keys() else 1
        pods += turns
        total += turns * (2 * (_text(component) + 0.65 * _size(task) + 2_400) + 1_150)
        total += _size(component) + (2_500 if name else 0)
        total += sum(1.3 * _size(each) + 650 for each in component["dag"]["tasks"].values())
    for component, task in _containers(spec):
        label = component["executorLabel"]
        container, asked = executors[label]["container"], deployment.get("executors", {}).get(label, {})
        launched = 2_000 + 0.95 * _text(container, 2) + 1.13 * _NESTED * _handed(component) + 2 * _size(asked)
        driven = launched + 860 + 1.1 * _text(component) + 0.95 * _text(container) + 0.93 * _text(task) + _size(asked)
        pods += 2
        total += 4 * launched + 2 * driven + _size(component) + _size(container) + _size(asked)
    return Growth(round(total), pods)


def _graphs(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """The root and each task that is a graph of its own: its name, the component that it runs, and the task."""
    waiting: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]] = [("", spec["root"], {})]
    while waiting:
        name, component, task = waiting.pop()
        yield name, component, task
        for key, inner in component["dag"]["tasks"].items():
            body = spec["components"][inner["componentRef"]["name"]]
            if "dag" in body:
                waiting.append((key, body, inner))


def _containers(spec: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each task that runs a container: its component, and the task."""
    for _, component, _ in _graphs(spec):
        for task in component["dag"]["tasks"].values():
            body = spec["components"][task["componentRef"]["name"]]
            if "dag" not in body:
                yield body, task


def _handed(component: Mapping[str, Any]) -> int:
    """About how long the executor input of a task is."""
    inputs, outputs = component.get("inputDefinitions", {}), component.get("outputDefinitions", {})
    return (
        _HANDED
        + _PARAMETER * len(inputs.get("parameters", {}))
        + _ARTIFACT_IN * len(inputs.get("artifacts", {}))
        + _ARTIFACT_OUT * len(outputs.get("artifacts", {}))
        + _RESULT * len(outputs.get("parameters", {}))
    )


def _size(value: Any) -> int:
    return len(_json(value))


def _text(value: Any, times: int = 1) -> int:
    """The length of a value's JSON as a string inside of JSON, that many times."""
    text = _json(value)
    for _ in range(times):
        text = json.dumps(text)[1:-1]
    return len(text)


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))

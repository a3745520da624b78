"""Calls a compiled step as KFP's launcher does on a cluster: by its command, with an executor input as recorded.

kfp.local hands over what the SDK itself would like to have. A cluster's driver does not: input artifacts come without
their type, lists and mappings in their metadata are wrapped, truth is a number, and what is left out is absent.
``test_commands.py`` holds the form of these inputs against recorded ones.
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_names = itertools.count(28)


@dataclass(frozen=True)
class Artifact:
    """An artifact of a step that ended: where it lies, and its metadata as the driver hands them on."""

    uri: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """What became of a step."""

    code: int
    log: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


@dataclass
class Launcher:
    """Runs steps one after the other; artifacts and outputs lie below `folder`, under the address `root`.

    `before` are words that go before each command, such as those that lead into another root.
    """

    folder: Path
    root: str = ""
    before: Sequence[str] = ()
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)
    count: int = 0

    def run(
        self,
        spec: Mapping[str, Any],
        step: str,
        parameters: Mapping[str, Any],
        artifacts: Mapping[str, Artifact] = {},
    ) -> Done:
        """Run the step `step` of a compiled `spec` with these inputs."""
        self.count += 1
        place = f"{self.count:02}-{step}"
        component = spec["components"][f"comp-{step}"]
        given = executor_input(component, parameters, artifacts, f"{self.root or self.folder}/{place}")
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        words = [json.dumps(given) if word == "{{$}}" else word for word in (*container["command"], *container["args"])]
        assert words[0] == "python3"
        (self.folder / place).mkdir(parents=True)
        done = subprocess.run(
            [*self.before, self.python, *words[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={**os.environ, **self.environment},
        )
        if done.returncode:
            return Done(done.returncode, done.stdout)
        return Done(0, done.stdout, *self._outputs(component, given, self.folder / place))

    def _outputs(
        self, component: Mapping[str, Any], given: Mapping[str, Any], place: Path
    ) -> tuple[dict[str, Any], dict[str, Artifact]]:
        told = place / "output_metadata.json"
        metadata = json.loads(told.read_text()) if told.exists() else {}
        written = {name: each["artifacts"][0] for name, each in metadata.get("artifacts", {}).items()}
        outputs = component.get("outputDefinitions", {})
        artifacts = {
            name: Artifact(
                given["outputs"]["artifacts"][name]["artifacts"][0]["uri"],
                {"display_name": name, **{key: _kept(each) for key, each in written[name]["metadata"].items()}},
            )
            for name in outputs.get("artifacts", {})
        }
        return metadata.get("parameterValues", {}), artifacts


def executor_input(
    component: Mapping[str, Any], parameters: Mapping[str, Any], artifacts: Mapping[str, Artifact], place: str
) -> dict[str, Any]:
    """The executor input of a task of `component`; its outputs go below `place`."""
    outputs = component.get("outputDefinitions", {})
    made: dict[str, Any] = {
        name: _output(place, name, each["artifactType"]) for name, each in outputs.get("artifacts", {}).items()
    }
    made["executor-logs"] = _output(place, "executor-logs", {"schemaTitle": "system.Artifact"})
    inputs: dict[str, Any] = {}
    if artifacts:
        inputs["artifacts"] = {name: {"artifacts": [_input(each)]} for name, each in artifacts.items()}
    if parameters:
        inputs["parameterValues"] = dict(parameters)
    told: dict[str, Any] = {"artifacts": made, "outputFile": f"{place}/output_metadata.json"}
    if outputs.get("parameters"):
        told["parameters"] = {name: {"outputFile": f"{place}/outputs/{name}"} for name in outputs["parameters"]}
    return {"inputs": inputs, "outputs": told}


def _output(place: str, name: str, kind: Mapping[str, str]) -> dict[str, Any]:
    return {"artifacts": [{"name": name, "type": dict(kind), "uri": f"{place}/{name}"}]}


def _input(artifact: Artifact) -> dict[str, Any]:
    number = next(_names)
    told = {"metadata": dict(artifact.metadata), "name": str(number), "uri": artifact.uri}
    # Every other one comes without any word of a type.
    return {**told, "type": {"instanceSchema": ""}} if number % 2 else told


def _kept(value: Any) -> Any:
    """A value of an artifact's metadata as ML Metadata keeps it."""
    match value:
        case bool():
            return int(value)
        case list():
            return {"list": value}
        case dict():
            return {"struct": value}
    return value

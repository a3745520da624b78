"""Derives the schemas beside this file anew from the packages that carry the custom resources' types.

    python -m tests.schemas.derive

It needs npm, pip and their registries. No test runs it: the tests read what it wrote. To go to a newer release, change
SOURCES, run it, and read the difference.
"""

import ast
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GENERATOR = "ts-json-schema-generator@2.4.0"
DEFINITIONS = "https://kubernetes.io/api/_definitions.json#/$defs"
METADATA = f"{DEFINITIONS}/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

Schema = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """A package, what it was made from, and where in it each kind's type is, by the name of the schema's file."""

    package: str
    version: str
    licence: str
    made_from: str
    types: Mapping[str, str]


NPM = (
    Source(
        "@kubernetes-models/argo-cd",
        "4.0.0",
        "MIT",
        "Argo CD 3, pkg/apis/application/v1alpha1 (Apache-2.0)",
        {"argoproj.io_v1alpha1_application": "argoproj.io/v1alpha1/Application"},
    ),
    Source(
        "@kubernetes-models/prometheus-operator",
        "5.0.1",
        "MIT",
        "the custom resource definitions of prometheus-operator 0.90.1 (Apache-2.0)",
        {
            "monitoring.coreos.com_v1_prometheusrule": "monitoring.coreos.com/v1/PrometheusRule",
            "monitoring.coreos.com_v1_servicemonitor": "monitoring.coreos.com/v1/ServiceMonitor",
            "monitoring.coreos.com_v1_podmonitor": "monitoring.coreos.com/v1/PodMonitor",
            "monitoring.coreos.com_v1alpha1_alertmanagerconfig": "monitoring.coreos.com/v1alpha1/AlertmanagerConfig",
        },
    ),
)
KSERVE = Source(
    "kserve",
    "0.21.0",
    "Apache-2.0",
    "KServe 0.21.0",
    {
        "serving.kserve.io_v1beta1_inferenceservice": "V1beta1InferenceService",
        "serving.kserve.io_v1alpha1_servingruntime": "V1alpha1ServingRuntime",
    },
)

# The SDK of KServe gives Kubernetes' own types and Go's by these names; in JSON a URL and a time are strings.
PLAIN: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "object": {},
    "datetime": {"type": "string"},
    "KnativeURL": {"type": "string"},
    "KnativeVolatileTime": {"type": "string"},
    "V1Time": {"type": "string"},
    "V1beta1MetricQuantity": {"type": "object"},
    "ResourceQuantity": {"$ref": f"{DEFINITIONS}/io.k8s.apimachinery.pkg.api.resource.Quantity"},
    "V1ObjectMeta": {"$ref": METADATA},
    "K8sIoApiAppsV1DeploymentStrategy": {"$ref": f"{DEFINITIONS}/io.k8s.api.apps.v1.DeploymentStrategy"},
    "K8sIoApiAutoscalingV2HorizontalPodAutoscalerBehavior": {
        "$ref": f"{DEFINITIONS}/io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior"
    },
    # Not in the SDK: several nodes for one model, and the traffic of Knative.
    "V1alpha1WorkerSpec": {"type": "object"},
    "KnativeDevServingPkgApisServingV1TrafficTarget": {"type": "object"},
}


def from_typescript(source: Source) -> Iterable[tuple[str, Schema]]:
    """Schemas from the declarations of an npm package."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "package.json").write_text("{}")
        settings = {"module": "NodeNext", "moduleResolution": "NodeNext", "strict": True, "skipLibCheck": True}
        (Path(folder) / "tsconfig.json").write_text(json.dumps({"compilerOptions": settings}))
        install = ["npm", "install", "--silent", f"{source.package}@{source.version}", GENERATOR]
        subprocess.run(install, cwd=folder, check=True)
        for name, place in source.types.items():
            kind = f"I{place.rpartition('/')[2]}"
            command = ["npx", "ts-json-schema-generator", "--tsconfig", "tsconfig.json", "--no-type-check"]
            command += ["--expose", "none", "--jsDoc", "none", "--type", kind]
            command += ["--path", f"node_modules/{source.package}/{place}.d.ts"]
            done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
            schema = opened(json.loads(done.stdout)["definitions"][kind])
            schema["properties"]["metadata"] = {"$ref": METADATA}
            yield name, schema


def opened(node: Any) -> Any:
    """Types without a member stand for any object (Go's RawExtension); the generator closes them."""
    if isinstance(node, list):
        return [opened(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("type") == "object" and not node.get("properties") and node.get("additionalProperties") is False:
        return {"type": "object"}
    return {key: opened(value) for key, value in node.items()}


def from_openapi(source: Source) -> Iterable[tuple[str, Schema]]:
    """Schemas from the classes that OpenAPI Generator made for KServe's SDK."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*command, f"{source.package}=={source.version}"], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            files = [name for name in wheel.namelist() if name.startswith("kserve/models/")]
            classes = dict(pair for name in files for pair in classes_in(wheel.read(name).decode()))
    for name, kind in source.types.items():
        definitions: dict[str, Schema] = {}
        root = {**closed(kind, classes, definitions), "required": ["apiVersion", "kind", "metadata", "spec"]}
        group, version, _ = name.split("_")
        root["properties"]["apiVersion"] = {"const": f"{group}/{version}"}
        root["properties"]["kind"] = {"const": re.sub(r"^V\d+(alpha|beta)\d+", "", kind)}
        yield name, {**root, "$defs": definitions}


Class = tuple[dict[str, str], dict[str, str], set[str]]


def classes_in(text: str) -> Iterable[tuple[str, Class]]:
    """Each class with the types of its attributes, their names in JSON, and those that must be there."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef):
            tables = {
                target.id: ast.literal_eval(each.value)
                for each in node.body
                if isinstance(each, ast.Assign) and isinstance(target := each.targets[0], ast.Name)
                if isinstance(each.value, ast.Dict)
            }
            body = ast.get_source_segment(text, node) or ""
            required = set(re.findall(r"Invalid value for `(\w+)`, must not be `None`", body))
            yield node.name, (tables["openapi_types"], tables["attribute_map"], required)


def closed(kind: str, classes: Mapping[str, Class], definitions: dict[str, Schema]) -> Schema:
    """The schema of a class; those of the classes that it uses go to `definitions`."""
    types, names, required = classes[kind]
    schema: Schema = {"type": "object", "additionalProperties": False}
    schema["properties"] = {names[key]: typed(each, classes, definitions) for key, each in types.items()}
    return {**schema, "required": sorted(names[key] for key in required)} if required else schema


def typed(text: str, classes: Mapping[str, Class], definitions: dict[str, Schema]) -> Schema:
    """The schema of a type as the SDK writes it, such as ``dict(str, list[V1Container])``."""
    if found := re.fullmatch(r"list\[(.*)\]", text):
        return {"type": "array", "items": typed(found[1], classes, definitions)}
    if found := re.fullmatch(r"dict\(str, (.*)\)", text):
        return {"type": "object", "additionalProperties": typed(found[1], classes, definitions)}
    if text in PLAIN:
        return PLAIN[text]
    if text not in classes:
        return {"$ref": f"{DEFINITIONS}/io.k8s.api.core.v1.{text.removeprefix('V1')}"}
    if text not in definitions:
        definitions[text] = {}  # before its own members, which may use it
        definitions[text] = closed(text, classes, definitions)
    return {"$ref": f"#/$defs/{text}"}


def main() -> None:
    """Write every schema."""
    derived = [(source, each) for source in NPM for each in from_typescript(source)]
    derived += [(KSERVE, each) for each in from_openapi(KSERVE)]
    for source, (name, schema) in derived:
        said = f"Derived by derive.py from {source.package} {source.version} ({source.licence}), {source.made_from}."
        text = json.dumps({"$comment": said, **schema}, sort_keys=True, separators=(",", ":"))
        (HERE / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()

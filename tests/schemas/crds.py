"""CustomResourceDefinitions made of the schemas beside this file, for a real API server."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
# The status of these is written with the object, and counts in its generation: their originals have no subresource.
WITHOUT_SUBRESOURCE = {"Application", "ServingRuntime"}

Schema = dict[str, Any]


def definitions() -> Iterator[Schema]:
    """One CustomResourceDefinition (apiextensions.k8s.io/v1) a file, with the names that its group uses."""
    for path in sorted(HERE.glob("*_*_*.json")):
        group, version, singular = path.stem.split("_")
        schema = json.loads(path.read_text())
        kind = schema["properties"]["kind"]["const"]
        subresources = {} if kind in WITHOUT_SUBRESOURCE else {"status": {}}
        made = _structural(schema, schema.get("$defs", {}))
        made["properties"]["metadata"] = {"type": "object"}
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{singular}s.{group}"},
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": f"{singular}s", "singular": singular},
                "versions": [
                    {
                        "name": version,
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": made},
                        "subresources": subresources,
                    }
                ],
            },
        }


def _structural(schema: Mapping[str, Any], known: Mapping[str, Schema]) -> Schema:
    """The schema as the API server wants it: without references, each part with one type.

    What refers to Kubernetes' own types, such as a container, may hold anything.
    """
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return _structural(known[name], known) if name in known else dict(ANYTHING)
    if isinstance(schema.get("type"), list):
        return {"x-kubernetes-int-or-string": True}
    made = {key: schema[key] for key in ("type", "enum", "required") if key in schema}
    if "properties" in schema:
        made["properties"] = {name: _structural(each, known) for name, each in schema["properties"].items()}
    elif schema.get("additionalProperties"):
        made["additionalProperties"] = _structural(schema["additionalProperties"], known)
    elif "items" in schema:
        made["items"] = _structural(schema["items"], known)
    elif "const" in schema:
        made["type"] = "string"
    elif made.get("type", "object") == "object":
        return dict(ANYTHING)
    return made

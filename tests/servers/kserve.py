"""What KServe's webhooks make of an InferenceService, and what Argo CD then finds to differ from Git.

As far as the example chart is concerned: pkg/apis/serving/v1beta1/inference_service_defaults.go and
pkg/controller/v1beta1/inferenceservice of KServe 0.20. The recordings of tests/rollouts/recorded.py hold it to that.
"""

import copy
from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]

MODE = "serving.kserve.io/deploymentMode"
RENAMED = {"RawDeployment": "Standard", "Serverless": "Knative"}  # since 0.17


def admitted(manifest: Object) -> Object:
    """The manifest as the API server keeps it."""
    found = copy.deepcopy(manifest)
    if found["kind"] != "InferenceService":
        return found
    annotations = found["metadata"].setdefault("annotations", {})
    if MODE in annotations:
        annotations[MODE] = RENAMED.get(annotations[MODE], annotations[MODE])
    model = found["spec"]["predictor"]["model"]
    annotations["modelFormat"] = model["modelFormat"]["name"]
    model.setdefault("name", "")
    return found


def differences(wanted: Any, live: Any, path: str = "") -> list[str]:
    """The paths at which what is live is not what Git asks for; what is only live is nothing to Argo CD."""
    return list(_differences(wanted, live, path))


def _differences(wanted: Any, live: Any, path: str) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(live, dict):
        for key, value in wanted.items():
            yield from _differences(value, live.get(key), f"{path}.{key}" if path else key)
    elif isinstance(wanted, list) and isinstance(live, list) and len(wanted) == len(live):
        for index, (one, other) in enumerate(zip(wanted, live, strict=True)):
            yield from _differences(one, other, f"{path}.{index}")
    elif wanted != live:
        yield path

"""Wait until an InferenceService serves a version."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadie.errors import RolloutError

GROUP, VERSION, PLURAL = "serving.kserve.io", "v1beta1", "inferenceservices"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
INTERVAL = 5.0  # seconds between two looks


@dataclass(frozen=True)
class Look:
    """What one look at an InferenceService says: whether it is ready, and a clause that says why or why not."""

    ready: bool
    reason: str


def judge(service: Mapping[str, Any], *, version: str, digest: str) -> Look:
    """Whether `service` is ready with the version, by the fields that KServe's v1beta1 API documents.

    The storageUri must name the tag or the digest, the status must be of the current generation, and the condition
    Ready must be True.
    """
    uri = str(service.get("spec", {}).get("predictor", {}).get("model", {}).get("storageUri", ""))
    if not uri.endswith((f":{version}", f"@{digest}")):
        return Look(False, f"its storageUri is {uri or 'not set'}")
    status = service.get("status", {})
    if status.get("observedGeneration", 0) < service.get("metadata", {}).get("generation", 0):
        return Look(False, "KServe has not seen the new storageUri yet")
    conditions = {each.get("type"): each for each in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    if ready.get("status") != "True":
        return Look(False, ready.get("message") or ready.get("reason") or "the condition Ready is not True")
    return Look(True, f"it serves {uri}")


def wait(name: str, namespace: str, *, version: str, digest: str, timeout: float) -> str:
    """Wait until InferenceService `name` is ready with the version.

    Args:
        name: The InferenceService; empty when no cluster serves the model.
        namespace: Its namespace; empty for the pod's own.
        version: The image's tag.
        digest: The image's digest, ``sha256:...``.
        timeout: Seconds to wait.

    Returns:
        ``ready``, or ``skipped`` when `name` is empty.

    Raises:
        RolloutError: it was not ready in time, or the cluster refuses or cannot be reached.
    """
    if not name:
        print("no InferenceService was named: there is no rollout to wait for")
        return "skipped"
    namespace = namespace or _own_namespace()
    deadline = time.monotonic() + timeout
    said = ""
    while True:
        look = judge(_read(name, namespace), version=version, digest=digest)
        if look.reason != said:
            print(f"InferenceService {namespace}/{name}: {look.reason}", flush=True)
            said = look.reason
        if look.ready:
            return "ready"
        if time.monotonic() >= deadline:
            raise RolloutError(
                f"InferenceService {namespace}/{name} did not serve {version} within {timeout:.0f} s: {look.reason}; "
                "see its events with `kubectl describe`"
            )
        time.sleep(min(INTERVAL, max(0.0, deadline - time.monotonic())))


def _own_namespace() -> str:
    return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.is_file() else "default"


def _read(name: str, namespace: str) -> Mapping[str, Any]:
    from kubernetes import client, config
    from urllib3.exceptions import HTTPError

    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config()
        else:
            config.load_kube_config(config_file=os.environ.get("KUBECONFIG"))
        api = client.CustomObjectsApi()
        found: Mapping[str, Any] = api.get_namespaced_custom_object(
            GROUP, VERSION, namespace, PLURAL, name, _request_timeout=(5, 30)
        )
    except config.ConfigException as error:
        raise RolloutError("there is no cluster to ask: run inside one, or set KUBECONFIG to a kubeconfig") from error
    except client.ApiException as error:
        remedy = {
            401: "renew the credentials",
            403: "grant the service account `get` on inferenceservices.serving.kserve.io",
            404: "check its name and namespace, and that KServe is installed",
        }.get(error.status, "try again")
        raise RolloutError(
            f"the cluster answered {error.status} {error.reason} for InferenceService {namespace}/{name}: {remedy}"
        ) from error
    except HTTPError as error:
        raise RolloutError(
            f"the cluster does not answer for InferenceService {namespace}/{name}: check the address in the kubeconfig"
        ) from error
    return found

"""Say something on an InferenceService, where people look: as an Event, which `kubectl describe` shows."""

import uuid
from datetime import UTC, datetime
from http import HTTPStatus

from roadie.errors import RolloutError
from roadie.rollout.cluster import EVENTS, SERVICES, Cluster, RefusedError, named, own_namespace
from roadie.rollout.target import Target

REPORTER = "roadie"
_LONGEST = 1024  # what the API server takes of a message (core/v1 Event validation)


def record_event(target: Target, *, reason: str, message: str, type: str = "Normal") -> str:
    """Record an Event on the target's InferenceService, if that is allowed.

    Made for the end of a run, which must not fail for it: nothing is raised.

    Args:
        target: Its InferenceService; there must be one.
        reason: One word in CamelCase, such as ``RolloutHealthy``.
        message: A sentence; cut to 1024 bytes.
        type: ``Normal`` or ``Warning``.

    Returns:
        "" when it is recorded, else a sentence that says why it is not.
    """
    namespace = target.namespace or own_namespace()
    try:
        cluster = Cluster()
        body = _event(target.inference_service, namespace, _uid(cluster, target, namespace))
        body |= {"reason": reason, "type": type, "message": message.encode()[:_LONGEST].decode(errors="ignore")}
        cluster.ask("create", EVENTS, namespace, body=body)
    except RolloutError as error:
        return f"no Event is recorded on InferenceService {namespace}/{target.inference_service}: {error}"
    return ""


def _uid(cluster: Cluster, target: Target, namespace: str) -> str:
    """The InferenceService's uid, by which `kubectl describe` finds its Events; empty when it may not be read."""
    try:
        found = cluster.list(SERVICES, namespace, **named(target.inference_service))[0]
    except RefusedError as error:
        if error.passing or error.status == HTTPStatus.UNAUTHORIZED:
            raise
        return ""
    return next((str(each["metadata"]["uid"]) for each in found.values()), "")


def _event(name: str, namespace: str, uid: str) -> dict[str, object]:
    """An Event (core/v1) without its words; its name is its own, since Events of one object share a namespace."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    service = {"kind": "InferenceService", "apiVersion": f"{SERVICES.group}/{SERVICES.version}", "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{uuid.uuid4().hex[:16]}", "namespace": namespace},
        "involvedObject": {**service, "name": name, "namespace": namespace},
        "source": {"component": REPORTER},
        "reportingComponent": REPORTER,
        "reportingInstance": "",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }

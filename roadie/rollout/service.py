"""What an InferenceService of KServe says, with its predictor's Deployments and pods."""

from collections.abc import Iterator, Sequence

from roadie.rollout import pods
from roadie.rollout.look import (
    AT_ONCE,
    DEGRADED,
    GRACE,
    HEALTHY,
    LONG,
    PROGRESS,
    SUPERSEDED,
    WAITING,
    Look,
    Object,
    Snapshot,
    at,
    condition,
    items,
    told,
)
from roadie.rollout.target import Wanted

_MODE, _REVISION = "serving.kserve.io/deploymentMode", "serving.knative.dev/revision"
# The reasons of a condition that is False for good; while pods come up it is False as well, with other reasons.
_TERMINAL = {"ReconcileFailed", "ProgressDeadlineExceeded", "Stopped", "RevisionFailed", "InvalidGPUAllocation"}


def storage_uri(service: Object) -> str:
    """Where the predictor has its model from, in any of the places that KServe's v1beta1 API has for it."""
    predictor = at(service, "spec.predictor") or {}
    places = [predictor.get("model"), *predictor.values(), *items(predictor, "storageUris")]
    found = (at(place, path) for place in places for path in ("storageUri", "storage.uri", "uri"))
    return str(next(filter(None, found), ""))


def judge_service(now: Snapshot, first: Object, wanted: Wanted) -> Look:
    """What an InferenceService that is there says of our version.

    Args:
        now: The InferenceService, and its predictor's Deployments and pods.
        first: The InferenceService as it was at the start: the version that it then had is the one to be replaced.
        wanted: Our version.
    """
    uri, old = storage_uri(now.service or {}), storage_uri(first)
    if wanted.named_by(uri):
        return next(look for look in _looks(now, uri, wanted) if look)
    if old and uri != old:
        return Look(SUPERSEDED, f"its storageUri is {uri}, which is neither ours nor what it was", LONG)
    return Look(WAITING, f"its storageUri is {uri or 'not set'}")


def _looks(now: Snapshot, uri: str, wanted: Wanted) -> Iterator[Look | None]:
    """What is wrong or missing in what has our version, the worst first; at last that nothing is."""
    service, alive, deployments = now.service or {}, [pod for pod in now.pods if _is_alive(pod)], now.deployments
    mode = at(service, "status.deploymentMode") or (at(service, "metadata.annotations") or {}).get(_MODE)
    by_knative = mode in {"Serverless", "Knative"} or any(_revision(pod) for pod in alive)
    if by_knative:
        created = at(service, "status.components.predictor.latestCreatedRevision")
        alive, deployments = [pod for pod in alive if _revision(pod) == created], ()
    yield from (pods.failure(pod) for pod in alive if pods.is_ours(pod, wanted))
    yield from (_stuck(deployment, wanted) for deployment in deployments)
    ready = condition(service, "Ready")
    if ready.get("status") != "True":
        yield from _failed(service)
    if not (deployments or by_knative or mode == "ModelMesh"):
        yield Look(PROGRESS, "its predictor has no Deployment yet")
    yield _behind(service, [at(deployment, "status.observedGeneration") for deployment in deployments])
    yield from (_incomplete(deployment, wanted) for deployment in deployments)
    yield _unseen(deployments, alive)
    yield from (pods.progress(pod, wanted) for pod in alive)
    if ready.get("status") != "True":
        yield Look(PROGRESS, told("it is not Ready", ready.get("reason"), ready.get("message")))
    if wanted.image and wanted.image not in uri and "@" not in uri and not any(map(pods.cars, alive)):
        yield Look(PROGRESS, f"it serves {uri}, and nothing shows that this is {wanted.image}:{wanted.version}")
    yield Look(HEALTHY, f"it serves {uri}")


def _is_alive(pod: Object) -> bool:
    """Whether a pod counts: it is neither on its way out nor over, as an evicted one is."""
    return not at(pod, "metadata.deletionTimestamp") and at(pod, "status.phase") not in {"Succeeded", "Failed"}


def _revision(pod: Object) -> str:
    return (at(pod, "metadata.labels") or {}).get(_REVISION) or ""


def _failed(service: Object) -> Iterator[Look]:
    """What KServe itself calls a failure. It may be about the version before, until KServe looks again."""
    model = at(service, "status.modelStatus") or {}
    if model.get("transitionStatus") in {"BlockedByFailedLoad", "InvalidSpec"}:
        info = model.get("lastFailureInfo") or {}
        yield Look(DEGRADED, told(model["transitionStatus"], info.get("reason"), info.get("message")), GRACE)
    for each in items(service, "status.conditions"):
        if each.get("status") == "False" and each.get("reason") in _TERMINAL:
            yield Look(DEGRADED, told(f"{each['type']} is False", each["reason"], each.get("message")), GRACE)


def _behind(service: Object, copied: list[int]) -> Look | None:
    """Whether KServe has yet to act on the current generation.

    In its own status it copies the observed generation of the Deployment (PropagateRawStatus), which may for ever be
    another number than the InferenceService's: then it is current when it is one of `copied`, the Deployments'.
    """
    seen, current = at(service, "status.observedGeneration") or 0, at(service, "metadata.generation") or 0
    if seen < current and seen not in copied:
        return Look(PROGRESS, f"KServe has seen generation {seen}, not yet {current}")
    predictor = at(service, "status.components.predictor") or {}
    newest = predictor.get("latestCreatedRevision")
    for key in ("latestReadyRevision", "latestRolledoutRevision"):
        if not copied and predictor.get(key, newest) != newest:
            return Look(PROGRESS, f"its newest revision is {newest}, its {key} {predictor[key]}")
    return None


def _stuck(deployment: Object, wanted: Wanted) -> Look | None:
    """What a Deployment's conditions call a failure (apps/v1, DeploymentCondition), once it is about our version."""
    if _is_current(deployment) and pods.is_ours(at(deployment, "spec.template") or {}, wanted):
        for kind, bad, patience in (("Progressing", "False", AT_ONCE), ("ReplicaFailure", "True", GRACE)):
            found = condition(deployment, kind)
            if found.get("status") == bad:
                return Look(DEGRADED, told(_name(deployment), found.get("reason"), found.get("message")), patience)
    return None


def _incomplete(deployment: Object, wanted: Wanted) -> Look | None:
    """What is missing before a Deployment is complete: all its replicas are updated and available, none is old."""
    if not pods.is_ours(at(deployment, "spec.template") or {}, wanted):
        return Look(PROGRESS, f"{_name(deployment)} still has the version before")
    if not _is_current(deployment):
        return Look(PROGRESS, f"{_name(deployment)} is changed, and its controller has not looked yet")
    wants = _wanted_replicas(deployment)
    counts = [at(deployment, f"status.{key}") or 0 for key in ("updatedReplicas", "replicas", "availableReplicas")]
    if counts == [wants] * 3:
        return None
    updated, every, available = counts
    said = f"{updated} of {wants} replicas updated, {every - updated} old left, {available} available"
    return Look(PROGRESS, f"{_name(deployment)} has {said}")


def _unseen(deployments: Sequence[Object], alive: Sequence[Object]) -> Look | None:
    """Whether a Deployment counts pods that were not seen yet: only they tell which digest runs.

    Deployments and pods are watched apart, so that the news of either may come first.
    """
    counted = sum(_wanted_replicas(deployment) for deployment in deployments)
    if len(alive) < counted:
        return Look(PROGRESS, f"{len(alive)} of the {counted} pods that its Deployment counts have been seen")
    return None


def _wanted_replicas(deployment: Object) -> int:
    replicas = at(deployment, "spec.replicas")
    return 1 if replicas is None else int(replicas)


def _is_current(deployment: Object) -> bool:
    return bool((at(deployment, "status.observedGeneration") or 0) >= (at(deployment, "metadata.generation") or 0))


def _name(deployment: Object) -> str:
    return f"Deployment {at(deployment, 'metadata.name')}"

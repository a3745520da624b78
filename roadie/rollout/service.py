"""What an InferenceService of KServe says, with its predictor's Deployments and pods."""

from collections.abc import Iterator, Sequence

from roadie.rollout import pods, predictor
from roadie.rollout.look import (
    BLOCKED,
    DEGRADED,
    GRACE,
    HEALTHY,
    LONG,
    PROGRESS,
    SUPERSEDED,
    UNREADY,
    WAITING,
    Look,
    Object,
    Snapshot,
    at,
    condition,
    items,
    told,
)
from roadie.rollout.predictor import Predictor
from roadie.rollout.target import Wanted

_MODE, _REVISION = "serving.kserve.io/deploymentMode", "serving.knative.dev/revision"
# The reasons of a condition that is False for good; while pods come up it is False as well, with other reasons. The
# first are the version's own, the others those of who runs the cluster, or stopped the InferenceService.
_TERMINAL = {
    **dict.fromkeys(("ProgressDeadlineExceeded", "RevisionFailed"), DEGRADED),
    **dict.fromkeys(("ReconcileFailed", "Stopped", "InvalidGPUAllocation"), BLOCKED),
}
# KServe's own words of a model: one that does not load, and a spec for which there is no runtime.
_MODEL = {"BlockedByFailedLoad": (DEGRADED, LONG), "InvalidSpec": (BLOCKED, GRACE)}


def storage_uri(service: Object) -> str:
    """Where the predictor has its model from, that of a canary aside."""
    return predictor.stable(Snapshot(service=service)).storage_uri


def judge_service(now: Snapshot, first: Object, wanted: Wanted, canary: str = "") -> Look:
    """What an InferenceService that is there says of our version.

    Args:
        now: The InferenceService, and its predictor's Deployments and pods.
        first: The InferenceService as it was at the start: the version that it then had is the one to be replaced.
        wanted: Our version.
        canary: The canary that is to serve it; empty for the stable predictor, beside which a canary is nothing.
    """
    main = predictor.stable(now)
    of = predictor.canary(now, canary) if canary else main
    if canary and main.spec.get("name") == canary:
        of = main  # it was promoted
    if of is None:
        return Look(WAITING, f"it has no canary {canary}")
    uri = of.storage_uri
    if wanted.named_by(uri):
        return next(look for look in _looks(now, of, wanted) if look)
    return _other(uri, storage_uri(first), now, wanted, canary)


def _other(uri: str, old: str, now: Snapshot, wanted: Wanted, canary: str) -> Look:
    """Another version than ours is there."""
    where = f"canary {canary}'s storageUri" if canary else "its storageUri"
    beside = "" if canary else _as_canary(now, wanted)
    if old and uri != old and not canary:
        return Look(SUPERSEDED, f"{where} is {uri}, which is neither ours nor what it was{beside}", LONG)
    return Look(WAITING, f"{where} is {uri or 'not set'}{beside}")


def _as_canary(now: Snapshot, wanted: Wanted) -> str:
    """That our version is but a canary."""
    name = next((each.canary for each in predictor.canaries(now) if wanted.named_by(each.storage_uri)), "")
    return f", and {wanted.version or 'ours'} is but its canary {name}" if name else ""


def _looks(now: Snapshot, of: Predictor, wanted: Wanted) -> Iterator[Look | None]:
    """What is wrong or missing in what has our version, the worst first; at last that nothing is."""
    service, alive, deployments = now.service or {}, [pod for pod in of.pods if _is_alive(pod)], of.deployments
    mode = at(service, "status.deploymentMode") or (at(service, "metadata.annotations") or {}).get(_MODE)
    by_knative = mode in {"Serverless", "Knative"} or any(_revision(pod) for pod in alive)
    if by_knative:
        created = at(service, "status.components.predictor.latestCreatedRevision")
        alive, deployments = [pod for pod in alive if _revision(pod) == created], ()
    failures = [look for pod in alive if pods.is_ours(pod, wanted) and (look := pods.failure(pod))]
    yield from sorted(failures, key=lambda look: look.state != DEGRADED)
    yield from (_stuck(deployment, wanted) for deployment in deployments)
    ready = condition(service, "Ready")
    if ready.get("status") != "True" and not of.canary:
        yield from _failed(service)
    if not (deployments or by_knative or mode == "ModelMesh"):
        yield Look(PROGRESS, "its predictor has no Deployment yet")
    if not of.canary:
        yield _behind(service, [at(deployment, "status.observedGeneration") for deployment in deployments])
    yield from (_incomplete(deployment, wanted) for deployment in deployments)
    yield _unseen(deployments, alive)
    yield from (pods.progress(pod, wanted) for pod in alive)
    yield _canary(service, of.canary) if of.canary else _unready(ready, of_pods=mode == "ModelMesh")
    uri = of.storage_uri
    if wanted.image and wanted.image not in uri and "@" not in uri and not any(map(pods.cars, alive)):
        yield Look(PROGRESS, f"it serves {uri}, and nothing shows that this is {wanted.image}:{wanted.version}")
    yield Look(HEALTHY, f"{_serves(service, of)}{pods.unproven(alive, uri, wanted)}")


def _serves(service: Object, of: Predictor) -> str:
    if not of.canary:
        return f"it serves {of.storage_uri}"
    return f"its canary {of.canary} serves {of.storage_uri} at {predictor.traffic(service, of.canary)[0]} %"


def _canary(service: Object, name: str) -> Look | None:
    """What KServe says of a canary: of it, neither Ready nor the observed generation tells (seen with 0.20.0)."""
    percent, seen = predictor.traffic(service, name)
    if not seen or int(seen.get("trafficPercent") or 0) != percent:
        return Look(PROGRESS, f"KServe has yet to give its canary {name} {percent} % of the traffic")
    return None if seen.get("ready") else Look(UNREADY, f"its canary {name} is not ready")


def _unready(ready: Object, *, of_pods: bool) -> Look | None:
    """Whether the InferenceService is Ready: where Deployment and pods are complete, an ingress may be missing."""
    if ready.get("status") == "True":
        return None
    reason = told("it is not Ready", ready.get("reason"), ready.get("message"))
    return Look(UNREADY if of_pods else PROGRESS, reason)


def _is_alive(pod: Object) -> bool:
    """Whether a pod counts: it is neither on its way out nor over, as an evicted one is."""
    return not at(pod, "metadata.deletionTimestamp") and at(pod, "status.phase") not in {"Succeeded", "Failed"}


def _revision(pod: Object) -> str:
    return (at(pod, "metadata.labels") or {}).get(_REVISION) or ""


def _failed(service: Object) -> Iterator[Look]:
    """What KServe itself calls a failure. It may be about the version before, until KServe looks again."""
    model = at(service, "status.modelStatus") or {}
    if model.get("transitionStatus") in _MODEL:
        state, patience = _MODEL[model["transitionStatus"]]
        info = model.get("lastFailureInfo") or {}
        yield Look(state, told(model["transitionStatus"], info.get("reason"), info.get("message")), patience)
    for each in items(service, "status.conditions"):
        if each.get("reason") in _TERMINAL and each.get("status") == "False":
            reason = told(f"{each['type']} is False", each["reason"], each.get("message"))
            yield Look(_TERMINAL[each["reason"]], reason, GRACE)


def _behind(service: Object, copied: list[int]) -> Look | None:
    """Whether KServe has yet to act on the current generation.

    In its own status it copies the observed generation of the Deployment (PropagateRawStatus), which may for ever be
    another number than the InferenceService's: then it is current when it is one of `copied`, the Deployments'.
    """
    seen, current = at(service, "status.observedGeneration") or 0, at(service, "metadata.generation") or 0
    if seen < current and seen not in copied:
        return Look(PROGRESS, f"KServe has seen generation {seen}, not yet {current}")
    parts = at(service, "status.components.predictor") or {}
    newest = parts.get("latestCreatedRevision")
    for key, state in (("latestReadyRevision", UNREADY), ("latestRolledoutRevision", PROGRESS)):
        if not copied and parts.get(key, newest) != newest:
            return Look(state, f"its newest revision is {newest}, its {key} {parts[key]}")
    return None


def _stuck(deployment: Object, wanted: Wanted) -> Look | None:
    """What a Deployment's conditions call a failure (apps/v1, DeploymentCondition), once it is about our version.

    Both have a grace: going back to a ReplicaSet that it has already, the controller says for some 100 ms that it has
    seen the new template, beside the deadline that the version before had exceeded. A quota is not the version's fault.
    """
    if _is_current(deployment) and pods.is_ours(at(deployment, "spec.template") or {}, wanted):
        for kind, bad, state in (("Progressing", "False", DEGRADED), ("ReplicaFailure", "True", BLOCKED)):
            found = condition(deployment, kind)
            if found.get("status") == bad:
                return Look(state, told(_name(deployment), found.get("reason"), found.get("message")), GRACE)
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
    # All that are ours are there, and so many are available: what is left of the old ones is not the version's doing.
    ours = updated == wants and available >= every
    return Look(PROGRESS if ours else UNREADY, f"{_name(deployment)} has {said}")


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

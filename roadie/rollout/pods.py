"""What the predictor's pods say: whose version they run, whether they fail, and with which message."""

from roadie.rollout.look import (
    AT_ONCE,
    DEGRADED,
    GRACE,
    LONG,
    PROGRESS,
    SHORT,
    Look,
    Object,
    at,
    condition,
    items,
    told,
)
from roadie.rollout.target import Wanted

# KServe's webhook makes a pod's containers from this annotation of its template (pkg/constants/constants.go).
SOURCE = "internal.serving.kserve.io/storage-initializer-sourceuri"
MODELCAR = "modelcar"  # the sidecar; its init container is modelcar-init

# A container that waits for another reason than these fails (kubelet/images/types.go, container/sync_result.go).
# The kubelet tries again after each but the final ones: what is wrong with those does not change.
_COMING_UP = {None, "ContainerCreating", "PodInitializing"}
_FINAL = {"InvalidImageName", "ErrImageNeverPull"}
# A model server may start before its modelcar, fail, and be fine: KServe counts on it.
_RESTARTS = 3


def references(template: Object) -> list[str]:
    """The images that a pod or a pod's template has its model from: modelcars, image volumes, or what will be these."""
    cars = [each.get("image") for each in items(template, "spec.initContainers", "spec.containers") if _is_car(each)]
    volumes = [at(each, "image.reference") for each in items(template, "spec.volumes")]
    source = (at(template, "metadata.annotations") or {}).get(SOURCE)
    return [str(reference) for reference in [*cars, *volumes, source] if reference]


def is_ours(template: Object, wanted: Wanted) -> bool:
    """Whether a pod or a pod's template is of our version; one that does not say is."""
    found = references(template)
    return not found or any(wanted.named_by(reference) for reference in found)


def cars(pod: Object) -> list[Object]:
    """The statuses of a pod's modelcars."""
    return [each for each in items(pod, "status.initContainerStatuses", "status.containerStatuses") if _is_car(each)]


def _is_car(container: Object) -> bool:
    return str(container.get("name")).startswith(MODELCAR)


def failure(pod: Object) -> Look | None:
    """Why a pod fails, if it does, in the words of the scheduler or of the kubelet."""
    name = at(pod, "metadata.name")
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("reason") == "Unschedulable":
        return Look(DEGRADED, told(f"pod {name} is Unschedulable", scheduled.get("message")), LONG)
    statuses = items(pod, "status.initContainerStatuses", "status.containerStatuses")
    return next(filter(None, (_container(name, status) for status in statuses)), None)


def _container(pod: str, status: Object) -> Look | None:
    waits, ended = at(status, "state.waiting") or {}, at(status, "state.terminated")
    why, restarts = waits.get("reason"), status.get("restartCount") or 0
    last = ended or at(status, "lastState.terminated") or {}
    crashed = bool(last.get("exitCode")) and not status.get("ready")
    if why in _COMING_UP and not (crashed and (ended or restarts >= _RESTARTS)):
        return None
    how = crashed and f"{last.get('reason')} with exit code {last['exitCode']} after {restarts} restarts"
    reason = told(
        f"container {status['name']} of pod {pod}", why, how, crashed and last.get("message"), waits.get("message")
    )
    return Look(DEGRADED, reason, AT_ONCE if why in _FINAL or restarts >= _RESTARTS else SHORT, (pod, status["name"]))


def progress(pod: Object, wanted: Wanted) -> Look | None:
    """What is missing before a pod serves our version, or None: it is ready, and runs our digest."""
    name, ready = at(pod, "metadata.name"), condition(pod, "Ready")
    if not is_ours(pod, wanted):
        return Look(PROGRESS, f"pod {name} still runs {references(pod)[0]}")
    if ready.get("status") != "True":
        return Look(PROGRESS, told(f"pod {name} is not ready", ready.get("message")))
    for status in cars(pod) if wanted.all_digests else ():
        # Or by the image that was asked for: a runtime may report the platform's manifest of an index.
        containers = items(pod, "spec.initContainers", "spec.containers")
        asked = [each.get("image") for each in containers if each.get("name") == status["name"]]
        if not any(str(image).endswith(wanted.all_digests) for image in (status.get("imageID"), *asked)):
            reason = f"pod {name} runs {status.get('imageID')}, not {wanted.digest}: deploy by digest, tags can move"
            return Look(DEGRADED, reason, GRACE)
    return None

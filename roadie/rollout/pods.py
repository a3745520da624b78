"""What the predictor's pods say: whose version they run, whether they fail, and with which message."""

from collections.abc import Sequence

from roadie.rollout.look import (
    AT_ONCE,
    BLOCKED,
    DEGRADED,
    GRACE,
    LONG,
    PROGRESS,
    SHORT,
    UNREADY,
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
_PULLS = {"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", *_FINAL}
# A Secret or a ConfigMap that is missing, or a hook that the chart has: nothing that a version does.
_NOT_OURS = {"CreateContainerConfigError"}
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
    """Why a pod fails, if it does, in the words of the scheduler or of the kubelet; its own failures come first."""
    name = at(pod, "metadata.name")
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("reason") == "Unschedulable":
        return Look(BLOCKED, told(f"pod {name} is Unschedulable", scheduled.get("message")), LONG)
    statuses = items(pod, "status.initContainerStatuses", "status.containerStatuses")
    looks = [look for status in statuses if (look := _container(pod, status))]
    return min(looks, key=lambda look: look.state != DEGRADED, default=None)


def _container(pod: Object, status: Object) -> Look | None:
    waits, ended = at(status, "state.waiting") or {}, at(status, "state.terminated")
    why, restarts, name = waits.get("reason"), status.get("restartCount") or 0, at(pod, "metadata.name")
    last = ended or at(status, "lastState.terminated") or {}
    crashed = bool(last.get("exitCode")) and not status.get("ready")
    if why in _COMING_UP and not (crashed and (ended or restarts >= _RESTARTS)):
        return None
    how = crashed and f"{last.get('reason')} with exit code {last['exitCode']} after {restarts} restarts"
    reason = told(
        f"container {status['name']} of pod {name}", why, how, crashed and last.get("message"), waits.get("message")
    )
    if not crashed and (why in _NOT_OURS or (why in _PULLS and _names_the_server(pod, status, str(waits)))):
        return Look(BLOCKED, reason, LONG)
    patience = AT_ONCE if why in _FINAL or restarts >= _RESTARTS else SHORT
    return Look(DEGRADED, reason, patience, (str(name), status["name"]))


def _names_the_server(pod: Object, status: Object, message: str) -> bool:
    """Whether a pull that fails is of the model server's image, and not of a modelcar or an image volume."""
    containers = items(pod, "spec.initContainers", "spec.containers")
    server = next((each.get("image") for each in containers if each.get("name") == status.get("name")), None)
    return not _is_car(status) and bool(server) and str(server) in message


def progress(pod: Object, wanted: Wanted) -> Look | None:
    """What is missing before a pod serves our version, or None: it is ready, and runs our digest."""
    name, ready = at(pod, "metadata.name"), condition(pod, "Ready")
    if not is_ours(pod, wanted):
        return Look(PROGRESS, f"pod {name} still runs {references(pod)[0]}")
    if ready.get("status") != "True":
        return Look(UNREADY, told(f"pod {name} is not ready", ready.get("message")))
    for images in _images(pod) if wanted.digest else ():
        # Or by the image that was asked for: a runtime may report the platform's manifest of an index.
        if images[0] and not any(image.endswith(wanted.all_digests) for image in images):
            reason = f"pod {name} runs {images[0]}, not {wanted.digest}: deploy by digest, tags can move"
            return Look(DEGRADED, reason, GRACE)
    return None


def unproven(pods: Sequence[Object], uri: str, wanted: Wanted) -> str:
    """What to add of a version that serves by its tag where nothing shows its digest; "" when it is shown."""
    if not wanted.digest:
        return "; its digest is not known, so none was compared"
    seen = [images[0] for pod in pods for images in _images(pod)]
    if "@" in uri or not pods or (seen and all(seen)):
        return ""
    return "; its node does not tell which digest that is, so the tag is believed: deploy by digest"


def _images(pod: Object) -> list[tuple[str, ...]]:
    """What each modelcar and each image volume of a pod runs ("" where the node does not tell), and was asked to."""
    containers = items(pod, "spec.initContainers", "spec.containers")
    found: list[tuple[str, ...]] = []
    for status in cars(pod):
        asked = [str(each.get("image")) for each in containers if each.get("name") == status["name"]]
        found.append((str(status.get("imageID") or ""), *asked))
    # Kubernetes tells the image of a volume since 1.36, where it is asked to (KEP-5365, ImageVolumeWithDigest).
    mounts = [mount for status in items(pod, "status.containerStatuses") for mount in items(status, "volumeMounts")]
    mounted = {mount.get("name"): at(mount, "volumeStatus.image.imageRef") for mount in mounts}
    volumes = [(each.get("name"), at(each, "image.reference")) for each in items(pod, "spec.volumes")]
    return found + [(str(mounted.get(name) or ""), str(reference)) for name, reference in volumes if reference]

"""What one look at the cluster says, and the few words for reading Kubernetes objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]  # as the Kubernetes API gives it, in JSON

# Our version is not there yet; it is there and comes up; it serves; it fails; another one took its place.
WAITING, PROGRESS, HEALTHY, DEGRADED, SUPERSEDED = "waiting", "progress", "healthy", "degraded", "superseded"

# How long a bad look must last before it counts, in graces (see `wait`): nothing; what a kubelet tries again by itself;
# what a controller may take back when it looks again; what is second-hand, or waits for a node or Argo CD's next poll.
AT_ONCE, SHORT, GRACE, LONG = 0.0, 1 / 3, 1.0, 5.0


@dataclass(frozen=True)
class Look:
    """A state, and a clause that says why; `failing` are the pod and the container whose log tells more."""

    state: str
    reason: str
    patience: float = AT_ONCE
    failing: tuple[str, str] = ("", "")


@dataclass(frozen=True)
class Snapshot:
    """What the cluster holds: None for what is not watched, an empty object for what is not there."""

    application: Object | None = None
    service: Object | None = None
    deployments: Sequence[Object] = ()
    pods: Sequence[Object] = ()


def at(tree: Any, path: str) -> Any:
    """What stands at a dotted `path` of an object, or None."""
    for key in path.split("."):
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def items(tree: Any, *paths: str) -> list[Object]:
    """The objects in the lists at `paths`, one list after the other."""
    return [each for path in paths for each in at(tree, path) or []]


def condition(found: Object, kind: str) -> Object:
    """The condition of that type; empty when there is none."""
    return next((each for each in items(found, "status.conditions") if each.get("type") == kind), {})


def told(*texts: Any) -> str:
    """Those texts that are not empty, as one short line, whatever line breaks a message holds."""
    return " ".join(": ".join(str(text).strip(" .:\n") for text in texts if text).split())[:400]

"""What one look at the cluster says, and the few words for reading Kubernetes objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LINE = 400  # characters of a reason
Object = Mapping[str, Any]  # as the Kubernetes API gives it, in JSON

# Our version is not there yet; somebody else has still to act on it; it comes up itself; it serves.
WAITING, PROGRESS, UNREADY, HEALTHY = "waiting", "progress", "unready", "healthy"
# It fails by itself; something else than the version stands in its way; another one took its place.
DEGRADED, BLOCKED, SUPERSEDED = "degraded", "blocked", "superseded"

# How long a bad look must last before it counts, in graces (see `wait`): nothing; what a kubelet tries again by itself;
# what a controller may take back when it looks again; what is second-hand, or waits for a node or Argo CD's next poll.
AT_ONCE, SHORT, GRACE, LONG = 0.0, 1 / 3, 1.0, 5.0


@dataclass(frozen=True)
class Look:
    """A state, and a clause that says why; `failing` are the pod and the container whose log tells more.

    `aside` is what an Application says that is but a remark beside an InferenceService that serves our version.
    """

    state: str
    reason: str
    patience: float = AT_ONCE
    failing: tuple[str, str] = ("", "")
    aside: bool = False


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
    """Those texts that are not empty, as one short line, whatever line breaks a message holds.

    Of a long one both ends are kept: Helm's and the kubelet's messages say at their end what is wrong.
    """
    line = " ".join(": ".join(str(text).strip(" .:\n") for text in texts if text).split())
    return line if len(line) <= _LINE else f"{line[: _LINE // 2 - 5]} ... {line[-_LINE // 2 :]}"

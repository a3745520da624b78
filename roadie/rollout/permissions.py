"""What the calls of this room need to be allowed, for a Role and for the test that compares one with it."""

from dataclasses import dataclass

from roadie.rollout.cluster import APPLICATIONS, DEPLOYMENTS, EVENTS, PODS, SERVICES


@dataclass(frozen=True)
class Permission:
    """A rule of a Role (rbac.authorization.k8s.io/v1, PolicyRule): `resource` may name a subresource after a slash.

    Where `by_name` is True, the rule may be narrowed by ``resourceNames``: the object is asked for by its name
    (``fieldSelector=metadata.name=...``).
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    by_name: bool = False


_FOLLOW = ("list", "watch")

# Applications are in the namespace of Argo CD, all the others in that of the InferenceService.
PERMISSIONS = (
    Permission(APPLICATIONS.group, APPLICATIONS.plural, _FOLLOW, "whether Argo CD has synced the version", True),
    Permission(SERVICES.group, SERVICES.plural, _FOLLOW, "whether KServe is ready with the version", True),
    Permission(DEPLOYMENTS.group, DEPLOYMENTS.plural, _FOLLOW, "whether every replica of the predictor is updated"),
    Permission(PODS.group, PODS.plural, _FOLLOW, "which digest the predictor runs, and why it fails"),
    Permission(PODS.group, f"{PODS.plural}/log", ("get",), "the last lines of a container that fails"),
    Permission(EVENTS.group, EVENTS.plural, ("create",), "a line on the InferenceService at the end of a run"),
)

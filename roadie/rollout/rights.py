"""Whether an account may do what a wait asks for, as the API server itself says it (access reviews)."""

from collections.abc import Iterator
from dataclasses import dataclass

from roadie.rollout.cluster import APPLICATIONS, Cluster, Kind, own_namespace
from roadie.rollout.look import at
from roadie.rollout.permissions import PERMISSIONS, Permission
from roadie.rollout.target import Target

# authorization.k8s.io/v1 and authentication.k8s.io/v1; everybody may ask about themselves.
_ABOUT_ONESELF = Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews")
_ABOUT_OTHERS = Kind("authorization.k8s.io", "v1", "subjectaccessreviews")
_WHO = Kind("authentication.k8s.io", "v1", "selfsubjectreviews")


@dataclass(frozen=True)
class Rights:
    """Who was asked about, and what is missing by namespace, such as ``list pods``; nothing when all is granted."""

    who: str
    lacking: dict[str, tuple[str, ...]]


def rights(target: Target, account: str = "") -> Rights:
    """Ask whether everything that a wait for `target` and its Event need is allowed.

    Args:
        target: What would be waited for.
        account: A user as RBAC names it, such as ``system:serviceaccount:kubeflow:pipeline-runner``; to ask about it
            needs the right to create subjectaccessreviews. Empty to ask about the credentials at hand.

    Raises:
        RolloutError: there is no cluster, or it refuses to say.
    """
    cluster, lacking = Cluster(), dict[str, tuple[str, ...]]()
    for permission, namespace, name in _needed(target):
        for verb in permission.verbs:
            if not _allowed(cluster, account, permission, verb, namespace, name):
                resource = ".".join(filter(None, (permission.resource, permission.group)))
                lacking[namespace] = (*lacking.get(namespace, ()), f"{verb} {resource}")
    return Rights(account or _who(cluster), lacking)


def _needed(target: Target) -> Iterator[tuple[Permission, str, str]]:
    """What is needed where, and of which object alone."""
    for permission in PERMISSIONS:
        of_argo_cd = permission.group == APPLICATIONS.group
        named = target.application if of_argo_cd else target.inference_service
        namespace = target.application_namespace if of_argo_cd else target.namespace or own_namespace()
        if named:
            yield permission, namespace, named if permission.by_name else ""


def _allowed(cluster: Cluster, account: str, permission: Permission, verb: str, namespace: str, name: str) -> bool:
    resource, _, subresource = permission.resource.partition("/")
    asked = {"namespace": namespace, "group": permission.group, "resource": resource, "verb": verb, "name": name}
    spec = {"resourceAttributes": {**asked, "subresource": subresource}, **({"user": account} if account else {})}
    kind = _ABOUT_OTHERS if account else _ABOUT_ONESELF
    return at(cluster.create(kind, {"spec": spec}), "status.allowed") is True


def _who(cluster: Cluster) -> str:
    return str(at(cluster.create(_WHO, {}), "status.userInfo.username"))

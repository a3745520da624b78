"""Which Deployment and which pods are those of the version: the stable one's, or a canary's.

KServe 0.20 gives a canary a Deployment of its own, with the two labels of the stable one (pkg/apis/serving/v1beta1,
`CanarySpec`): only their names tell them apart. The stable one's is ``{service}-predictor``, or
``{service}-{predictor.name}-predictor`` where that is set, which is how a canary is promoted without a restart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from roadie.rollout.look import Object, Snapshot, at, items


@dataclass(frozen=True)
class Predictor:
    """What serves a version: `spec` is the InferenceService's for it, `canary` its name where it is one."""

    spec: Object
    deployments: Sequence[Object]
    pods: Sequence[Object]
    canary: str = ""

    @property
    def storage_uri(self) -> str:
        """Where it has its model from, in any of the places that KServe's v1beta1 API has for it."""
        places = [self.spec.get("model"), *self.spec.values(), *items(self.spec, "storageUris")]
        found = (at(place, path) for place in places for path in ("storageUri", "storage.uri", "uri"))
        return str(next(filter(None, found), ""))


def stable(now: Snapshot) -> Predictor:
    """The predictor that is no canary."""
    spec = at(now.service, "spec.predictor") or {}
    deployments, pods = _named(now, spec.get("name") or "")
    if not deployments and not (spec.get("name") or _declared(now.service)):
        return Predictor(spec, now.deployments, now.pods)  # Knative and older versions of KServe have other names
    return Predictor(spec, deployments, pods)


def canary(now: Snapshot, name: str) -> Predictor | None:
    """The canary of that name; None when the InferenceService asks for none."""
    entries = [at(each, "predictor") or {} for each in items(now.service, "spec.canary")]
    spec = next((each for each in entries if each.get("name") == name), None)
    return None if spec is None else Predictor(spec, *_named(now, name), canary=name)


def canaries(now: Snapshot) -> list[Predictor]:
    """All canaries that the InferenceService asks for."""
    names = [str(at(each, "predictor.name")) for each in items(now.service, "spec.canary")]
    return [found for name in names if (found := canary(now, name))]


def traffic(service: Object | None, name: str) -> tuple[int, Object]:
    """The percentage that a canary is to have, and what KServe says of it (empty when it has not looked)."""
    asked = next((each for each in items(service, "spec.canary") if at(each, "predictor.name") == name), {})
    seen = next((each for each in items(service, "status.canaryStatuses") if each.get("name") == name), {})
    return int(asked.get("trafficPercent") or 0), seen


def _declared(service: Object | None) -> list[Object]:
    return items(service, "spec.canary", "status.canaryStatuses")


def _named(now: Snapshot, part: str) -> tuple[list[Object], list[Object]]:
    """The Deployments of that part of the predictor (a node group's may follow its name), and their pods."""
    own = "-".join(filter(None, (at(now.service, "metadata.name"), part, "predictor")))
    deployments = [each for each in now.deployments if _is(str(at(each, "metadata.name")), own)]
    selectors = [at(each, "spec.selector.matchLabels") or {"app": f"isvc.{own}"} for each in deployments]
    selectors = selectors or [{"app": f"isvc.{own}"}]
    return deployments, [pod for pod in now.pods if any(_selects(selector, pod) for selector in selectors)]


def _is(name: str, own: str) -> bool:
    return name == own or (name.startswith(f"{own}-") and not name.endswith("-predictor"))


def _selects(selector: Object, pod: Object) -> bool:
    """Whether a pod is selected; one without labels, or of Knative's, cannot be told apart and is."""
    labels = at(pod, "metadata.labels") or {}
    return all(labels.get(key, value) == value for key, value in selector.items())

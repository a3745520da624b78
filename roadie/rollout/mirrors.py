"""All that a rollout is judged by: the Application, the InferenceService, and its predictor's Deployments and pods."""

import threading
from collections.abc import Iterator

from roadie.errors import RolloutError
from roadie.rollout.cluster import APPLICATIONS, DEPLOYMENTS, PODS, SERVICES, Cluster, Kind, named
from roadie.rollout.look import Object, Snapshot
from roadie.rollout.mirror import Mirror
from roadie.rollout.target import Target

# What KServe puts on all that it makes for an InferenceService (pkg/constants/constants.go).
_SERVICE, _COMPONENT = "serving.kserve.io/inferenceservice", "component"
_PRODUCTS = {APPLICATIONS: "Argo CD", SERVICES: "KServe"}


class Mirrors:
    """A mirror of each kind, in a thread of its own while the block lasts."""

    def __init__(self, cluster: Cluster, target: Target) -> None:
        of_predictor = {"labelSelector": f"{_SERVICE}={target.inference_service},{_COMPONENT}=predictor"}
        wanted: dict[Kind, tuple[str, dict[str, str]]] = {}
        if target.application:
            wanted[APPLICATIONS] = target.application_namespace, named(target.application)
        if target.inference_service:
            wanted[SERVICES] = target.namespace, named(target.inference_service)
            wanted[DEPLOYMENTS] = wanted[PODS] = target.namespace, of_predictor
        self._mirrors = {kind: Mirror(cluster, kind, *where) for kind, where in wanted.items()}
        self._changed, self._stop = threading.Event(), threading.Event()

    def __enter__(self) -> "Mirrors":
        for mirror in self._mirrors.values():
            threading.Thread(target=mirror.follow, args=(self._stop, self._changed.set), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for mirror in self._mirrors.values():
            mirror.close()

    def wait(self, seconds: float) -> None:
        """Wait for a change, at most so many seconds."""
        self._changed.wait(seconds)
        self._changed.clear()

    def trouble(self) -> str:
        """Why nothing can be said right now; "" when something can.

        Raises:
            RolloutError: nothing can be said at all.
        """
        mirrors = self._mirrors.values()
        for mirror in mirrors:
            if mirror.failure:
                raise mirror.failure
        if all(mirror.absent for kind, mirror in self._mirrors.items() if kind in _PRODUCTS):
            absent = " and no ".join(_PRODUCTS[kind] for kind in self._mirrors if kind in _PRODUCTS)
            raise RolloutError(f"this cluster has no {absent}, so nothing in it can tell whether the version serves")
        asked = "asking the cluster" if any(mirror.objects is None for mirror in mirrors) else ""
        return next((mirror.trouble for mirror in mirrors if mirror.trouble), asked)

    def remarks(self) -> Iterator[str]:
        """What is not as it usually is, though one can live with it."""
        for kind, mirror in self._mirrors.items():
            if mirror.absent and kind in _PRODUCTS:
                yield f"this cluster has no {_PRODUCTS[kind]}: the rest is watched without it"
            if mirror.polls:
                yield f"watching {kind.plural} is forbidden, so they are listed every few seconds"

    def snapshot(self) -> Snapshot:
        """What the cluster holds now."""
        return Snapshot(self._one(APPLICATIONS), self._one(SERVICES), self._all(DEPLOYMENTS), self._all(PODS))

    def _one(self, kind: Kind) -> Object | None:
        mirror = self._mirrors.get(kind)
        return None if mirror is None or mirror.absent else next(iter(self._all(kind)), {})

    def _all(self, kind: Kind) -> list[Object]:
        mirror = self._mirrors.get(kind)
        return list((mirror.objects or {}).values()) if mirror else []

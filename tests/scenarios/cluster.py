"""A cluster that follows Git: Argo CD and KServe as far as Roadie sees them, on a Kubernetes API in memory.

Whenever the GitOps repository's tip asks for another version, the Application of that environment gets its values, its
InferenceService the new storageUri, and a new pod comes up, or does not.
"""

import copy
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from roadie import modelcar
from tests.rollouts import load, merged
from tests.servers.kubernetes_api import KubernetesApi

ENVIRONMENTS = ("test", "stage")
Object = dict[str, Any]

WAITING = {"ready": False, "restartCount": 0, "imageID": ""}
BACK_OFF = {"reason": "ImagePullBackOff", "message": "Back-off pulling image: no such host"}


@dataclass
class FollowingCluster:
    """What `repository` (bare) asks for runs, except what `fails` says will not."""

    repository: Path
    image: str
    fails: Callable[[str, str], bool] = lambda _environment, _version: False
    digests: dict[str, str] = field(default_factory=dict)  # what nodes call a version, where that is not its digest
    address: str = "http://jukebox-predictor.mlops-test.svc.cluster.local"  # what KServe says where it answers
    _base: Object = field(default_factory=lambda: load("base"))
    _deployed: dict[str, str] = field(default_factory=dict)

    def look(self, api: KubernetesApi) -> None:
        """Bring the cluster to what the tip asks for."""
        for environment in ENVIRONMENTS:
            version = self._asked(environment)
            if self._deployed.get(environment) == version:
                continue
            api.apply(*self._objects(environment, version))
            self._deployed[environment] = version
            if not self.fails(environment, version):
                self._end_other_pods(api, f"mlops-{environment}", f"jukebox-predictor-{version}")

    def forget(self) -> None:
        """Make all anew at the next look, as after a restart of every node."""
        self._deployed.clear()

    def _end_other_pods(self, api: KubernetesApi, namespace: str, stays: str) -> None:
        for pod in api.all("Pod"):
            meta = pod["metadata"]
            if meta["namespace"] == namespace and meta["name"] != stays:
                api.remove("Pod", namespace, meta["name"])

    def _asked(self, environment: str) -> str:
        shown = subprocess.run(
            ["git", "-C", str(self.repository), "show", f"main:{environment}/values.yaml"],
            capture_output=True,
            check=True,
        )
        return str(yaml.safe_load(shown.stdout)["applications"]["jukebox"]["values"]["version"])

    def _objects(self, environment: str, version: str) -> list[Object]:
        digest = self.digests.get(version) or modelcar.resolve(f"{self.image}:{version}") or ""
        uri = f"oci://registry.example.com/jukebox:{version}"
        source = {"helm": {"releaseName": "jukebox", "valuesObject": {"name": "jukebox", "version": version}}}
        pod = {
            "metadata": {"name": f"jukebox-predictor-{version}"},
            "spec": {
                "initContainers": [{"name": "modelcar-init", "image": uri.removeprefix("oci://")}],
                "containers": [
                    {"name": "kserve-container", "image": "openvino/model_server:2025.1"},
                    {"name": "modelcar", "image": uri.removeprefix("oci://")},
                ],
            },
        }
        annotated = {"annotations": {"internal.serving.kserve.io/storage-initializer-sourceuri": uri}}
        patches: dict[str, list[Object]] = {
            "child": [
                {"metadata": {"name": f"jukebox-{environment}"}, "spec": {"source": source}},
                {"status": {"sync": {"comparedTo": {"source": source}}}},
            ],
            "service": [
                {"spec": {"predictor": {"model": {"storageUri": uri}}}},
                {"status": {"address": {"url": self.address}}},
            ],
            "deployment": [{"spec": {"template": {"metadata": annotated}}}],
            "new-pod": [pod, {"metadata": annotated}, {"status": self._status(environment, version, digest)}],
        }
        made = []
        for name, changes in patches.items():
            found = copy.deepcopy(self._base[name])
            for change in changes:
                found = merged(found, change)
            made.append(self._in(environment, found, failing=self.fails(environment, version)))
        return made

    def _in(self, environment: str, found: Object, *, failing: bool) -> Object:
        """The object in the environment's namespace, its status of the generation that it is about to have."""
        if found["kind"] != "Application":
            found["metadata"]["namespace"] = f"mlops-{environment}"
        generation = 1 + len(self._deployed)
        found["metadata"]["generation"] = generation
        if found["kind"] in {"InferenceService", "Deployment"}:
            found["status"]["observedGeneration"] = 99
        if found["kind"] == "Deployment" and failing:
            found["status"] |= {"replicas": 2, "updatedReplicas": 1}
        return found

    def _status(self, environment: str, version: str, digest: str) -> Object:
        """The new pod's status: it runs the image, or its image cannot be pulled."""
        if self.fails(environment, version):
            waiting = {"name": "modelcar-init", **WAITING, "state": {"waiting": BACK_OFF}}
            return {"phase": "Pending", "initContainerStatuses": [waiting]}
        image = f"registry.example.com/jukebox@{digest}"
        running = {"ready": True, "restartCount": 0, "state": {"running": {}}}
        done = {"name": "modelcar-init", "ready": True, "restartCount": 0, "imageID": image}
        return {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "initContainerStatuses": [{**done, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}],
            "containerStatuses": [
                {"name": "kserve-container", **running},
                {"name": "modelcar", **running, "imageID": image},
            ],
        }

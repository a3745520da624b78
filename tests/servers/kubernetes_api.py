"""A cluster as Roadie's steps see it: a real API server, their own account with deploy/rbac, and a proxy for faults.

Tests are its controllers, its Argo CD, KServe and kubelet: they write objects and their status as the administrator.
`KubernetesApi.kubeconfig` leads through the proxy, with a token of the account that deploy/rbac names and no right but
those; what is tested may be a thread of this process, or another one with KUBECONFIG set to it.
"""

import contextlib
import copy
import functools
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.servers.kubelet import LOGS, NODE, start_kubelet
from tests.servers.kubernetes_proxy import Asked, KubernetesProxy, Refusal, before
from tests.servers.kubernetes_server import PATIENCE, ApiError, KubernetesServer, kubernetes_server

Object = dict[str, Any]
Right = tuple[str, str, str, str]  # group, resource, verb, and the only name or none

RBAC = Path(__file__).resolve().parents[2] / "deploy" / "rbac"
ACCOUNT = ("kubeflow", "pipeline-runner")
USER = f"system:serviceaccount:{':'.join(ACCOUNT)}"
ARGOCD = "argocd"
NAMESPACES = (ARGOCD, "music", "mlops-test", "mlops-stage")  # where tests deploy
KINDS = {
    "Application": "/apis/argoproj.io/v1alpha1/{}applications",
    "InferenceService": "/apis/serving.kserve.io/v1beta1/{}inferenceservices",
    "Deployment": "/apis/apps/v1/{}deployments",
    "Pod": "/api/v1/{}pods",
    "Event": "/api/v1/{}events",
}
ROLES = "/apis/rbac.authorization.k8s.io/v1/{}roles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/{}rolebindings"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
STRICT = "?fieldValidation=Strict"
# Written with the object; the status of all the others is a resource of its own.
WITHOUT_SUBRESOURCE = {"Application", "Event"}


def below(path: str, namespace: str, name: str = "") -> str:
    """The path of a kind's objects in a namespace, or of one of them."""
    return path.format(f"namespaces/{namespace}/") + (f"/{name}" if name else "")


@dataclass
class KubernetesApi:
    """What the cluster holds and was asked. All methods may be called from any thread."""

    kubeconfig: Path
    server: KubernetesServer
    proxy: KubernetesProxy

    @property
    def url(self) -> str:
        """Where the proxy is."""
        return self.proxy.url

    @property
    def asked(self) -> list[Asked]:
        """What came through the proxy."""
        return self.proxy.asked

    @property
    def absent(self) -> set[str]:
        """The API groups that the cluster does not know."""
        return self.proxy.absent

    @property
    def logs(self) -> dict[str, str]:
        """What containers said, by ``pod/container`` or, for a life that is over, ``pod/container/previous``."""
        return LOGS

    @property
    def used(self) -> set[tuple[str, str, str]]:
        """What a Role must allow for what was asked: group, resource and verb."""
        return {(each.group, each.resource, each.verb) for each in self.asked}

    def apply(self, *objects: Object) -> None:
        """Create or replace objects, each with its status, as its controller writes it: after what it is about."""
        for found in objects:
            self._apply(copy.deepcopy(found))

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """An object."""
        try:
            return dict(self.server.ask("GET", below(KINDS[kind], namespace, name)))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def all(self, kind: str) -> list[Object]:
        """All objects of a kind, in the order in which they were last written."""
        found = self.server.ask("GET", KINDS[kind].format(""))["items"]
        mine = [each for each in found if each["metadata"]["namespace"] != "default"]
        return sorted(mine, key=lambda each: int(each["metadata"]["resourceVersion"]))

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object, as Argo CD does when it prunes, and a kubelet when a pod has ended."""
        self.server.ask("DELETE", below(KINDS[kind], namespace, name), {"gracePeriodSeconds": 0})

    def _apply(self, found: Object) -> None:
        kind, meta = found["kind"], found["metadata"]
        namespace, name, ends = meta["namespace"], meta["name"], meta.pop("deletionTimestamp", None)
        path, status = below(KINDS[kind], namespace, name), found.get("status")
        if kind == "Pod":
            found["spec"].setdefault("nodeName", NODE)
        if before := self.get(kind, namespace, name):
            meta["resourceVersion"] = before["metadata"]["resourceVersion"]
            now = self.server.ask("PUT", path + STRICT, found)
        else:
            meta.pop("resourceVersion", None)
            now = self.server.ask("POST", below(KINDS[kind], namespace) + STRICT, found)
        if status and kind not in WITHOUT_SUBRESOURCE:
            self.server.ask("PUT", f"{path}/status{STRICT}", {**now, "status": status})
        if ends and not now["metadata"].get("deletionTimestamp"):
            self.server.ask("DELETE", path)

    def await_watches(self, count: int, timeout: float = 60.0) -> None:
        """Return once so many watches are open."""
        deadline = time.monotonic() + timeout
        while len(self.proxy.watches) != count:
            assert time.monotonic() < deadline, f"{len(self.proxy.watches)} watches are open, not {count}"
            time.sleep(0.01)

    def drop(self) -> None:
        """Cut every connection that a watch is open on."""
        self.proxy.cut()

    def forget(self) -> None:
        """Compact, and cut the watches: going on where it was, that of pods is answered with 410."""
        self.server.compact()
        self.proxy.cut()

    def hush(self) -> None:
        """Let every watch that is open tell nothing any more, as when the other end is gone."""
        self.proxy.hush()

    def refuse(
        self, status: int, verb: str = "", resource: str = "", times: float = float("inf"), message: str = ""
    ) -> None:
        """Answer requests of this verb and resource (any when empty) with an error."""
        self.proxy.refusals.append(Refusal(status, verb, resource, times, message))

    def stop(self) -> None:
        """Go away: every connection is cut, and none is answered any more."""
        self.proxy.stopped.set()
        self.proxy.cut()

    @contextlib.contextmanager
    def without(self, group: str, resource: str, verb: str) -> Iterator[None]:
        """Take a verb from the Roles of deploy/rbac while the block lasts."""
        with self._roles(lambda rights: rights - {(group, resource, verb, "")}):
            yield

    @contextlib.contextmanager
    def narrowed(self, names: Mapping[str, str]) -> Iterator[None]:
        """Let the Roles of deploy/rbac allow only the object of that name, by resource, while the block lasts."""
        with self._roles(lambda rights: {(*each[:3], names.get(each[1], "")) for each in rights}):
            yield

    @contextlib.contextmanager
    def _roles(self, change: Callable[[set[Right]], set[Right]]) -> Iterator[None]:
        granted = {namespace: _rights(namespace) for namespace in NAMESPACES}
        changed = {namespace: change(rights) for namespace, rights in granted.items() if change(rights) != rights}
        try:
            for namespace, rights in changed.items():
                _write_role(self.server, namespace, rights, granted[namespace])
            yield
        finally:
            for namespace, rights in changed.items():
                _write_role(self.server, namespace, granted[namespace], rights)

    @contextlib.contextmanager
    def following(self, look: Callable[["KubernetesApi"], None], every: float = 0.1) -> Iterator[None]:
        """Call `look` again and again while the block lasts: a controller, such as one that reads Git's tip."""
        ended = threading.Event()
        errors: list[BaseException] = []

        def run() -> None:
            try:
                while not ended.wait(every):
                    look(self)
            except BaseException as error:  # noqa: BLE001 - it is raised below
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        for error in errors:
            raise error


@contextlib.contextmanager
def serve_kubernetes(folder: Path) -> Iterator[KubernetesApi]:
    """A cluster with nothing in it until the block ends, with a kubeconfig in `folder` that leads there."""
    server = kubernetes_server()
    start_kubelet(server)
    for namespace in NAMESPACES:
        _prepare(server, namespace)
    clear(server)
    with before(server) as proxy:
        path = folder / "kubeconfig"
        path.write_text(json.dumps(server.kubeconfig(account_token(server), proxy.url)))
        yield KubernetesApi(path, server, proxy)


def clear(server: KubernetesServer) -> None:
    LOGS.clear()
    for path in KINDS.values():
        found = server.ask("GET", path.format(""))["items"]
        for namespace in {each["metadata"]["namespace"] for each in found} - {"default"}:
            server.ask("DELETE", below(path, namespace), {"gracePeriodSeconds": 0})


@functools.cache
def account_token(server: KubernetesServer) -> str:
    """A token of the account that deploy/rbac names."""
    return server.token(*ACCOUNT)


@functools.cache
def _prepare(server: KubernetesServer, namespace: str) -> None:
    """Make a namespace, and apply deploy/rbac in it, as its comments say."""
    server.ensure_namespace(namespace)
    server.ensure(below(BINDINGS, namespace), _manifests(namespace)[1])
    _write_role(server, namespace, _rights(namespace), set())


def _manifests(namespace: str) -> list[Object]:
    """The Role and the RoleBinding of deploy/rbac for a namespace."""
    name = "rollout-argocd.yaml" if namespace == ARGOCD else "rollout.yaml"
    return list(yaml.safe_load_all((RBAC / name).read_text(encoding="utf-8")))


def _rights(namespace: str) -> set[Right]:
    rules = _manifests(namespace)[0]["rules"]
    return {
        (*right, "")
        for rule in rules
        for right in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }


def _write_role(server: KubernetesServer, namespace: str, rights: set[Right], before: set[Right]) -> None:
    """Write the Role with these rights instead of those before, and wait until the authoriser knows it."""
    role = _manifests(namespace)[0]
    role["rules"] = [
        {"apiGroups": [group], "resources": [resource], "verbs": [verb], "resourceNames": [name] if name else []}
        for group, resource, verb, name in sorted(rights)
    ]
    server.ensure(below(ROLES, namespace), role)
    for right in rights ^ before:
        _await_right(server, namespace, right, bool(rights & {right, (*right[:3], "")}))


def _await_right(server: KubernetesServer, namespace: str, right: Right, allowed: bool) -> None:
    group, path, verb, name = right
    resource, _, subresource = path.partition("/")
    asked = {"group": group, "resource": resource, "subresource": subresource, "verb": verb, "name": name}
    review = {"spec": {"user": USER, "resourceAttributes": {**asked, "namespace": namespace}}}
    deadline = time.monotonic() + PATIENCE
    while server.ask("POST", REVIEWS, review)["status"]["allowed"] is not allowed:
        assert time.monotonic() < deadline, f"{right} did not become {allowed} in {namespace}"
        time.sleep(0.01)

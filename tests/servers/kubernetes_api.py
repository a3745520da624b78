"""A Kubernetes API server in memory: list, watch, get and create, with the faults that a rollout meets.

kmock speaks the API's HTTP (paths, verbs, Status objects, discovery, streams); this adds what watching needs and kmock
leaves out: resourceVersions, selectors, bookmarks, forgotten versions (410 Gone) and dropped connections, as
"Kubernetes API Concepts" documents them. It runs in a thread with a loop of its own, so what is tested may be a thread
of this process, or another process with KUBECONFIG set to `KubernetesApi.kubeconfig`.
"""

import asyncio
import contextlib
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kmock

Object = dict[str, Any]

KINDS = {
    "Application": ("argoproj.io", "v1alpha1", "applications"),
    "InferenceService": ("serving.kserve.io", "v1beta1", "inferenceservices"),
    "Deployment": ("apps", "v1", "deployments"),
    "Pod": ("", "v1", "pods"),
    "Event": ("", "v1", "events"),
}
VERBS = {
    kmock.action.LIST: "list",
    kmock.action.WATCH: "watch",
    kmock.action.FETCH: "get",
    kmock.action.CREATE: "create",
}
USER = "system:serviceaccount:music:pipeline-runner"


@dataclass(frozen=True)
class Asked:
    """One request, as RBAC sees it: a subresource is in `resource` after a slash."""

    verb: str
    group: str
    resource: str
    namespace: str
    params: Mapping[str, str]
    authorization: str


@dataclass
class Refusal:
    """What is refused, and with which status; `times` counts down."""

    status: int
    verb: str
    resource: str
    times: float
    message: str


@dataclass
class KubernetesApi:
    """What the server holds and was asked. All methods may be called from any thread.

    `absent` are the API groups that the cluster does not know, `logs` what containers said, by ``pod/container`` or,
    for a life that is over, ``pod/container/previous``.
    """

    kubeconfig: Path
    asked: list[Asked] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    logs: dict[str, str] = field(default_factory=dict)
    url: str = ""
    _objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)  # by plural, namespace and name
    _changes: list[tuple[int, str, str, Object]] = field(default_factory=list)  # version, plural, type, object
    _version: int = 1000
    _forgotten: int = 0
    _refusals: list[Refusal] = field(default_factory=list)
    _open: dict[kmock.Request, int] = field(default_factory=dict)  # the watches, and the version they have come to
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def used(self) -> set[tuple[str, str, str]]:
        """What a Role must allow for what was asked: group, resource and verb."""
        return {(each.group, each.resource, each.verb) for each in self.asked}

    def await_watches(self, count: int, timeout: float = 60.0) -> None:
        """Return once so many watches are open, and have been told all that there is to tell."""
        deadline = time.monotonic() + timeout
        while len(self._open) != count or any(came_to < self._version for came_to in self._open.values()):
            assert time.monotonic() < deadline, f"{len(self._open)} watches are open, not {count}"
            time.sleep(0.01)

    def apply(self, *objects: Object) -> None:
        """Create or replace objects; their generation grows with their spec."""
        self._do(lambda: [self._put(json.loads(json.dumps(found))) for found in objects])

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """A copy of an object."""
        found = self._objects.get((KINDS[kind][2], namespace, name))
        return json.loads(json.dumps(found)) if found else None

    def all(self, kind: str) -> list[Object]:
        """All objects of a kind."""
        return [found for (plural, _, _), found in self._objects.items() if plural == KINDS[kind][2]]

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Delete an object, as Argo CD does when it prunes."""
        self._do(lambda: self._note("DELETED", KINDS[kind][2], self._objects.pop((KINDS[kind][2], namespace, name))))

    def drop(self) -> None:
        """Cut every connection that a watch is open on."""
        self._do(lambda: [_cut(request) for request in list(self._open)])

    def forget(self) -> None:
        """Compact: a watch from any version before now is answered with 410, those that are open end with it."""
        self._do(lambda: self._set_forgotten(self._note("FORGET", "", {})))

    def bookmark(self) -> None:
        """Tell every watch that asked for bookmarks which version it has come to."""
        self._do(lambda: self._note("BOOKMARK", "", {}))

    def refuse(
        self, status: int, verb: str = "", resource: str = "", times: float = float("inf"), message: str = ""
    ) -> None:
        """Answer requests of this verb and resource (any when empty) with an error."""
        self._do(lambda: self._refusals.append(Refusal(status, verb, resource, times, message)))

    def allow(self) -> None:
        """Refuse nothing any more."""
        self._do(self._refusals.clear)

    def stop(self) -> None:
        """Go away: every connection is cut, and none is taken any more."""
        self._do(self._stopped.set)

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

    # What follows runs in the server's loop.

    def _do(self, action: Callable[[], object]) -> None:
        async def act() -> None:
            action()
            self._news.set()
            self._news = asyncio.Event()

        assert self._loop
        asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)

    def _put(self, found: Object) -> None:
        plural, meta = KINDS[found["kind"]][2], found["metadata"]
        key = (plural, meta["namespace"], meta["name"])
        before = self._objects.get(key)
        grown = before["metadata"]["generation"] + (before.get("spec") != found.get("spec")) if before else 1
        meta["generation"] = max(meta.get("generation", 1), grown)
        meta["uid"] = before["metadata"]["uid"] if before else str(uuid.uuid4())
        self._note("MODIFIED" if before else "ADDED", plural, found)
        self._objects[key] = found

    def _note(self, kind: str, plural: str, found: Object) -> int:
        self._version += 1
        if found:
            found["metadata"]["resourceVersion"] = str(self._version)
        self._changes.append((self._version, plural, kind, json.loads(json.dumps(found))))
        return self._version

    def _set_forgotten(self, version: int) -> None:
        self._forgotten = version

    def _check(self, request: kmock.Request) -> None:
        group, plural = request.resource.group, request.resource.plural
        resource = f"{plural}/{request.subresource}" if request.subresource else plural
        verb, namespace = VERBS[request.action.value], request.namespace or ""
        token = request.headers.get("Authorization", "")
        self.asked.append(Asked(verb, group, resource, namespace, dict(request.params), token))
        if group in self.absent or (group, request.resource.version, plural) not in KINDS.values():
            raise kmock.KubernetesEndpointNotFoundError()
        for refusal in self._refusals:
            if refusal.times > 0 and refusal.verb in {"", verb} and refusal.resource in {"", resource}:
                refusal.times -= 1
                forbidden = f'{resource} is forbidden: User "{USER}" cannot {verb} resource "{resource}" in {namespace}'
                raise kmock.KubernetesError(refusal.status, message=refusal.message or forbidden)

    def list(self, request: kmock.Request) -> Object:
        """Answer a list: the objects that its selectors find, and the version that they are of."""
        self._check(request)
        found = [found for (plural, _, _), found in self._objects.items() if _selects(request, plural, found)]
        return {"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": str(self._version)}, "items": found}

    def fetch(self, request: kmock.Request) -> Object | bytes:
        """Answer a get, of an object or of a container's log."""
        self._check(request)
        if request.subresource == "log":
            previous = "/previous" if request.params.get("previous") == "true" else ""
            said = self.logs.get(f"{request.name}/{request.params['container']}{previous}")
            if said is None:
                raise kmock.KubernetesError(400, message="previous terminated container not found")
            return "\n".join(said.splitlines()[-int(request.params.get("tailLines", 1_000)) :]).encode() or b"\n"
        found = self._objects.get((request.resource.plural, request.namespace or "", request.name or ""))
        if not found:
            raise kmock.KubernetesObjectNotFoundError()
        return found

    def create(self, request: kmock.Request) -> Object:
        """Answer a create; a name that is taken is a conflict."""
        self._check(request)
        name = request.data["metadata"]["name"]
        if (request.resource.plural, request.namespace or "", name) in self._objects:
            raise kmock.KubernetesError(409, "AlreadyExists", f'{request.resource.plural} "{name}" already exists')
        self._put(request.data)
        return dict(request.data)

    async def watch(self, request: kmock.Request) -> AsyncIterator[Object | bytes]:
        """Answer a watch: every change after the version that it asks for, until it times out."""
        self._check(request)
        yield b""  # the headers go out at once
        came_to = int(request.params.get("resourceVersion", self._version))
        bookmarks = request.params.get("allowWatchBookmarks") == "true"
        end = asyncio.get_running_loop().time() + float(request.params.get("timeoutSeconds", 1_800))
        self._open[request] = came_to
        try:
            while not self._stopped.is_set() and asyncio.get_running_loop().time() < end:
                news = self._news
                if came_to < self._forgotten:
                    yield {"type": "ERROR", "object": _gone(came_to, self._forgotten)}
                    return
                for version, plural, kind, found in self._changes:
                    if version <= came_to:
                        continue
                    came_to = self._open[request] = version
                    if kind == "BOOKMARK" and bookmarks:
                        yield {"type": kind, "object": {"metadata": {"resourceVersion": str(version)}}}
                    elif found and _selects(request, plural, found):
                        yield {"type": kind, "object": found}
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), max(0.0, end - asyncio.get_running_loop().time()))
        finally:
            self._open.pop(request, None)

    async def run(self, started: threading.Event) -> None:
        """Serve until `stop`."""
        self._loop = asyncio.get_running_loop()
        async with kmock.KubernetesScaffold() as handler, kmock.Server(handler) as server:
            handler[kmock.action.LIST] << self.list
            handler[kmock.action.WATCH] << self.watch
            handler[kmock.action.FETCH] << self.fetch
            handler[kmock.action.CREATE] << self.create
            self.url = str(server.url).rstrip("/")
            started.set()
            await self._stopped.wait()
            self._news.set()


def _selects(request: kmock.Request, plural: str, found: Object) -> bool:
    meta = found["metadata"]
    labels = {**meta.get("labels", {})}
    fields = {"metadata.name": meta["name"], "metadata.namespace": meta["namespace"]}
    asked = (("labelSelector", labels), ("fieldSelector", fields))
    return (
        plural == request.resource.plural
        and meta["namespace"] == request.namespace
        and all(
            values.get(name) == value
            for selector, values in asked
            for name, _, value in (each.partition("=") for each in request.params.get(selector, "").split(",") if each)
        )
    )


def _cut(request: kmock.Request) -> None:
    transport = request._raw_request.transport if request._raw_request else None
    if transport:
        transport.abort()


def _gone(asked: int, oldest: int) -> Object:
    message = f"too old resource version: {asked} ({oldest})"
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": 410,
        "reason": "Expired",
        "message": message,
    }


@contextlib.contextmanager
def serve_kubernetes(folder: Path) -> Iterator[KubernetesApi]:
    """Serve on loopback until the block ends, with a kubeconfig in `folder` that leads there."""
    api, started = KubernetesApi(folder / "kubeconfig"), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(api.run(started)))
    thread.start()
    try:
        assert started.wait(10), "the double of the Kubernetes API did not start"
        api.kubeconfig.write_text(json.dumps(kubeconfig(api.url)))
        yield api
    finally:
        if thread.is_alive():
            api.stop()
        thread.join()


def kubeconfig(server: str) -> Object:
    """A kubeconfig for a server without TLS."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": "a-token"}}],
    }

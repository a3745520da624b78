"""A real Kubernetes API server with a real etcd: validation, RBAC, admission and watches.

There is one a process, started by the first test that asks for it, with the custom resources of tests/schemas. It has
no controllers and no nodes: what those do, tests do. It ends with the process.
"""

import atexit
import base64
import contextlib
import functools
import json
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from tests.schemas.crds import definitions
from tests.servers.built import require_built
from tests.servers.process import free_port

MODULE = Path(__file__).parent / "kubernetes"
PATIENCE = 60.0  # seconds for it to be ready, and for what was written to count
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
Object = dict[str, Any]


class ApiError(Exception):
    """The API server refused, with `status` and its words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(f"{status}: {words}")
        self.status, self.words = status, words


@dataclass(frozen=True)
class KubernetesServer:
    """Where it is, and the administrator's way to it."""

    url: str
    folder: Path
    etcd: str
    admin: str = field(repr=False)  # a token

    @property
    def certificate(self) -> Path:
        """What the server's certificate can be checked with."""
        return self.folder / "apiserver.crt"

    @functools.cached_property
    def _pool(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(maxsize=8, ca_certs=str(self.certificate), retries=False)

    def open(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        """A request as it is, and urllib3's response, not yet read."""
        return self._pool.request(
            method, self.url + path, body=body, headers=headers, preload_content=False, decode_content=False
        )

    def ask(self, method: str, path: str, body: Any = None, *, token: str = "") -> Any:
        """What it answers, as the administrator or with another token.

        Raises:
            ApiError: it refuses.
        """
        headers = {"Authorization": f"Bearer {token or self.admin}", "Content-Type": "application/json"}
        response = self.open(method, path, json.dumps(body).encode() if body is not None else None, headers)
        answer = response.read()
        response.release_conn()
        with contextlib.suppress(ValueError):
            answer = json.loads(answer)
        if response.status >= 400:
            raise ApiError(response.status, answer["message"] if isinstance(answer, dict) else answer.decode().strip())
        return answer

    def ensure(self, path: str, found: Object) -> None:
        """Create an object below `path`, or replace the one that is there."""
        try:
            self.ask("POST", path, found)
        except ApiError as error:
            if error.status != 409:
                raise
            self.ask("PUT", f"{path}/{found['metadata']['name']}", found)

    def ensure_namespace(self, name: str) -> None:
        """Create a namespace that is not there yet."""
        with _unless(409):
            self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    def token(self, namespace: str, account: str) -> str:
        """A token of a service account (TokenRequest); the account is made when it is not there yet."""
        self.ensure_namespace(namespace)
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        with _unless(409):
            self.ask("POST", path, {"metadata": {"name": account}})
        return str(self.ask("POST", f"{path}/{account}/token", {"spec": {}})["status"]["token"])

    def kubeconfig(self, token: str, url: str = "") -> Object:
        """A kubeconfig with that token, for this server, or for what stands before it at `url`."""
        authority = base64.b64encode(self.certificate.read_bytes()).decode()
        cluster = {"server": url} if url else {"server": self.url, "certificate-authority-data": authority}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
        }

    def compact(self) -> None:
        """Let etcd forget every version before now: a watch from one of them, which no cache holds, is Expired."""
        for _ in range(3):  # so that what anybody has seen is older than what is kept
            self.ask("POST", "/api/v1/namespaces/default/events", _nothing_of_interest())
        status = urllib3.request("POST", f"{self.etcd}/v3/maintenance/status", body=b"{}").json()
        body = json.dumps({"revision": status["header"]["revision"], "physical": True}).encode()
        answer = urllib3.request("POST", f"{self.etcd}/v3/kv/compaction", body=body)
        assert answer.status == 200, answer.data


@contextlib.contextmanager
def _unless(status: int) -> Iterator[None]:
    """Let that refusal pass."""
    try:
        yield
    except ApiError as error:
        if error.status != status:
            raise


def _nothing_of_interest() -> Object:
    name = {"name": f"nothing.{secrets.token_hex(8)}", "namespace": "default"}
    return {"metadata": name, "involvedObject": {"namespace": "default"}, "reason": "Nothing", "type": "Normal"}


@functools.cache
def kubernetes_server() -> KubernetesServer:
    """The server of this process; without it the test is skipped, or fails with ROADIE_REQUIRE_SERVERS=1 (CI)."""
    program, folder = require_built(MODULE, "kubernetes"), Path(tempfile.mkdtemp(prefix="kubernetes-"))
    api, etcd, admin = free_port(), free_port(), secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{admin},admin,1,"system:masters"\n')
    # Pods without a cache, so that a watch of them can expire.
    command = [str(program), str(folder), str(api), str(etcd), "--watch-cache-sizes=pods#0"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT)
    atexit.register(_end, process, folder)
    server = KubernetesServer(f"https://127.0.0.1:{api}", folder, f"http://127.0.0.1:{etcd}", admin)
    _await_ready(server, process)
    _define_custom_resources(server)
    return server


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    process.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _await_ready(server: KubernetesServer, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(ApiError, OSError, urllib3.exceptions.HTTPError):
            if server.certificate.is_file() and server.ask("GET", "/readyz"):
                return
        time.sleep(0.05)
    tail = (server.folder / "log").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"the API server did not get ready within {PATIENCE:.0f} s; its output ends: {tail}")


def _define_custom_resources(server: KubernetesServer) -> None:
    made = list(definitions())
    for each in made:
        server.ask("POST", CRDS, each)
    for each in made:
        spec = each["spec"]
        _await_served(server, f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}")


def _await_served(server: KubernetesServer, path: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            server.ask("GET", path)
        except ApiError:
            assert time.monotonic() < deadline, f"{path} was not served within {PATIENCE:.0f} s"
            time.sleep(0.02)
        else:
            return

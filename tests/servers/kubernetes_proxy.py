"""A proxy before the API server that shows what a healthy one cannot: refusals, cut and silent watches, absence.

It speaks plain HTTP, writes down what was asked, as RBAC would name it, and hands everything on as it is.
"""

import contextlib
import json
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import urllib3

from tests.servers.kubernetes_server import KubernetesServer

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/[^/]+(?:/namespaces/(?P<namespace>[^/]+))?/(?P<resource>[^/]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<subresource>.+))?)?"
)
_HOP = {"connection", "transfer-encoding", "host"}  # headers of one connection alone


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
class KubernetesProxy:
    """What was asked, what is to go wrong, and the connections on which a watch is open."""

    url: str
    server: KubernetesServer
    asked: list[Asked] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)  # the API groups that the cluster does not know
    refusals: list[Refusal] = field(default_factory=list)
    watches: dict[socket.socket, Any] = field(default_factory=dict)  # each with the server's response
    silent: set[socket.socket] = field(default_factory=set)  # those that tell nothing any more
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def cut(self) -> None:
        """Cut every connection that a watch is open on."""
        with self.lock:
            for connection, response in self.watches.items():
                _shut(connection)
                with contextlib.suppress(RuntimeError, ValueError, OSError):  # it may have ended by itself
                    response.shutdown()

    def hush(self) -> None:
        """Let every watch that is open be silent, as a connection is whose other end is gone."""
        with self.lock:
            self.silent.update(self.watches)

    def refusal(self, asked: Asked) -> Refusal | None:
        """Whether this is to be refused."""
        with self.lock:
            self.asked.append(asked)
            if self.stopped.is_set():
                raise _Cut
            for each in self.refusals:
                if each.times > 0 and each.verb in {"", asked.verb} and each.resource in {"", asked.resource}:
                    each.times -= 1
                    return each
        return None


class _Cut(Exception):
    """The connection to the client is to be cut now."""


@contextlib.contextmanager
def before(server: KubernetesServer) -> Iterator[KubernetesProxy]:
    """Run the proxy until the block ends."""
    listener = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    listener.daemon_threads = True
    proxy = KubernetesProxy(f"http://127.0.0.1:{listener.server_port}", server)
    listener.RequestHandlerClass = _handler(proxy)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopped.set()
        proxy.cut()
        listener.shutdown()
        listener.server_close()
        thread.join()


def _handler(proxy: KubernetesProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (_Cut, OSError, urllib3.exceptions.HTTPError):
                self.close_connection = True
                _shut(self.connection)

        def _relay(self) -> None:
            asked = _asked(self.command, self.path, self.headers.get("Authorization", ""))
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            refusal = proxy.refusal(asked)
            if asked.group in proxy.absent:  # as the API server says it
                self._answer(404, "text/plain; charset=utf-8", b"404 page not found\n")
            elif refusal:
                status = {"kind": "Status", "status": "Failure", "code": refusal.status, "message": refusal.message}
                self._answer(refusal.status, "application/json", json.dumps(status).encode())
            else:
                self._hand_on(asked, body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _relay

        def _answer(self, status: int, kind: str, content: bytes) -> None:
            self.send_response_only(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _hand_on(self, asked: Asked, body: bytes | None) -> None:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            response = proxy.server.open(self.command, self.path, body, headers)
            try:
                if asked.verb == "watch":
                    self._stream(response)
                else:
                    self._answer(response.status, response.headers.get("Content-Type", ""), response.read())
            finally:
                response.close()

        def _stream(self, response: Any) -> None:
            """Each chunk as it comes."""
            self.send_response_only(response.status)
            self.send_header("Content-Type", response.headers.get("Content-Type", ""))
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with proxy.lock:
                proxy.watches[self.connection] = response
            try:
                for chunk in response.stream():
                    if self.connection in proxy.silent:
                        proxy.stopped.wait()
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                self.wfile.write(b"0\r\n\r\n")
            finally:
                with proxy.lock:
                    proxy.watches.pop(self.connection)
                    proxy.silent.discard(self.connection)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what was asked is in `asked`."""

    return Handler


def _asked(method: str, path: str, authorization: str) -> Asked:
    parts = urlsplit(path)
    params, found = dict(parse_qsl(parts.query)), _PATH.fullmatch(parts.path)
    if not found:
        return Asked(method.lower(), "", parts.path, "", params, authorization)
    reads = "get" if found["name"] else ("watch" if params.get("watch") == "true" else "list")
    verb = {"GET": reads, "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[method]
    resource = "/".join(filter(None, (found["resource"], found["subresource"])))
    return Asked(verb, found["group"] or "", resource, found["namespace"] or "", params, authorization)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)

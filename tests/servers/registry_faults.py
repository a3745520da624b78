"""A proxy before a registry that breaks chosen requests: cuts, hangs, refuses, or hurries past its own limits."""

import contextlib
import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_CHUNK = 1 << 16


@dataclass
class Fault:
    """What goes wrong with the next `times` requests of `method` whose path matches `path`.

    `status` answers in the registry's place, with `headers` and `body` (after reading the request's). `after` that many
    bytes of the body the connection is cut, in the request, or with `response` in the answer. `hang` never answers.
    `lost` lets the request through and cuts before the answer. `kept` makes the registry keep what came before the cut,
    as registries do that let an upload be resumed; distribution 2.8 forgets it. `late` makes the answer come that many
    seconds later. `before` is called before the request goes on to the registry, `then` when the registry has answered.
    """

    method: str
    path: str
    times: int = 1
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    after: int = -1
    response: bool = False
    hang: bool = False
    lost: bool = False
    kept: bool = False
    body: bytes = b""
    late: float = 0.0
    before: Callable[[], None] | None = None
    then: Callable[[], None] | None = None


@dataclass
class FaultyRegistry:
    """The proxy's address, the faults still to come, and the requests that came: (method, path, body bytes, status)."""

    host: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str, int, int]] = field(default_factory=list)
    resumable: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    released: threading.Event = field(default_factory=threading.Event)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request is to suffer."""
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def count(self, method: str, path: str = "") -> int:
        """How many such requests came."""
        with self.lock:
            return sum(1 for seen in self.seen if seen[0] == method and re.search(path, seen[1]))

    def body_bytes(self, method: str) -> int:
        """The bytes that such requests carried in all."""
        with self.lock:
            return sum(seen[2] for seen in self.seen if seen[0] == method)


@contextlib.contextmanager
def faulty(upstream: str) -> Iterator[FaultyRegistry]:
    """Run the proxy before the registry at `upstream` (host:port, plain HTTP)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.daemon_threads = True
    proxy = FaultyRegistry(f"127.0.0.1:{server.server_port}")
    server.RequestHandlerClass = _handler(proxy, upstream)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Cut(Exception):
    """The connection to the client is to be cut now."""


def _handler(proxy: FaultyRegistry, upstream: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (_Cut, ConnectionError):
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

        def _relay(self) -> None:
            fault = proxy.take(self.command, self.path)
            self.moved = 0
            status = 0
            try:
                if fault and fault.hang:
                    proxy.released.wait()
                    raise _Cut
                if fault and fault.before:
                    fault.before()
                status = self._refuse(fault) if fault and fault.status else self._forward(fault)
            finally:
                with proxy.lock:
                    proxy.seen.append((self.command, self.path, self.moved, status))

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _relay

        def _body(self) -> Iterator[bytes]:
            left = int(self.headers.get("Content-Length") or 0)
            while left:
                chunk = self.rfile.read1(min(left, _CHUNK))
                if not chunk:
                    raise _Cut
                left -= len(chunk)
                self.moved += len(chunk)
                yield chunk

        def _refuse(self, fault: Fault) -> int:
            for _ in self._body():
                pass
            self.send_response(fault.status)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(fault.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(fault.body)
            return fault.status

        def _forward(self, fault: Fault | None) -> int:
            connection = http.client.HTTPConnection(upstream, timeout=60)
            try:
                path = proxy.resumable.pop(self.path, self.path)
                connection.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
                kept = {"Content-Length": str(fault.after)} if fault and fault.kept else {}
                for name, value in {**dict(self.headers.items()), **kept}.items():
                    connection.putheader(name, value)
                connection.endheaders()
                if fault and fault.kept:
                    connection.send(self.rfile.read(fault.after))
                    proxy.resumable[self.path] = connection.getresponse().headers["Location"]
                    raise _Cut
                for chunk in self._body():
                    if fault and not fault.response and 0 <= fault.after <= self.moved:
                        raise _Cut
                    connection.send(chunk)
                response = connection.getresponse()
                if fault and fault.then:
                    fault.then()
                if fault and fault.late:
                    proxy.released.wait(fault.late)
                if fault and fault.lost:
                    raise _Cut
                self._return(response, fault)
                return response.status
            finally:
                connection.close()

        def _return(self, response: http.client.HTTPResponse, fault: Fault | None) -> None:
            self.send_response_only(response.status)
            for name, value in response.headers.items():
                self.send_header(name, value)
            self.end_headers()
            done = 0
            while self.command != "HEAD" and (chunk := response.read(_CHUNK)):
                self.wfile.write(chunk)
                done += len(chunk)
                if fault and fault.response and done >= fault.after:
                    raise _Cut

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the requests are in `seen`."""

    return Handler

"""HTTP to a registry: kept connections, time-outs on every socket operation, and errors that are Roadie's own.

Whatever goes wrong with http.client, ssl and sockets comes out as ConnectionFailedError, which callers may retry; what
the server answers comes out as an Answer, whatever its status.
"""

import contextlib
import http.client
import os
import select
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import SplitResult

from roadie.errors import RegistryError
from roadie.modelcar.access import Access, Answer
from roadie.modelcar.connect import Connector, ProxiedConnection, failure
from roadie.modelcar.content import BUFFER, Part
from roadie.modelcar.documents import MAX_DOCUMENT
from roadie.modelcar.urls import absolute, host_of, same_origin, split

_REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class Body:
    """Bytes to send once, in parts that may come from an open file; `size` is their sum."""

    parts: Iterable[Part]
    size: int


class Transport:
    """Connections to any number of hosts, kept for whichever thread comes next; close() ends them all, also in use."""

    def __init__(self, access: Access) -> None:
        self._timeout, self._known = access.timeout, access.known
        self._connector = Connector(access)
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._open: set[http.client.HTTPConnection] = set()
        self._closed = False
        self._answered: set[str] = set()

    def base(self, host: str) -> str:
        """The scheme and host with which a registry is asked."""
        return f"{self._connector.scheme(host)}://{host}"

    def is_safe(self, url: str) -> bool:
        """Whether a secret may be sent there: by TLS, or to where plain HTTP is allowed."""
        return self._connector.is_allowed(split(url))

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body = b"", timeout: float = 0
    ) -> Answer:
        """One request and its whole answer; a GET follows redirects, without credentials to another host."""
        if method == "GET":
            with self.stream(url, headers) as (answer, chunks):
                return replace(answer, body=_whole(url, chunks))
        with self._response(method, url, headers, body, timeout) as (answer, response):
            return replace(answer, body=_whole(url, self._chunks(response, method, url)))

    @contextlib.contextmanager
    def stream(self, url: str, headers: Mapping[str, str]) -> Iterator[tuple[Answer, Iterator[bytes]]]:
        """GET with the body in chunks; redirects are followed, without credentials to another host."""
        headers = dict(headers)
        for _ in range(5):
            with self._response("GET", url, headers, b"", 0) as (answer, response):
                chunks = self._chunks(response, "GET", url)
                if answer.status not in _REDIRECTS:
                    yield answer, chunks
                    return
                _whole(url, chunks)
            target = absolute(url, answer.headers.get("location", ""))
            if not same_origin(url, target):
                headers.pop("Authorization", None)
            url = target
        raise RegistryError(f"{host_of(url)} redirects in a circle: the registry's storage is misconfigured.")

    def _chunks(self, response: http.client.HTTPResponse, method: str, url: str) -> Iterator[bytes]:
        while True:
            with self._translated(method, url):
                chunk = response.read(BUFFER)
                if not chunk and response.length:
                    raise http.client.IncompleteRead(b"")
            if not chunk:
                return
            yield chunk

    def close(self) -> None:
        """Shut every connection, so that a thread that waits on one fails at once."""
        with self._lock:
            self._closed = True
            connections, self._open = list(self._open), set()
        for connection in connections:
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)
            connection.close()

    @contextlib.contextmanager
    def _response(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body, timeout: float
    ) -> Iterator[tuple[Answer, http.client.HTTPResponse]]:
        """Send and yield the answer, its body still to be read; when it was read to its end the connection is kept."""
        parts = split(url)
        connection: http.client.HTTPConnection | None = None
        try:
            with self._translated(method, url):
                connection, kept = self._connection(parts)
                try:
                    response = self._exchange(connection, parts, method, headers, body, timeout)
                except (ConnectionError, http.client.BadStatusLine):
                    if not kept or isinstance(body, Body):
                        raise
                    # The server may have closed a kept connection in the meantime: no failure, use a fresh one.
                    self._drop(connection)
                    connection = self._connect(parts)
                    response = self._exchange(connection, parts, method, headers, body, timeout)
            with self._lock:
                self._answered.add(host_of(url))
            yield _answer(response, connection, parts), response
            if response.isclosed() and not response.will_close:
                with self._lock:
                    self._idle.setdefault((parts.scheme, parts.netloc), []).append(connection)
                connection = None
        finally:
            if connection is not None:
                self._drop(connection)

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        parts: SplitResult,
        method: str,
        headers: Mapping[str, str],
        body: bytes | Body,
        timeout: float,
    ) -> http.client.HTTPResponse:
        size = body.size if isinstance(body, Body) else len(body)
        target = parts._replace(scheme="", netloc="").geturl() or "/"
        if isinstance(connection, ProxiedConnection):
            target, headers = parts.geturl(), {**headers, **connection.proxy_headers}
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if size or method in {"POST", "PUT", "PATCH"}:
            connection.putheader("Content-Length", str(size))
        connection.endheaders(body if isinstance(body, bytes) and body else None)
        sock = connection.sock
        if isinstance(body, Body):
            try:
                _send_parts(sock, body.parts)
            except ConnectionError:
                # The server may have answered (401, 413) and hung up without reading on: its answer says more.
                sock.settimeout(1)
                with contextlib.suppress(OSError, http.client.HTTPException):
                    return connection.getresponse()
                raise
        sock.settimeout(timeout or self._timeout)
        response = connection.getresponse()
        sock.settimeout(self._timeout)
        return response

    def _connection(self, parts: SplitResult) -> tuple[http.client.HTTPConnection, bool]:
        """A connection to the host, and whether it is a kept one: the one used last, the least likely stale."""
        with self._lock:
            idle = self._idle.get((parts.scheme, parts.netloc))
            if idle:
                return idle.pop(), True
        return self._connect(parts), False

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        connection = self._connector.connect(parts)
        with self._lock:
            if self._closed:
                connection.close()
                raise ConnectionAbortedError("the push was given up")
            self._open.add(connection)
        return connection

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        with self._lock:
            self._open.discard(connection)

    @contextlib.contextmanager
    def _translated(self, method: str, url: str) -> Iterator[None]:
        """Turn what sockets, TLS and http.client raise into ConnectionFailedError."""
        try:
            yield
        except (OSError, http.client.HTTPException, ValueError) as error:
            host = host_of(url)
            # A server that never answered is a wrong address; one that was there before is coming back.
            absent = host not in self._answered and not self._known
            raise failure(method, host, self._timeout, error, absent=absent) from error


def _send_parts(sock: socket.socket, parts: Iterable[Part]) -> None:
    """Send each part, from the file itself where the socket is plain: its bytes then are not copied once more."""
    direct = not isinstance(sock, ssl.SSLSocket)
    for view, file, offset in parts:
        if not direct or file < 0:
            sock.sendall(view)
        else:
            _send_file(sock, file, offset, offset + len(view))


def _send_file(sock: socket.socket, file: int, offset: int, end: int) -> None:
    while offset < end:
        try:
            sent = os.sendfile(sock.fileno(), file, offset, end - offset)
        except BlockingIOError:
            _wait_writable(sock)
            continue
        if not sent:
            return  # the file shrank: its reader says so
        offset += sent


def _wait_writable(sock: socket.socket) -> None:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    if not poll.poll((sock.gettimeout() or 60) * 1000):
        raise TimeoutError("the server stopped reading")


def _answer(response: http.client.HTTPResponse, connection: http.client.HTTPConnection, parts: SplitResult) -> Answer:
    """Headers that come more than once are joined where they are lists (RFC 9110, 5.3); of others the first counts."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        known = headers.setdefault(name.lower(), value)
        if known is not value and name.lower() in {"www-authenticate", "warning"}:
            headers[name.lower()] = f"{known}, {value}"
    proxy = connection.host if isinstance(connection, ProxiedConnection) else ""
    return Answer(response.status, headers, origin=f"{parts.scheme}://{parts.netloc}", proxy=proxy)


def _whole(url: str, chunks: Iterator[bytes]) -> bytes:
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_DOCUMENT:
            raise RegistryError(f"{host_of(url)} answered with more than 8 MiB: it is no registry.")
    return bytes(body)

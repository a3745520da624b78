"""Connections that make room: how many there may be, how long one may take to begin, and who goes for one too many.

uvicorn has a time-out only for the pause between two requests, and no limit before a request's head is there. So each
connection is wrapped, and asked for nothing but what every asyncio.Protocol has. When one too many comes, the one that
has been silent for longest goes, else the one whose sender has shown no secret for longest; so whoever sends a whole
request is answered, however many connections others hold open.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadie.triggers.metrics import Metrics

_log = logging.getLogger(__name__)
# Hundreds may be taken in before the first of them is read: so many times the limit may be open for a moment, and that
# is both seconds and turns of a loop that may be late.
_IN_A_BURST = 4
_SECONDS_TO_SPEAK, _TURNS_TO_SPEAK = 1.0, 5


def _answer(status: HTTPStatus, *more: str) -> bytes:
    head = (f"HTTP/1.1 {status.value} {status.phrase}", "connection: close", "content-length: 0", *more)
    return "\r\n".join((*head, "", "")).encode()


class Connection(asyncio.Protocol):
    """One connection: `busy` while a request is answered, `known` once its sender has shown the right secret."""

    def __init__(self, inner: asyncio.Protocol, among: "Connections") -> None:
        self._inner, self._among = inner, among
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._refused = self._begun = False
        self.busy = self.known = False
        self._moment = 0
        self.address: tuple[str, int] = ("", 0)
        self.had_a_chance = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        host, port, *_ = transport.get_extra_info("peername") or ("", 0)
        self.address = (str(host), int(port))
        self._refused = not self._among.admit(self)
        if self._refused:
            transport.write(_answer(HTTPStatus.SERVICE_UNAVAILABLE, "retry-after: 10"))
            transport.close()
            return
        self._inner.connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Hand on what came; a request that begins has its time."""
        if self._refused:
            return
        if not self.busy:
            if not self._begun:
                self._among.last(self)
            self._begun = True
            if self._timer is None:
                self._wait()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Hand on that nothing more comes."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave."""
        self._stop()
        if self._unread:
            self._unread.cancel()
        self._among.leave(self)
        if not self._refused:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Who does not take the answers has as long for that as for a request."""
        self._inner.pause_writing()
        self._unread = asyncio.get_running_loop().call_later(self._among.seconds, self.abort)

    def resume_writing(self) -> None:
        """They were taken."""
        if self._unread:
            self._unread.cancel()
        self._inner.resume_writing()

    def begin(self) -> None:
        """Have a moment in which nobody takes the place: what was sent may not have been read yet."""
        self.had_a_chance = False
        self._moment += 1
        asyncio.get_running_loop().call_later(_SECONDS_TO_SPEAK, self._turn, self._moment, _TURNS_TO_SPEAK)

    def _turn(self, moment: int, left: int) -> None:
        if left:
            asyncio.get_running_loop().call_soon(self._turn, moment, left - 1)
        elif moment == self._moment:
            self.had_a_chance = True

    def work(self) -> None:
        """A request's head is there: the application has it now, and minds its time."""
        self.busy = True
        self._stop()

    def rest(self, *, heard_out: bool) -> None:
        """The request is answered. What is left of one that was not heard out has its time, too."""
        self.busy = self.known = self._begun = False
        self._among.last(self)
        if not heard_out:
            self._wait()

    def abort(self) -> None:
        """Hang up, whatever goes on."""
        self.transport.abort()

    def _wait(self) -> None:
        self._stop()
        self._timer = asyncio.get_running_loop().call_later(self._among.seconds, self._too_slow)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _too_slow(self) -> None:
        if self._begun:
            self._among.tell(self, HTTPStatus.REQUEST_TIMEOUT)
            self.transport.write(_answer(HTTPStatus.REQUEST_TIMEOUT))
        self.transport.close()
        # What was written may never be taken.
        asyncio.get_running_loop().call_later(self._among.seconds, self.abort)


class Connections:
    """All that are open, the one that has rested for longest first.

    Args:
        most: How many there may be.
        seconds: By when the head of a request must have come.
        metrics: What is counted.
    """

    def __init__(self, most: int, seconds: float, metrics: Metrics) -> None:
        self.seconds = seconds
        self._most, self._metrics = most, metrics
        self._open: dict[tuple[str, int], Connection] = {}
        self._going: dict[tuple[str, int], Connection] = {}

    def wrapped(self, protocol: Callable[..., asyncio.Protocol]) -> Callable[..., asyncio.Protocol]:
        """What makes connections of a server: those of `protocol`, each wrapped."""
        return lambda **given: Connection(protocol(**given), self)

    def admit(self, connection: Connection) -> bool:
        """Take the connection in, in the place of another if need be; False when all others' senders are known."""
        if len(self._open) >= self._most:
            out = self._one_to_go()
            if out:
                self._going[out.address] = self._open.pop(out.address)
                out.abort()
            elif len(self._open) >= self._most * _IN_A_BURST or self._all_are_known():
                self.tell(connection, HTTPStatus.SERVICE_UNAVAILABLE)
                return False
        self._open[connection.address] = connection
        connection.begin()
        return True

    def _one_to_go(self) -> Connection | None:
        """The connection that makes room: none, as long as all may only just not have been read."""
        others = self._open.values()
        out = next((each for each in others if not each.busy), None)
        out = out or next((each for each in others if not each.known), None)
        if out is None or len(self._open) >= self._most * _IN_A_BURST:
            return out
        return out if out.had_a_chance else None

    def _all_are_known(self) -> bool:
        return all(each.known for each in self._open.values())

    def leave(self, connection: Connection) -> None:
        """Forget the connection."""
        for each in (self._open, self._going):
            if each.get(connection.address) is connection:
                del each[connection.address]

    def last(self, connection: Connection) -> None:
        """Make the connection the last one to go."""
        if self._open.pop(connection.address, None):
            self._open[connection.address] = connection
            connection.begin()

    def tell(self, connection: Connection, status: HTTPStatus) -> None:
        """Log and count what never came to be a request."""
        why = {
            HTTPStatus.REQUEST_TIMEOUT: f"the request did not come within {self.seconds:g} s",
            HTTPStatus.SERVICE_UNAVAILABLE: "too many connections at once",
        }[status]
        self._metrics.refused("unknown", status)
        fields = {"status": status.value, "client": connection.address[0], "why": why}
        _log.warning("request", extra={"fields": fields})

    def watching(self, app: ASGIApp) -> ASGIApp:
        """`app`, with the connection of each request in the request's state, as `connection`."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            address = tuple(scope.get("client") or ())
            connection = self._open.get(address) or self._going.get(address)
            if scope["type"] != "http" or connection is None:
                await app(scope, receive, send)
                return
            heard_out = False

            async def receiving() -> Message:
                nonlocal heard_out
                message = await receive()
                heard_out = heard_out or not message.get("more_body", False)
                return message

            connection.work()
            scope.setdefault("state", {})["connection"] = connection
            try:
                await app(scope, receiving, send)
            finally:
                connection.rest(heard_out=heard_out or _has_no_body(scope))

        return watched


def _has_no_body(scope: Scope) -> bool:
    headers: dict[bytes, Any] = dict(scope["headers"])
    return b"transfer-encoding" not in headers and headers.get(b"content-length", b"0") == b"0"

"""A connection that does not wait for ever: uvicorn's, with a deadline for each request and a limit on their number.

A sender that dribbles (slow loris) holds a connection and memory for as long as it likes; uvicorn has a time-out only
for the pause between two requests.
"""

import asyncio
import logging
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from roadie.triggers.config import Listen
from roadie.triggers.metrics import Metrics

_log = logging.getLogger(__name__)
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 10\r\ncontent-length: 0\r\n\r\n"


def protocol(listen: Listen, metrics: Metrics) -> type[H11Protocol]:
    """The class of connections with the limits of `listen`; uvicorn makes one for each."""
    return type("LimitedProtocol", (_Limited,), {"listen": listen, "metrics": metrics})


class _Limited(H11Protocol):
    listen: Listen
    metrics: Metrics

    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _spoken = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.listen.max_connections:
            self.transport = transport
            transport.write(_FULL)
            self._close()
            self._tell(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections at once")
            return
        super().connection_made(transport)
        self._start_deadline()

    def data_received(self, data: bytes) -> None:
        self._spoken = True
        super().data_received(data)
        self._watch(begun=True)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # The next request may have come in one piece with the last, but not whole.
        self._watch(begun=self.conn.their_state is h11.SEND_BODY)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._deadline, self._unread):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self.listen.seconds_to_send, self.transport.abort)

    def resume_writing(self) -> None:
        if self._unread:
            self._unread.cancel()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._close()

    def send_400_response(self, msg: str) -> None:
        self._hang_up(HTTPStatus.BAD_REQUEST, "what was sent is not HTTP")

    def _watch(self, begun: bool) -> None:
        """Run the deadline while a request has begun and is not there as a whole."""
        if begun and self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            if not self._deadline:
                self._start_deadline()
        elif self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.listen.seconds_to_send, self._too_slow)

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            seconds = self.listen.seconds_to_send
            self._hang_up(HTTPStatus.REQUEST_TIMEOUT, f"the request did not come within {seconds:g} s")

    def _hang_up(self, status: HTTPStatus, why: str) -> None:
        """Answer with `status` where that is still possible, and close; the application learns it from `receive`."""
        unanswered = self.cycle is not None and not self.cycle.response_started
        if unanswered:
            # Whoever logs the request knows its path, so that is where the line is written.
            state = self.cycle.scope.setdefault("state", {})
            state["status"], state["fields"] = status.value, {"why": why}
            self.cycle.disconnected = True
        elif self.conn.our_state is h11.IDLE and self._spoken:
            self._tell(status, why)
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE) and self._spoken:
            body = f'{{"error": "{why}"}}'.encode()
            headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
            headers.append((b"content-length", str(len(body)).encode()))
            answer = h11.Response(status_code=status, headers=headers, reason=status.phrase.encode())
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self._close()

    def _close(self) -> None:
        """Close once what was written has been sent, or the other side has had long enough to take it."""
        self.transport.close()
        self.loop.call_later(self.listen.seconds_to_send, self.transport.abort)

    def _tell(self, status: HTTPStatus, why: str) -> None:
        client = (self.transport.get_extra_info("peername") or [""])[0]
        self.metrics.refused("unknown", status)
        _log.warning("request", extra={"fields": {"status": status.value, "client": client, "why": why}})

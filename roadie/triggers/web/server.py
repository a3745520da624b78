"""Serve the application with uvicorn, to senders that are slow on purpose, too many, or no senders at all."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from roadie.errors import TriggerError
from roadie.triggers.config import Listen
from roadie.triggers.metrics import Metrics
from roadie.triggers.web.connections import Connections

Job = Coroutine[Any, Any, None]

_log = logging.getLogger(__name__)
_SECONDS_IDLE = 20  # between two requests on a kept connection
_SECONDS_TO_END = 15  # for requests under way, when the receiver is asked to end
_LONGEST_HEAD = 16 << 10  # bytes


def bind(listen: Listen) -> socket.socket:
    """The socket to listen on. TriggerError when the address is not this machine's, or taken."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    both = listen.host == "::" and socket.has_dualstack_ipv6()
    try:
        bound = socket.create_server((listen.host, listen.port), family=family, backlog=1024, dualstack_ipv6=both)
        # asyncio sets this only on sockets that name their protocol; connections take it over from the one listened on.
        # Without it an answer's body waits for the acknowledgement of its head, which the sender may delay by 40 ms.
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return bound
    except OSError as error:
        # The socket module adds the address.
        why = str(error.strerror).partition(" (while")[0]
        raise TriggerError(
            f"cannot listen on {listen.host}:{listen.port} ({why}); choose another host or port under listen"
        ) from None


class Server:
    """uvicorn's server as `listen` wants it.

    Attributes:
        uvicorn: That server.
    """

    def __init__(self, app: ASGIApp, listen: Listen, metrics: Metrics) -> None:
        connections = Connections(listen.max_connections, listen.seconds_to_send, metrics)
        protocol: Any = connections.wrapped(H11Protocol)  # declared as a class, called as what makes protocols
        config = uvicorn.Config(
            connections.watching(app),
            http=protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_SECONDS_IDLE,
            timeout_graceful_shutdown=_SECONDS_TO_END,
            h11_max_incomplete_event_size=_LONGEST_HEAD,
        )
        self.uvicorn = uvicorn.Server(config)

    @property
    def started(self) -> bool:
        """Whether it answers."""
        return self.uvicorn.started

    def end(self) -> None:
        """End it, from any thread."""
        self.uvicorn.should_exit = True

    def answer_on(self, listener: socket.socket, beside: Callable[[], Job] | None = None) -> None:
        """Answer until SIGTERM or SIGINT; requests under way are finished.

        Args:
            listener: From :func:`bind`.
            beside: Makes what goes on in the same event loop; it is cancelled at the end.
        """
        host, port = listener.getsockname()[:2]
        _log.info("listening", extra={"fields": {"address": f"{host}:{port}"}})
        with _signals_left_at_that():
            asyncio.run(self._answer(listener, beside))
        _log.info("ended")

    async def _answer(self, listener: socket.socket, beside: Callable[[], Job] | None) -> None:
        job = asyncio.create_task(beside()) if beside else None
        try:
            await self.uvicorn.serve(sockets=[listener])
        finally:
            if job:
                job.cancel()


@contextlib.contextmanager
def _signals_left_at_that() -> Iterator[None]:
    """uvicorn ends on a signal, and then raises it again for whoever was there before: that is nobody."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)

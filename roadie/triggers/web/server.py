"""Serve the application with uvicorn, to senders that are slow on purpose, too many, or no senders at all.

Beyond what uvicorn does: head and body of a request, and its TLS handshake, must have come within `seconds_to_send`;
connections above `max_connections` are turned away at once; a renewed certificate is used without a restart.
"""

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

from roadie.errors import TriggerError
from roadie.triggers.config import Listen
from roadie.triggers.metrics import Metrics
from roadie.triggers.web import certificates
from roadie.triggers.web.connections import protocol

Job = Coroutine[Any, Any, None]

_log = logging.getLogger(__name__)
_SECONDS_IDLE = 20  # between two requests on a kept connection
_SECONDS_TO_END = 15  # for requests under way, when the receiver is asked to end
_SECONDS_BETWEEN_CERTIFICATES = 60


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


class Server(uvicorn.Server):
    """uvicorn's server as `listen` wants it. Set `should_exit` to end it from another thread."""

    def __init__(self, app: ASGIApp, listen: Listen, metrics: Metrics) -> None:
        context = certificates.load(listen.tls) if listen.tls else None
        renewal = certificates.Renewal(listen.tls, context) if listen.tls and context else None
        # Its own messages would be second lines about what our log has told.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        config = uvicorn.Config(
            app,
            http=protocol(listen, metrics),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_SECONDS_IDLE,
            timeout_graceful_shutdown=_SECONDS_TO_END,
            timeout_notify=_SECONDS_BETWEEN_CERTIFICATES,
            callback_notify=renewal.look if renewal else None,
            ssl_context_factory=(lambda _config, _default: context) if context else None,
        )
        super().__init__(config)
        self._listen = listen

    def answer_on(self, listener: socket.socket, beside: Callable[[], Job] | None = None) -> None:
        """Answer until SIGTERM or SIGINT; requests under way are finished.

        Args:
            listener: From :func:`bind`.
            beside: Makes what goes on in the same event loop; it is cancelled at the end.
        """
        host, port = listener.getsockname()[:2]
        fields = {"address": f"{host}:{port}", "tls": "yes" if self._listen.tls else "no"}
        _log.info("listening", extra={"fields": fields})
        with asyncio.Runner(loop_factory=lambda: _Loop(self._listen.seconds_to_send)) as runner:
            runner.run(self._answer(listener, beside))
        _log.info("ended")

    async def _answer(self, listener: socket.socket, beside: Callable[[], Job] | None) -> None:
        job = asyncio.create_task(beside()) if beside else None
        try:
            await self.serve(sockets=[listener])
        finally:
            if job:
                job.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on a signal, and leave it at that: uvicorn's own way raises the signal again, which kills the process."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose TLS servers wait for a handshake as long as for a request."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        if options.get("ssl"):
            options["ssl_handshake_timeout"] = self._seconds
        return await super().create_server(*args, **options)

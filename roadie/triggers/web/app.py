"""The receiver's web application: hooks for senders, a page for people, probes and metrics for the cluster.

Nothing redirects, and neither Host nor X-Forwarded headers mean anything. Each request is one line in the log.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roadie.errors import TriggerError
from roadie.triggers.config import Config
from roadie.triggers.journal.recorder import Recorder
from roadie.triggers.metrics import CONTENT_TYPE, Metrics
from roadie.triggers.web.hooks import Hooks, RefusedError, note

Check = Callable[[], None]  # raises TriggerError when what it looks at is not well

_log = logging.getLogger(__name__)
_SECONDS_A_CHECK_HOLDS = 2.0
# A kubelet gives a probe five.
_SECONDS_FOR_A_CHECK = 3.0
# Asked every few seconds by machines: worth a line only when something is wrong.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_CLIENT_WENT_AWAY = 499  # as nginx logs it; nobody reads that answer


def create_app(
    config: Config,
    recorder: Recorder,
    metrics: Metrics,
    *,
    checks: Mapping[str, Check] | None = None,
    pages: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """The application.

    Args:
        config: Which hooks there are, and how large a body may be.
        recorder: Where events are stored.
        metrics: What is counted, for /metrics.
        checks: What /readyz looks at, by name. They may block.
        pages: The routes of the page for people.
    """
    hooks = Hooks(config, recorder, metrics)
    sources = {source: hook for source, hook in config.hooks if hook}
    probes = _Probes(checks or {}, metrics)
    app = Starlette(
        routes=[
            *(Route(f"/hooks/{name}", hooks.handler(name, hook), methods=["POST"]) for name, hook in sources.items()),
            Route("/healthz", probes.alive),
            Route("/readyz", probes.ready),
            Route("/metrics", probes.metrics),
            *pages,
        ],
        exception_handlers={RefusedError: _refused, HTTPException: _unknown},
    )
    app.router.redirect_slashes = False
    return _OneLine(app, metrics, frozenset(sources))


class _Probes:
    """Whether the receiver lives, whether it can take events, and what it has counted."""

    def __init__(self, checks: Mapping[str, Check], metrics: Metrics) -> None:
        self._checks, self._metrics = checks, metrics
        # A thread of their own: whatever the hooks and the page do, it is free.
        self._thread = ThreadPoolExecutor(1, "checks")
        self._looking: asyncio.Future[dict[str, str]] | None = None
        self._until = 0.0
        self._found: dict[str, str] = {}

    async def alive(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(self, request: Request) -> Response:
        found = await self._looked()
        well = all(each == "ok" for each in found.values())
        if not well:
            note(request, **found)
        return JSONResponse(found, HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE)

    async def metrics(self, _request: Request) -> Response:
        return Response(self._metrics.render(), media_type=CONTENT_TYPE)

    async def _looked(self) -> dict[str, str]:
        # A check writes to the disk: whoever may ask as often as he likes must not make it busy.
        if time.monotonic() < self._until:
            return self._found
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().run_in_executor(self._thread, self._look)
        try:
            async with asyncio.timeout(_SECONDS_FOR_A_CHECK):
                self._found = await asyncio.shield(self._looking)
        except TimeoutError:
            return dict.fromkeys(self._checks, f"the checks take longer than {_SECONDS_FOR_A_CHECK:g} s; see the disk")
        self._until = time.monotonic() + _SECONDS_A_CHECK_HOLDS
        return self._found

    def _look(self) -> dict[str, str]:
        found = {}
        for name, check in self._checks.items():
            try:
                check()
                found[name] = "ok"
            except TriggerError as error:
                found[name] = str(error)
        return found


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    note(request, why=error.why, because=error.__cause__ or "")
    return JSONResponse({"error": error.why}, error.status, dict(error.headers))


async def _unknown(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, dict(error.headers or {}))


class _OneLine:
    """Log each request once it is over, whatever came of it, and count refused deliveries."""

    def __init__(self, app: ASGIApp, metrics: Metrics, sources: frozenset[str]) -> None:
        self._app, self._metrics, self._sources = app, metrics, sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        failure: Exception | None = None
        try:
            await self._app(scope, receive, sending)
        except ClientDisconnect:
            status = _CLIENT_WENT_AWAY
        except Exception as error:  # noqa: BLE001 - whatever it is, Starlette has answered 500
            failure = error
        self._tell(scope, status, time.monotonic() - began, failure)

    def _tell(self, scope: Scope, status: int, seconds: float, failure: Exception | None) -> None:
        path = scope["path"]
        bad = status >= HTTPStatus.BAD_REQUEST
        if path.startswith("/hooks/") and bad:
            source = path.removeprefix("/hooks/")
            self._metrics.refused(source if source in self._sources else "unknown", status)
        if path in _PROBES and not bad:
            return
        fields = {
            "method": scope["method"],
            "path": path[:200],
            "status": status,
            "ms": round(seconds * 1000, 1),
            "client": (scope.get("client") or [""])[0],
            **scope.get("state", {}).get("fields", {}),
        }
        level = logging.ERROR if failure else logging.WARNING if bad else logging.INFO
        _log.log(level, "request", extra={"fields": fields}, exc_info=failure)

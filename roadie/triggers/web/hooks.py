"""POST /hooks/<sender>: authenticate, read, understand, store; then answer, and not before.

What each answer means to the senders decides which one it is: Alertmanager sends again after a 5xx and, every
group_interval, after a 4xx; GitLab disables a hook that answers with errors. So whatever was stored is a 200, also
when it starts nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from roadie.errors import TriggerError
from roadie.triggers import secrets
from roadie.triggers.config import Alerts, Config, Hook
from roadie.triggers.journal.recorder import Recorder
from roadie.triggers.metrics import Metrics
from roadie.triggers.senders import alertmanager, pushes
from roadie.triggers.senders.alertmanager import Message
from roadie.triggers.senders.reading import decode
from roadie.triggers.times import utc_now
from roadie.triggers.web import auth
from roadie.triggers.web.answering import answer
from roadie.triggers.web.bodies import Bodies
from roadie.triggers.web.connections import Connection

# Bodies above this are parsed in a thread, so that the others are answered meanwhile.
_LARGE = 64 << 10
# GitHub waits 10 s for an answer. What is stored after all is known when it is sent again.
_SECONDS_TO_STORE = 8.0


class RefusedError(Exception):
    """The request is answered with `status`, and `why` in words that hold nothing of the request."""

    def __init__(self, status: HTTPStatus, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, headers or {}


class Hooks:
    """The handlers of the configured senders."""

    def __init__(self, config: Config, recorder: Recorder, metrics: Metrics) -> None:
        self._recorder, self._metrics = recorder, metrics
        self._largest, self._seconds = config.listen.max_body_bytes, config.listen.seconds_to_send
        self._bodies, self._guesses = Bodies(self._largest), auth.Guesses()
        # One at a time: what a body takes in memory while it is understood is a multiple of it.
        self._parser = ThreadPoolExecutor(1, "parser")

    def handler(self, source: str, hook: Hook) -> Callable[[Request], Awaitable[Response]]:
        """The handler of one sender's deliveries."""
        never = hook.never if isinstance(hook, Alerts) else ()

        async def handle(request: Request) -> Response:
            secret = _secret(hook)
            try:
                _check_head(source, request, secret, self._largest)
                message = await self._received(source, request, secret, never)
            except RefusedError as error:
                if error.status is HTTPStatus.UNAUTHORIZED:
                    await self._guesses.wrong()
                raise
            return await self._store(request, message)

        return handle

    async def _received(self, source: str, request: Request, secret: str, never: Sequence[str]) -> Message:
        """What was sent; the body is in memory for no longer than it takes to understand it."""
        connection: Connection = request.scope["state"]["connection"]
        connection.known = source not in auth.SIGNED
        body, size = bytearray(), 0
        try:
            await self._read(request, connection, body)
            if not auth.is_signed(source, request.scope["headers"], body, secret):
                raise _unauthorized()
            self._bodies.known(connection)
            size = len(body)
            return await self._message(source, request, body, never)
        finally:
            self._bodies.give_back(connection, size or len(body))

    async def _read(self, request: Request, connection: Connection, body: bytearray) -> None:
        """Read the request's body into `body`; what is in there counts as used, whatever happens."""
        try:
            async with asyncio.timeout(self._seconds):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > self._largest:
                        raise _too_large(self._largest)
                    if not self._bodies.take(connection, len(chunk)):
                        raise _not_now("too much is being received at once; send it again")
        except TimeoutError:
            why = f"the request did not come within {self._seconds:g} s"
            raise RefusedError(HTTPStatus.REQUEST_TIMEOUT, why, {"Connection": "close"}) from None

    async def _message(self, source: str, request: Request, body: bytearray, never: Sequence[str]) -> Message:
        """What the body says."""
        try:
            if len(body) > _LARGE:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._parser, _understood, source, request, body, never)
            return _understood(source, request, body, never)
        except TriggerError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None

    async def _store(self, request: Request, message: Message) -> Response:
        if message.truncated:
            self._metrics.truncated(message.truncated)
        try:
            async with asyncio.timeout(_SECONDS_TO_STORE):
                receipts = await self._recorder.record(message.events) if message.events else []
        except TriggerError as error:
            raise _not_now("the events cannot be stored; send them again") from error
        except TimeoutError:
            raise _not_now(f"the events are not stored within {_SECONDS_TO_STORE:g} s; send them again") from None
        told = answer(receipts)
        note(request, **{name: told[name] for name in ("events", "new", "runs")}, truncated=message.truncated or "")
        return JSONResponse({**told, "truncated": message.truncated})


def _understood(source: str, request: Request, body: bytearray, never: Sequence[str]) -> Message:
    payload = decode(body)
    if source == alertmanager.SOURCE:
        return alertmanager.parse(payload, never)
    return Message((pushes.parse(source, request.headers, payload, utc_now()),), 0)


def note(request: Request, **fields: Any) -> None:
    """Add fields to the request's line in the log."""
    request.scope.setdefault("state", {}).setdefault("fields", {}).update(fields)


def _secret(hook: Hook) -> str:
    try:
        return secrets.read(hook.secret)
    except TriggerError as error:
        # Which file it is concerns our own log, not the sender.
        raise _not_now("the receiver cannot read the secret to check this with; send it again") from error


def _check_head(source: str, request: Request, secret: str, largest: int) -> None:
    """Refuse by the request's head what need not be read."""
    if not auth.may_send(source, request.scope["headers"], secret):
        raise _unauthorized()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the content type is not application/json; send JSON")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body is compressed; send it as it is")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > largest:
        raise _too_large(largest)


def _unauthorized() -> RefusedError:
    return RefusedError(HTTPStatus.UNAUTHORIZED, "bad credentials", {"WWW-Authenticate": "Bearer"})


def _not_now(why: str) -> RefusedError:
    return RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": "10"})


def _too_large(largest: int) -> RefusedError:
    return RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {largest:,} bytes; send less")

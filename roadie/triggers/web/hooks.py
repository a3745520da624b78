"""POST /hooks/<sender>: authenticate, read, understand, store; then answer, and not before.

What each answer means to the senders decides which one it is: Alertmanager sends again after a 5xx and, every
group_interval, after a 4xx; GitLab disables a hook that answers with errors. So whatever was stored is a 200, also
when it starts nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
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

# Bodies above this are parsed in a thread, so that the others are answered meanwhile.
_LARGE = 64 << 10
# All bodies together, in times of the largest that one may have.
_BODIES_AT_ONCE = 8
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
        self._largest = config.listen.max_body_bytes
        self._room = _BODIES_AT_ONCE * self._largest

    def handler(self, source: str, hook: Hook) -> Callable[[Request], Awaitable[Response]]:
        """The handler of one sender's deliveries."""
        never = hook.never if isinstance(hook, Alerts) else ()

        async def handle(request: Request) -> Response:
            secret = _secret(hook)
            _check_head(source, request, secret, self._largest)
            body = bytearray()
            try:
                await self._read(request, body)
                whole = bytes(body)
                if not auth.is_signed(source, request.scope["headers"], whole, secret):
                    raise _unauthorized()
                message = await _message(source, request, whole, never)
                return await self._store(request, message)
            finally:
                self._room += len(body)

        return handle

    async def _read(self, request: Request, body: bytearray) -> None:
        """Read the request's body into `body`; what is in there counts as used, whatever happens."""
        async for chunk in request.stream():
            self._room -= len(chunk)
            body += chunk
            if len(body) > self._largest:
                raise _too_large(self._largest)
            if self._room < 0:
                raise _not_now("too much is being received at once; send it again")

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


async def _message(source: str, request: Request, body: bytes, never: Sequence[str]) -> Message:
    """What the body says."""
    try:
        if len(body) > _LARGE:
            return await asyncio.to_thread(_understood, source, request, body, never)
        return _understood(source, request, body, never)
    except TriggerError as error:
        raise RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None


def _understood(source: str, request: Request, body: bytes, never: Sequence[str]) -> Message:
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

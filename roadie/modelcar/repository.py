"""Requests to one repository of a registry, by the OCI distribution specification 1.1, and what its refusals mean."""

import json
import threading
from collections.abc import Mapping
from http import HTTPStatus as Status

from roadie.errors import RegistryError
from roadie.modelcar.access import Access, Answer
from roadie.modelcar.auth import Authorizer
from roadie.modelcar.credentials import find_credentials
from roadie.modelcar.reference import Reference
from roadie.modelcar.retry import RefusedError, retrying
from roadie.modelcar.transport import Body, Transport

_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_MAX_MESSAGE = 200


class Repository:
    """One repository; several threads may use it at once, each with a connection of its own."""

    def __init__(self, reference: Reference, access: Access, stop: threading.Event, *, write: bool = False) -> None:
        self.reference, self.stop, self.timeout = reference, stop, access.timeout
        self.transport = Transport(access)
        host = _DOCKER_HUB.get(reference.registry, reference.registry)
        self.base = f"{self.transport.base(host)}/v2/{reference.repository}"
        self._credentials = find_credentials(reference, access)
        actions = "pull,push" if write else "pull"
        scope = f"repository:{reference.repository}:{actions}"
        self._authorizer = Authorizer(self.transport, self._credentials, self.base, scope)

    def has(self, digest: str) -> bool:
        """Whether the blob is in this repository; a registry that would send one elsewhere for it has it."""
        elsewhere = {Status.FOUND, Status.TEMPORARY_REDIRECT, Status.PERMANENT_REDIRECT}
        answer = self.ask("HEAD", f"/blobs/{digest}", expect={Status.OK, Status.NOT_FOUND, *elsewhere})
        return answer.status != Status.NOT_FOUND

    def cancel(self, location: str) -> None:
        """Give up an upload session; the registry clears away what is not cancelled after some days."""
        try:
            self.request("DELETE", location)
        except RegistryError:
            return

    def close(self) -> None:
        """End all connections."""
        self.transport.close()

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        expect: set[int],
        extra: str = "",
    ) -> Answer:
        """One request that may be repeated, with patience; RefusedError for a status that is not in `expect`."""

        def once() -> Answer:
            answer = self.request(method, self.base + path, headers, body, extra=extra)
            if answer.status not in expect:
                raise self.refused(answer, f"{method} {path.partition('?')[0]}")
            return answer

        return retrying(once, self.stop)

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Body = b"",
        *,
        extra: str = "",
        timeout: float = 0,
    ) -> Answer:
        """One request; after a 401 once more with what the registry asked for, unless the body is a stream."""
        authorization = self._authorizer.headers(url, extra)
        answer = self.transport.send(method, url, {**(headers or {}), **authorization}, body, timeout)
        if answer.status != Status.UNAUTHORIZED or not self._authorizer.challenged(answer, authorization, extra):
            return answer
        if isinstance(body, Body):
            return answer
        authorization = self._authorizer.headers(url, extra)
        return self.transport.send(method, url, {**(headers or {}), **authorization}, body, timeout)

    def refused(self, answer: Answer, what: str) -> RefusedError:
        """An error of one sentence from the registry's answer (OCI distribution specification, "Error Codes")."""
        code, message = _error(answer)
        place = f"{self.reference.registry}/{self.reference.repository}"
        said = f"HTTP {answer.status}{f' {code}' if code else ''}{f': {self._redacted(message)}' if message else ''}"
        who = self._credentials.username or "an anonymous user"
        advice = {
            400: "try again" if code else "give its CA file if it wants TLS",
            401: f"{who} has not the right, or the password is wrong: check the registry credentials",
            403: f"{who} is not allowed to do that: ask for the right to push",
            404: "check the registry's address and the repository's name",
            413: "the registry, or a proxy before it, limits the size of uploads: raise that limit",
            429: "the registry limits how often it may be asked: try again later",
        }.get(
            answer.status,
            "look into the registry's log" if answer.status >= Status.INTERNAL_SERVER_ERROR else "check the reference",
        )
        return RefusedError(f"{place} refused to {what} ({said}): {advice}.", answer, code)

    def _redacted(self, text: str) -> str:
        for secret in (self._credentials.password, self._credentials.identity_token):
            text = text.replace(secret, "***") if secret else text
        return text


def _error(answer: Answer) -> tuple[str, str]:
    """The code and message of the first error in a registry's answer, cut short."""
    try:
        first = json.loads(answer.body)["errors"][0]
        detail = first.get("detail")
        message = f"{first.get('message', '')} {detail if isinstance(detail, str) else ''}".strip()
        return str(first.get("code", "")), message[:_MAX_MESSAGE]
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", " ".join(answer.body.decode("utf-8", "replace").split())[:_MAX_MESSAGE]

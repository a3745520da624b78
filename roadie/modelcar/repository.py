"""Requests to one repository of a registry, by the OCI distribution specification 1.1, and what its refusals mean."""

import threading
from collections.abc import Mapping
from http import HTTPStatus as Status

from roadie.errors import RegistryError
from roadie.modelcar.access import Access, Answer
from roadie.modelcar.advice import advice_for
from roadie.modelcar.auth import Authorizer
from roadie.modelcar.credentials import find_credentials
from roadie.modelcar.reference import Reference
from roadie.modelcar.retry import Patience, RefusedError, retrying
from roadie.modelcar.transport import Body, Transport
from roadie.modelcar.words import Words, words_of

_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_ELSEWHERE = {Status.FOUND, Status.TEMPORARY_REDIRECT, Status.PERMANENT_REDIRECT}


class Repository:
    """One repository; several threads may use it at once, each with a connection of its own."""

    def __init__(self, reference: Reference, access: Access, stop: threading.Event, *, write: bool = False) -> None:
        self.reference, self.stop, self.access = reference, stop, access
        self.transport = Transport(access)
        host = _DOCKER_HUB.get(reference.registry, reference.registry)
        self.base = f"{self.transport.base(host)}/v2/{reference.repository}"
        self._credentials = find_credentials(reference, access)
        actions = "pull,push" if write else "pull"
        scope = f"repository:{reference.repository}:{actions}"
        self._authorizer = Authorizer(self.transport, self._credentials, self.base, scope)

    def patience(self) -> Patience:
        """Patience for one thing that may have to be tried more than once."""
        return Patience(self.access.patience, self.access.clock, self.stop)

    def has(self, digest: str) -> bool:
        """Whether the blob is in this repository."""
        return retrying(lambda: self.has_now(digest), self.patience())

    def has_now(self, digest: str) -> bool:
        """The same, asked once.

        A registry that would send one elsewhere for it has it. One that does not say, since the repository is not there
        yet or for lack of a right, has not: the attempt to send it tells more, and in words, which HEAD has not.
        """
        answer = self.request("HEAD", f"{self.base}/blobs/{digest}")
        if answer.status in {Status.NOT_FOUND, Status.UNAUTHORIZED, Status.FORBIDDEN}:
            return False
        if answer.status not in {Status.OK, *_ELSEWHERE}:
            raise self.refused(answer, f"HEAD /blobs/{digest}")
        return True

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
        return retrying(lambda: self.ask_now(method, path, headers, body, expect=expect, extra=extra), self.patience())

    def ask_now(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        *,
        expect: set[int],
        extra: str = "",
    ) -> Answer:
        """The same, once."""
        answer = self.request(method, self.base + path, headers, body, extra=extra)
        if answer.status not in expect:
            raise self.refused(answer, f"{method} {path.partition('?')[0]}")
        return answer

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
        """An error of one sentence from the registry's answer, in its own words."""
        words = self.words(answer)
        place = f"{self.reference.registry}/{self.reference.repository}"
        said = " ".join(part for part in (f"HTTP {answer.status}", words.code) if part)
        said = f"{said}: {words.text}" if words.text else said
        advice = advice_for(answer, words, self.base, self._credentials)
        return RefusedError(f"{place} refused to {what} ({said}): {advice}.", answer, words)

    def words(self, answer: Answer) -> Words:
        """What the registry says, without our secrets in it."""
        return words_of(answer, self._credentials.secrets)

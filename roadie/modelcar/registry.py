"""A repository in a registry, by the OCI distribution specification 1.1."""

import json
import threading
from collections.abc import Iterator, Mapping
from http import HTTPStatus as Status
from urllib.parse import urlencode

from roadie.errors import RegistryError
from roadie.modelcar.access import Access, Answer
from roadie.modelcar.auth import Authorizer, TokenRefusedError
from roadie.modelcar.content import Content
from roadie.modelcar.credentials import find_credentials
from roadie.modelcar.documents import ACCEPT, MANIFEST, Descriptor, Document
from roadie.modelcar.reference import Reference
from roadie.modelcar.retry import RefusedError, retrying, wait_before
from roadie.modelcar.store import Blob, Report, Store
from roadie.modelcar.transport import Body, Transport
from roadie.modelcar.upload import Upload
from roadie.modelcar.urls import absolute

_DOCKER_HUB = {"docker.io": "registry-1.docker.io", "index.docker.io": "registry-1.docker.io"}
_MAX_MESSAGE = 200
_TINY = 64 << 10


class Registry:
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

    def find(self, name: str) -> Document | None:
        """The manifest or index of a tag or digest."""
        answer = self._manifest("GET", name)
        if answer is None:
            return None
        media_type = answer.headers.get("content-type", MANIFEST).partition(";")[0].strip()
        document = Document(media_type, answer.body)
        if name.startswith("sha256:") and document.digest != name:
            raise RegistryError(f"{self.reference.registry} sent other bytes than {name}: the registry is damaged.")
        return document

    def digest_of(self, name: str) -> str | None:
        """The digest behind a tag, by HEAD; by GET where the registry does not send Docker-Content-Digest."""
        answer = self._manifest("HEAD", name)
        if answer is None:
            return None
        if digest := answer.headers.get("docker-content-digest"):
            return digest
        document = self.find(name)
        return document.digest if document else None

    def _manifest(self, method: str, name: str) -> Answer | None:
        answer = self.ask(method, f"/manifests/{name}", {"Accept": ACCEPT}, expect={Status.OK, Status.NOT_FOUND})
        return None if answer.status == Status.NOT_FOUND else answer

    def has(self, digest: str) -> bool:
        """Whether the blob is in this repository; a registry that would send one elsewhere for it has it."""
        elsewhere = {Status.FOUND, Status.TEMPORARY_REDIRECT, Status.PERMANENT_REDIRECT}
        answer = self.ask("HEAD", f"/blobs/{digest}", expect={Status.OK, Status.NOT_FOUND, *elsewhere})
        return answer.status != Status.NOT_FOUND

    def chunks(self, blob: Descriptor, start: int = 0) -> Iterator[bytes]:
        """A blob's bytes; a cut connection is resumed where it broke."""
        attempt = 0
        while start < blob.size:
            try:
                for chunk in self._chunks_from(blob.digest, start):
                    start, attempt = start + len(chunk), 0
                    yield chunk
                return
            except RegistryError as error:
                wait_before(attempt, error, self.stop)
                attempt += 1

    def _chunks_from(self, digest: str, start: int) -> Iterator[bytes]:
        url = f"{self.base}/blobs/{digest}"
        headers = {"Range": f"bytes={start}-"} if start else {}
        for last in (False, True):
            authorization = self._authorizer.headers(url)
            with self.transport.stream(url, headers | authorization) as (answer, chunks):
                if answer.status in {Status.OK, Status.PARTIAL_CONTENT}:
                    skip = start if answer.status == Status.OK else 0
                    for chunk in chunks:
                        if skip < len(chunk):
                            yield chunk[skip:]
                        skip = max(0, skip - len(chunk))
                    return
                said = Answer(answer.status, answer.headers, b"".join(chunks))
            if said.status != Status.UNAUTHORIZED or last or not self._authorizer.challenged(said, authorization):
                raise self.refused(said, f"send blob {digest}")

    def put(self, content: Content, digest: str, report: Report) -> Blob:
        """Send a blob unless it is there; a tiny one is sent as fast as asked for, and most often new."""
        if digest and content.size > _TINY and self.has(digest):
            report(content.label, content.size, content.size)
            return Blob(digest, content.size, 0)
        return Upload(self, content, digest, report).run()

    def mount(self, blob: Descriptor, source: Store) -> bool:
        """Have the registry link a blob of another of its repositories; whoever may not read there has to send it."""
        if source.reference.registry != self.reference.registry or not isinstance(source, Registry):
            return False
        query = urlencode({"mount": blob.digest, "from": source.reference.repository})
        extra = f"repository:{source.reference.repository}:pull"
        try:
            answer = self.ask("POST", f"/blobs/uploads/?{query}", expect={Status.CREATED, Status.ACCEPTED}, extra=extra)
        except (RefusedError, TokenRefusedError):
            return False
        if answer.status == Status.ACCEPTED:  # a fresh upload session in place of the mount: not wanted
            self.cancel(absolute(self.base, answer.headers.get("location", "")))
        return answer.status == Status.CREATED

    def put_document(self, document: Document, tag: str = "") -> None:
        """Store a manifest or index and check that the registry understood the same bytes."""
        path = f"/manifests/{tag or document.digest}"
        answer = self.ask("PUT", path, {"Content-Type": document.media_type}, document.body, expect={Status.CREATED})
        stored = answer.headers.get("docker-content-digest", document.digest)
        if stored != document.digest:
            raise RegistryError(
                f"{self.reference.registry} stored {stored} instead of {document.digest}: do not use it."
            )

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

"""A repository in a registry, by the OCI distribution specification 1.1."""

from collections.abc import Iterator
from http import HTTPStatus as Status
from urllib.parse import urlencode

from roadie.errors import RegistryError
from roadie.modelcar.access import Answer
from roadie.modelcar.auth import TokenRefusedError
from roadie.modelcar.content import Content
from roadie.modelcar.documents import ACCEPT, MANIFEST, Descriptor, Document
from roadie.modelcar.repository import Repository
from roadie.modelcar.retry import RefusedError, wait_before
from roadie.modelcar.store import Blob, Report, Store
from roadie.modelcar.upload import Upload
from roadie.modelcar.urls import absolute

_TINY = 64 << 10


class Registry(Repository):
    """A repository as a place for images."""

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
                said = Answer(answer.status, answer.headers, next(chunks, b""))
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

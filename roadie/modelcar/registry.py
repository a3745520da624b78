"""A repository in a registry, by the OCI distribution specification 1.1."""

from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus as Status
from urllib.parse import urlencode

from roadie.errors import RegistryError
from roadie.modelcar.access import Answer
from roadie.modelcar.auth import TokenRefusedError
from roadie.modelcar.content import Content
from roadie.modelcar.documents import ACCEPT, DIGEST, MANIFEST, Descriptor, Document, sha256
from roadie.modelcar.repository import Repository
from roadie.modelcar.retry import Patience, RefusedError, retrying
from roadie.modelcar.store import Blob, Report, Store, lost
from roadie.modelcar.upload import Upload
from roadie.modelcar.urls import absolute

_TINY = 64 << 10
# How long (seconds) a manifest may take to be readable once it was taken.
_READ_BACK = 3.0
# How long (seconds, and times a request takes) to wait for another push that looked at the tag before ours was there.
_SETTLE, _SETTLE_FACTOR, _LONGEST_SETTLE = 0.05, 12.0, 3.0
# How often to look at most for an answer within so many seconds.
_LOOKS, _QUICK = 5, 0.02


class _NotYetError(RegistryError):
    """A manifest cannot be read back yet."""

    retryable = True


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
        digest = answer.headers.get("docker-content-digest", "")
        if DIGEST.fullmatch(digest):
            return digest
        document = self.find(name)
        return document.digest if document else None

    def _manifest(self, method: str, name: str) -> Answer | None:
        answer = self.ask(method, f"/manifests/{name}", {"Accept": ACCEPT}, expect={Status.OK, Status.NOT_FOUND})
        return None if answer.status == Status.NOT_FOUND else answer

    def chunks(self, blob: Descriptor, start: int = 0) -> Iterator[bytes]:
        """A blob's bytes; a cut connection is resumed where it broke."""
        patience = self.patience()
        while start < blob.size:
            try:
                for chunk in self._chunks_from(blob.digest, start):
                    start += len(chunk)
                    patience.progress()
                    yield chunk
                return
            except RegistryError as error:
                patience.wait(error)

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
                said = replace(answer, body=next(chunks, b""))
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
            self.cancel(absolute(f"{self.base}/blobs/uploads/", answer.headers.get("location", "")))
        return answer.status == Status.CREATED

    def put_document(self, document: Document, tag: str = "") -> None:
        """Store a manifest or index, and read it back: what cannot be read is repaired, or RegistryError.

        A registry whose disk was full may keep an empty file, and say 201 when the same is sent again.
        """
        for _ in range(2):
            self._put_document(document, tag)
            if self._reads_back(document):
                return
            # With it goes each tag that names it: none is left on what cannot be read.
            self.request("DELETE", f"{self.base}/manifests/{document.digest}")
        raise RegistryError(
            f"{self.reference.registry} took {document.digest} and does not give it back: its storage is damaged, "
            "have its garbage collection clear it away, then push again."
        )

    def keep(self, document: Document) -> None:
        """See that a manifest or index which should be there can be read, and store it again if not."""
        if not self._reads_back(document):
            self.put_document(document)

    def set_tag(self, document: Document, expected: str | None) -> None:
        """Store a manifest or index under the reference's tag, looking at it just before, and once more after that.

        The protocol has no compare-and-swap. Whoever comes between another's look and PUT is overwritten unawares; so
        everybody looks again, after several times as long as the slowest request may have taken just now.
        """
        tag, clock = self.reference.tag, self.access.clock
        slowest = retrying(lambda: self._look_and_put(document, tag, expected), self.patience())
        started = clock.now()
        if not self._reads_back(document):
            self.put_document(document, tag)
        slowest, waited = max(slowest, clock.now() - started), 0.0
        while (settled := min(_LONGEST_SETTLE, max(_SETTLE, _SETTLE_FACTOR * slowest))) > waited:
            clock.wait(settled - waited, self.stop)
            waited, started = settled, clock.now()
            if (now := self.digest_of(tag)) != document.digest:
                raise lost(self.reference, now)
            slowest = max(slowest, clock.now() - started)

    def _look_and_put(self, document: Document, tag: str, expected: str | None) -> float:
        """A look, and one PUT right after it if the tag is as it should be; gives the seconds that the slower took.

        A look that took long is repeated: what it saw may be out of date.
        """
        clock = self.access.clock
        for _ in range(_LOOKS):
            started = clock.now()
            self._look(tag, {expected, document.digest})
            if (looked := clock.now() - started) < _QUICK:
                break
        started = clock.now()
        self._put_now(document, tag)
        return max(looked, clock.now() - started)

    def _look(self, tag: str, allowed: set[str | None]) -> None:
        """One look at the tag, by HEAD where that tells its digest."""
        now: str | None = ""
        for method in ("HEAD", "GET"):
            answer = self.ask_now(method, f"/manifests/{tag}", {"Accept": ACCEPT}, expect={Status.OK, Status.NOT_FOUND})
            if answer.status == Status.NOT_FOUND:
                now = None
                break
            now = answer.headers.get("docker-content-digest", "") if method == "HEAD" else sha256(answer.body)
            if now:
                break
        if now not in allowed:
            raise lost(self.reference, now)

    def _put_document(self, document: Document, tag: str) -> None:
        retrying(lambda: self._put_now(document, tag or document.digest), self.patience())

    def _put_now(self, document: Document, name: str) -> None:
        headers = {"Content-Type": document.media_type}
        answer = self.ask_now("PUT", f"/manifests/{name}", headers, document.body, expect={Status.CREATED})
        stored = answer.headers.get("docker-content-digest", document.digest)
        if stored != document.digest:
            raise RegistryError(
                f"{self.reference.registry} stored {stored} instead of {document.digest}: do not use it."
            )

    def _reads_back(self, document: Document) -> bool:
        """Whether the registry gives the same bytes by their digest.

        Another push of the same may be writing them at this moment, and some registries need one to see them: hence
        some tries. A registry that is away is waited for as everywhere.
        """
        patience = Patience(_READ_BACK, self.access.clock, self.stop)
        while True:
            try:
                answer = self._read_now(document.digest)
                if answer.status == Status.OK and answer.body == document.body:
                    return True
                patience.wait(_NotYetError())
            except _NotYetError:
                return False

    def _read_now(self, name: str) -> Answer:
        expect: set[int] = {Status.OK, Status.NOT_FOUND, Status.INTERNAL_SERVER_ERROR}
        return self.ask("GET", f"/manifests/{name}", {"Accept": ACCEPT}, expect=expect)

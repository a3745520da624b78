"""An OCI image layout on disk (OCI image specification 1.1, "Image Layout"): a registry that is a directory."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from roadie.errors import ModelCarError
from roadie.modelcar.content import BUFFER, Content
from roadie.modelcar.documents import INDEX, MAX_DOCUMENT, Descriptor, Document
from roadie.modelcar.reference import Reference
from roadie.modelcar.retry import CancelledError
from roadie.modelcar.store import Blob, Report, Store, lost

_TAG = "org.opencontainers.image.ref.name"
_MARKER = '{"imageLayoutVersion":"1.0.0"}'
_UNFINISHED = ".unfinished-"


class Layout:
    """One layout; whoever writes holds a lock on its `oci-layout` file, so that pushes to it go one after the other."""

    def __init__(self, reference: Reference, stop: threading.Event | None = None) -> None:
        self.reference = reference
        self._stop = stop or threading.Event()
        self._path = Path(reference.repository)
        self._blobs = self._path / "blobs" / "sha256"
        self._lock: BinaryIO | None = None
        self._threads = threading.Lock()

    def find(self, name: str) -> Document | None:
        """The manifest or index of a tag or digest, checked against its digest."""
        digest = self.digest_of(name)
        if digest is None:
            return None
        with self._readable():
            body = _document(self._blob(digest))
        document = Document("", body)
        if document.digest != digest:
            raise ModelCarError(f"{self._blob(digest)} does not hold what its name says: the layout is damaged.")
        return Document(str(document.json.get("mediaType") or self._listed_type(digest)), body)

    def digest_of(self, name: str) -> str | None:
        """The digest behind a tag, or the digest itself when its blob is there."""
        if name.startswith("sha256:"):
            return name if self.has(name) else None
        for descriptor in self._index():
            if descriptor.annotations.get(_TAG) == name:
                return descriptor.digest
        return None

    def has(self, digest: str) -> bool:
        """Whether the blob is there."""
        return self._blob(digest).is_file()

    def chunks(self, blob: Descriptor, start: int = 0) -> Iterator[bytes]:
        """A blob's bytes."""
        with self._readable(), self._blob(blob.digest).open("rb") as file:
            file.seek(start)
            while chunk := file.read(BUFFER):
                yield chunk

    def put(self, content: Content, digest: str, report: Report) -> Blob:
        """Write a blob unless it is there; it gets its name when it is whole."""
        if digest and self.has(digest):
            report(content.label, content.size, content.size)
            return Blob(digest, content.size, 0)
        self._write_lock()
        found, done = hashlib.sha256(), 0
        with self._writing() as (file, unfinished):
            for part in content.parts():
                if self._stop.is_set():
                    raise CancelledError("The push was given up.")
                found.update(part.view)
                file.write(part.view)
                done += len(part.view)
                report(content.label, done, content.size)
            named = f"sha256:{found.hexdigest()}"
            if digest and digest != named:
                raise ModelCarError(f"{content.label} should be {digest} but is {named}: the base image is damaged.")
            file.close()
            unfinished.rename(self._blob(named))
        return Blob(named, content.size, done)

    def mount(self, blob: Descriptor, source: Store) -> bool:
        """Never: a layout's blobs are copied."""
        return False

    def put_document(self, document: Document, tag: str = "") -> None:
        """Write a manifest or index; a tag is moved by replacing index.json as a whole."""
        self._write_lock()
        with self._writing() as (file, unfinished):
            file.write(document.body)
            file.close()
            unfinished.rename(self._blob(document.digest))
        if tag:
            entry = document.descriptor().to_json() | {"annotations": {_TAG: tag}}
            others = [item.to_json() for item in self._index() if item.annotations.get(_TAG) != tag]
            self._replace_index([*others, entry])

    def keep(self, document: Document) -> None:
        """Write a manifest again, if it is not there."""
        if not self.has(document.digest) or _document(self._blob(document.digest)) != document.body:
            self.put_document(document)

    def set_tag(self, document: Document, expected: str | None) -> None:
        """Write a manifest or index under the reference's tag, if it still names what it is expected to."""
        self._write_lock()
        now = self.digest_of(self.reference.tag)
        if now not in {expected, document.digest}:
            raise lost(self.reference, now)
        self.put_document(document, self.reference.tag)

    def close(self) -> None:
        """Give up the lock."""
        if self._lock:
            self._lock.close()
            self._lock = None

    def _blob(self, digest: str) -> Path:
        return self._blobs / digest.removeprefix("sha256:")

    def _index(self) -> tuple[Descriptor, ...]:
        try:
            body = _document(self._path / "index.json")
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise ModelCarError(f"{self._path} cannot be read ({error.strerror}): make it readable.") from error
        return Document(INDEX, body).descriptors("manifests")

    def _listed_type(self, digest: str) -> str:
        return next((item.media_type for item in self._index() if item.digest == digest), "")

    def _write_lock(self) -> None:
        """Make the layout if there is none, wait for other writers, and clear away what a killed one left."""
        with self._threads, self._writable():
            if self._lock:
                return
            self._blobs.mkdir(parents=True, exist_ok=True)
            self._lock = (self._path / "oci-layout").open("a+b")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if not self._lock.tell():
                self._lock.write(_MARKER.encode())
                self._lock.flush()
            for leftover in self._blobs.glob(f"{_UNFINISHED}*"):
                leftover.unlink()
            if not (self._path / "index.json").exists():
                self._replace_index([])

    def _replace_index(self, manifests: list[dict[str, Any]]) -> None:
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        with self._writing() as (file, unfinished):
            file.write(json.dumps(document).encode())
            file.close()
            unfinished.rename(self._path / "index.json")

    @contextlib.contextmanager
    def _writing(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A file under a name of its own, which is gone afterwards unless it was renamed."""
        import tempfile

        with self._writable():
            handle, name = tempfile.mkstemp(prefix=_UNFINISHED, dir=self._blobs)
            unfinished = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    os.fchmod(handle, 0o644)
                    yield file, unfinished
            finally:
                unfinished.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            advice = "make room" if error.errno == errno.ENOSPC else "make it writable"
            raise ModelCarError(f"The layout {self._path} cannot be written ({error.strerror}): {advice}.") from error

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ModelCarError(
                f"The layout {self._path} cannot be read ({error.strerror}): is it complete?"
            ) from error


def _document(path: Path) -> bytes:
    with path.open("rb") as file:
        body = file.read(MAX_DOCUMENT + 1)
    if len(body) > MAX_DOCUMENT:
        raise ModelCarError(f"{path} is larger than 8 MiB: it is no image that Roadie knows.")
    return body

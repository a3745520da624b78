"""What a place for images offers, be it a registry or an OCI image layout on disk."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from roadie.errors import ModelCarError, RegistryError
from roadie.modelcar.content import Content, Part
from roadie.modelcar.documents import Descriptor, Document
from roadie.modelcar.reference import Reference
from roadie.modelcar.retry import CancelledError

# Called as report(label, bytes done so far, bytes in all) while a blob is moved.
Report = Callable[[str, int, int], None]


def quiet(label: str, done: int, size: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Blob:
    """A blob that is now in the store; `sent` is how many bytes had to travel for that."""

    digest: str
    size: int
    sent: int


class StoredBlob:
    """A blob that lies in another store, as content to be put into this one."""

    def __init__(self, store: "Store", blob: Descriptor) -> None:
        self._store, self._blob = store, blob
        self.size, self.label = blob.size, f"base {blob.digest[7:19]}"

    def parts(self, start: int = 0) -> Iterator[Part]:
        """The blob's bytes from `start` on; ModelCarError when there are more or fewer than its size says, or others.

        A receiver that was told the size would take what is too much for the next request, and wait for what lacks.
        """
        found, done = hashlib.sha256(), start
        for chunk in self._chunks(start):
            done += len(chunk)
            if done > self.size:
                break
            found.update(chunk)
            yield Part(memoryview(chunk))
        if done != self.size or (not start and f"sha256:{found.hexdigest()}" != self._blob.digest):
            raise ModelCarError(
                f"Layer {self._blob.digest} of the base {self._store.reference} is damaged: it is not what its digest "
                "and size say."
            )

    def _chunks(self, start: int) -> Iterator[bytes]:
        try:
            yield from self._store.chunks(self._blob, start)
        except CancelledError:
            raise
        except RegistryError as error:  # which was retried there: whoever sends this on must not do so again
            raise ModelCarError(f"The base cannot be read: {error}") from error


def lost(reference: Reference, digest: str | None) -> ModelCarError:
    """What is said when another push was faster."""
    named = f"was set to {digest}" if digest else "was deleted"
    return ModelCarError(f"{reference} {named} by somebody else during this push: push under a new tag.")


class Store(Protocol):
    """One repository of a registry, or one layout. Every failure is a RoadieError."""

    reference: Reference

    def find(self, name: str) -> Document | None:
        """The manifest or index of a tag or digest, checked against its digest; None when there is none."""

    def digest_of(self, name: str) -> str | None:
        """The digest behind a tag, as cheaply as possible; None when there is none."""

    def has(self, digest: str) -> bool:
        """Whether the blob is there."""

    def chunks(self, blob: Descriptor, start: int = 0) -> Iterator[bytes]:
        """A blob's bytes from `start` on, not checked against the digest."""

    def put(self, content: Content, digest: str, report: Report) -> Blob:
        """Store a blob whose digest is known, or (with an empty one) found out on the way."""

    def mount(self, blob: Descriptor, source: "Store") -> bool:
        """Take a blob over from another store without moving its bytes; False where that is not possible."""

    def put_document(self, document: Document, tag: str = "") -> None:
        """Store a manifest or index, under a tag if one is given, and see that it can be read."""

    def keep(self, document: Document) -> None:
        """See that a manifest or index which should be there can be read, and store it again if not."""

    def set_tag(self, document: Document, expected: str | None) -> None:
        """Store a manifest or index under the reference's tag, which names `expected` (None: nothing) until now.

        ModelCarError when somebody else has set it meanwhile, before this or just after.
        """

    def close(self) -> None:
        """Let go of connections and locks."""

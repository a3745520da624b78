"""Blobs, read with their limits: never more than a descriptor says, and proved before anybody looks into them."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from roadie.errors import ModelCarError
from roadie.modelcar.documents import MAX_DOCUMENT, Descriptor, Document
from roadie.modelcar.store import Report, Store, quiet


def checked(store: Store, blob: Descriptor, report: Report = quiet) -> Iterator[bytes]:
    """A blob's bytes, cut at its size; ModelCarError when they are not what the digest and size say."""
    found, done = hashlib.sha256(), 0
    for chunk in store.chunks(blob):
        done += len(chunk)
        if done > blob.size:
            break
        found.update(chunk)
        report(blob.digest[7:19], done, blob.size)
        yield chunk
    if done != blob.size or f"sha256:{found.hexdigest()}" != blob.digest:
        raise ModelCarError(f"Blob {blob.digest} in {store.reference} is damaged: push the image again.")


@contextlib.contextmanager
def proved(store: Store, blob: Descriptor, report: Report = quiet, directory: Path | None = None) -> Iterator[BinaryIO]:
    """A blob in a file without a name (in `directory`, else in TMPDIR), once it is known to be the right one."""
    import tempfile

    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.TemporaryFile(dir=directory))
            for chunk in checked(store, blob, report):
                file.write(chunk)
            file.seek(0)
        except OSError as error:
            place = directory or tempfile.gettempdir()
            raise ModelCarError(
                f"{place} cannot take a layer of {blob.size} bytes ({error.strerror}): make room."
            ) from error
        yield file


def read_document(store: Store, blob: Descriptor) -> Document:
    """A blob that is a document, such as a config."""
    if blob.size > MAX_DOCUMENT:
        raise ModelCarError(
            f"{store.reference} has a config of {blob.size} bytes, more than 8 MiB: it is no image that Roadie knows."
        )
    return Document(blob.media_type, b"".join(checked(store, blob)))

"""Images as anybody may make them: layers member by member, documents byte by byte, in a layout or a real registry."""

import io
import json
import tarfile
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from roadie.modelcar.access import Access
from roadie.modelcar.content import Bytes
from roadie.modelcar.documents import CONFIG, LAYER, MANIFEST, Descriptor, Document
from roadie.modelcar.opening import open_store
from roadie.modelcar.reference import parse_reference
from roadie.modelcar.store import quiet

Member = tuple[tarfile.TarInfo, bytes]


def member(
    name: str,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
    pax: Mapping[str, str] | None = None,
) -> Member:
    """An entry of a layer, whatever it may be."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode = len(content), kind, target, 0o644
    info.pax_headers = dict(pax or {})
    return info, content


def archive(*members: Member, format: int = tarfile.GNU_FORMAT) -> bytes:
    """A layer of these entries."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def image(
    reference: str,
    *layers: bytes,
    media_type: str = LAYER,
    config: bytes = b'{"architecture":"amd64","os":"linux","config":{}}',
    more: Mapping[str, Any] | None = None,
    sizes: Sequence[int] = (),
) -> str:
    """Put an image of these layers (the lowest first) under a tag; `sizes` are claimed in place of the true ones."""
    store = open_store(parse_reference(reference), Access(), threading.Event(), write=True)
    try:
        blobs = [store.put(Bytes(body), "", quiet) for body in (config, *layers)]
        claimed = [*sizes, *(blob.size for blob in blobs[1 + len(sizes) :])]
        content = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": Descriptor(CONFIG, blobs[0].digest, len(config)).to_json(),
            "layers": [
                Descriptor(media_type, blob.digest, size).to_json()
                for blob, size in zip(blobs[1:], claimed, strict=True)
            ],
            **(more or {}),
        }
        store.put_document(Document(MANIFEST, json.dumps(content).encode()), store.reference.tag)
    finally:
        store.close()
    return reference

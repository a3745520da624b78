"""Taking the files under /models out of a layer, while it is read and checked."""

import contextlib
import hashlib
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal, cast

from roadie.errors import ModelCarError
from roadie.modelcar.content import BUFFER
from roadie.modelcar.documents import LAYER, ROOT, Descriptor
from roadie.modelcar.store import Report, Store, quiet

_MODES: dict[str, Literal["r|", "r|gz"]] = {LAYER: "r|", f"{LAYER}+gzip": "r|gz"}
# How layers say that a file of a lower layer is gone (OCI image specification, "Whiteouts").
WHITEOUT = ".wh."


def checked(store: Store, blob: Descriptor, report: Report = quiet) -> Iterator[bytes]:
    """A blob's bytes; ModelCarError at the end when they are not what the digest and size say."""
    found, done = hashlib.sha256(), 0
    for chunk in store.chunks(blob):
        found.update(chunk)
        done += len(chunk)
        report(blob.digest[7:19], done, blob.size)
        yield chunk
    if done != blob.size or f"sha256:{found.hexdigest()}" != blob.digest:
        raise ModelCarError(f"Blob {blob.digest} in {store.reference} is damaged: push the image again.")


@contextlib.contextmanager
def opened(store: Store, layer: Descriptor, report: Report = quiet) -> Iterator[tarfile.TarFile]:
    """A layer as an archive to go through once, checked against its digest at the end of the block."""
    if layer.media_type not in _MODES:
        raise ModelCarError(f"A layer of {store.reference} is {layer.media_type}: Roadie reads plain and gzip layers.")
    stream = _Stream(checked(store, layer, report))
    try:
        with tarfile.open(fileobj=cast(IO[bytes], stream), mode=_MODES[layer.media_type], bufsize=BUFFER) as archive:
            yield archive
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise ModelCarError(f"Layer {layer.digest} of {store.reference} cannot be unpacked ({error}).") from error
    stream.drain()


def extract(store: Store, layer: Descriptor, directory: Path, report: Report) -> None:
    """Write what a layer holds under /models into `directory`; nothing in it can write outside of it."""
    with opened(store, layer, report) as archive:
        for member in archive:
            if name := _inside(member.name):
                _extract_member(archive, member, name, directory)


def _inside(name: str) -> str:
    """The path below /models; empty for what lies elsewhere."""
    name = name.removeprefix("./").lstrip("/")
    return name[len(ROOT) + 1 :] if name.startswith(f"{ROOT}/") else ""


def _extract_member(archive: tarfile.TarFile, member: tarfile.TarInfo, name: str, directory: Path) -> None:
    path = Path(name)
    if path.name.startswith(WHITEOUT):
        gone = directory / path.parent / path.name.removeprefix(WHITEOUT)
        if ".." not in path.parts:
            shutil.rmtree(gone) if gone.is_dir() and not gone.is_symlink() else gone.unlink(missing_ok=True)
        return
    linked = _inside(member.linkname) if member.islnk() else member.linkname
    archive.extract(member.replace(name=name, linkname=linked, deep=False), directory, filter="data")


class _Stream:
    """Chunks as a file that tarfile can read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")

    def read(self, size: int) -> bytes:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        taken, self._rest = self._rest[:size], self._rest[size:]
        return bytes(taken)

    def drain(self) -> None:
        """Read to the end, where the digest is checked; tarfile stops at the archive's end mark."""
        for _ in self._chunks:
            pass

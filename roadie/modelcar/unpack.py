"""Taking the files under /models out of an image's layers, whoever made them.

Nothing in a layer is believed. A blob is proved before it is opened; names are split and refused where they are odd;
folders are walked by descriptor, without following links; only files and folders are made, and nothing is deleted.
"""

import contextlib
import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from roadie.errors import ModelCarError
from roadie.modelcar.access import Access
from roadie.modelcar.blobs import proved
from roadie.modelcar.documents import LAYER, ROOT, Descriptor
from roadie.modelcar.overlay import OPAQUE, WHITEOUT, Overlay, PathError
from roadie.modelcar.store import Report, Store, quiet
from roadie.modelcar.tar import Archive, Member, Readable, TarError

# Compressed layers may give this many times their size, and small ones at least that many bytes in all.
_RATIO = 20
_LEAST = 128 << 20
_MOST = 64 << 30
_MOST_ENTRIES = 20_000
_DEEPEST = 64
_LONGEST_PART, _LONGEST = 255, 2048


@dataclass
class Budget:
    """How many bytes an image's layers may still unpack to; `given` is what the user set, 0 for the rule above."""

    given: int = 0
    earned: int = 0
    spent: int = 0
    entries: int = 0

    @property
    def most(self) -> int:
        """The bytes that may be unpacked in all."""
        return self.given or min(_MOST, max(_LEAST, self.earned))

    def earn(self, size: int) -> None:
        """A layer of that many bytes was proved."""
        self.earned += _RATIO * size

    def spend(self, count: int) -> None:
        """Count unpacked bytes; ModelCarError when they are too many."""
        self.spent += count
        if self.spent > self.most:
            raise self._exceeded(self.most)

    def check(self, size: int) -> None:
        """ModelCarError when layers of `size` bytes cannot be unpacked whatever they hold."""
        if size > (self.given or _MOST):
            raise self._exceeded(self.given or _MOST)

    def _exceeded(self, most: int) -> ModelCarError:
        return ModelCarError(
            f"The image unpacks to more than {most} bytes: if you know it to be that large, raise the limit "
            "(REGISTRY_MAX_UNPACKED, in bytes)."
        )

    def count_entry(self) -> None:
        """Count a file or folder; ModelCarError when there are too many."""
        self.entries += 1
        if self.entries > _MOST_ENTRIES:
            raise ModelCarError(f"/{ROOT} holds more than {_MOST_ENTRIES} files and folders: it is no model.")


@contextlib.contextmanager
def opened(
    store: Store, layer: Descriptor, budget: Budget, report: Report = quiet, directory: Path | None = None
) -> Iterator[Archive]:
    """A proved layer as an archive; it lies in `directory` for as long as the block lasts."""
    if layer.media_type not in {LAYER, f"{LAYER}+gzip"}:
        raise ModelCarError(f"A layer of {store.reference} is {layer.media_type}: Roadie reads plain and gzip layers.")
    with proved(store, layer, report, directory) as file:
        budget.earn(layer.size)
        try:
            with _plain(file, layer) as plain:
                yield Archive(_Counted(plain, budget))
        except (TarError, PathError, gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise ModelCarError(f"Layer {layer.digest} of {store.reference} cannot be unpacked: {error}.") from error


def _plain(file: BinaryIO, layer: Descriptor) -> contextlib.AbstractContextManager[Readable]:
    return gzip.GzipFile(fileobj=file) if layer.media_type.endswith("+gzip") else contextlib.nullcontext(file)


class _Counted:
    def __init__(self, file: Readable, budget: Budget) -> None:
        self._file, self._budget = file, budget

    def read(self, size: int, /) -> bytes:
        chunk = self._file.read(size)
        self._budget.spend(len(chunk))
        return chunk


def extract(
    store: Store, layers: Sequence[Descriptor], directory: Path, access: Access, report: Report
) -> tuple[str, ...]:
    """Write what `layers` hold under /models into `directory`, which is empty; gives the files' paths below it."""
    above, budget = Overlay(), Budget(access.max_unpacked)
    written: list[str] = []
    # From the top down, and what is listed twice once: all of its lower copy is hidden by the upper one.
    unique = {layer.digest: layer for layer in layers[::-1]}.values()
    budget.check(sum(layer.size for layer in unique))
    root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for layer in unique:
            with opened(store, layer, budget, report, directory.parent) as archive:
                above.put_over(_Layer(archive, root, budget, above, written).extract())
    finally:
        os.close(root)
    return tuple(sorted(written))


@dataclass
class _Layer:
    """One layer on its way to the directory `root`, below those in `above`; what it writes is added to `written`."""

    archive: Archive
    root: int
    budget: Budget
    above: Overlay
    written: list[str]
    held: Overlay = field(default_factory=Overlay)

    def extract(self) -> Overlay:
        """Write what shows; gives what the layer holds under /models, and hides."""
        for member in self.archive:
            try:
                self._take(member, split(member.name))
            except PathError as error:
                raise PathError(f"{member.name[:200]!r} {error}") from None
        return self.held

    def _take(self, member: Member, parts: tuple[str, ...]) -> None:
        if not parts or parts[0] not in {ROOT, f"{WHITEOUT}{ROOT}", OPAQUE}:
            return
        if any(part.startswith(WHITEOUT) for part in parts[:-1]):
            raise PathError("stands in a folder that means a deleted one")
        if parts[-1].startswith(WHITEOUT):
            self.held.add_whiteout(parts)
            return
        folder = member.kind == "folder"
        if member.kind not in {"file", "folder"} or (len(parts) == 1 and not folder):
            raise PathError("is neither a file nor a folder, which is all that a model consists of")
        self.budget.count_entry()
        self.held.add(parts, folder=folder)
        if self.above.hides(parts, folder=folder):
            return
        if folder:
            os.close(self._folder(parts[1:]))
        else:
            self._write(parts[1:])
            self.written.append("/".join(parts[1:]))

    def _write(self, parts: tuple[str, ...]) -> None:
        folder = self._folder(parts[:-1])
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(parts[-1], flags, 0o644, dir_fd=folder), "wb", buffering=0) as file:
                for chunk in self.archive.content():
                    file.write(chunk)
        finally:
            os.close(folder)

    def _folder(self, parts: tuple[str, ...]) -> int:
        """An open folder below the root, made where it is missing, step by step."""
        at = os.dup(self.root)
        for part in parts:
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=at)
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            finally:
                os.close(at)
            at = below
        return at


def split(name: str) -> tuple[str, ...]:
    """The parts of a member's name, below the image's root; PathError when one of them is no name."""
    name = name.removeprefix("./") if name.startswith("./") else name.removeprefix("/")
    parts = tuple(name.removesuffix("/").split("/")) if name not in {"", "."} else ()
    if not {"", ".", ".."}.isdisjoint(parts) or any("\0" in part for part in parts):
        raise PathError("is no path in an image")
    if len(parts) > _DEEPEST or len(os.fsencode(name)) > _LONGEST:
        raise PathError("is too deep or too long")
    if any(len(os.fsencode(part)) > _LONGEST_PART for part in parts):
        raise PathError("is too long")
    return parts

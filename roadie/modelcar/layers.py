"""Layers: uncompressed tar archives whose bytes depend on nothing but the files' names and contents.

One layer per file, so that a changed file costs its own upload and nothing else, and uncompressed, because weights do
not compress and because the digest of such a layer is also its diff_id: every byte is hashed once.
"""

import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from roadie.errors import ModelCarError
from roadie.modelcar.content import BUFFER, Part
from roadie.modelcar.files import Entry, Stamp

# A file up to this size shares a layer with others.
_SMALL = 1 << 20
_SECTOR = 512
# Container runtimes stack at most 127 layers; this leaves room for the base's.
_MAX_OWN_LAYERS = 64


@dataclass(frozen=True)
class Layer:
    """A tar archive of `entries`, written while it is read: it never exists on disk or in memory as a whole.

    `title` is what people call it, when its files' names do not say that.
    """

    entries: tuple[Entry, ...]
    title: str = ""

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The names of the files in it, as in the image."""
        return tuple(entry.name for entry in self.entries if entry.is_file)

    @property
    def label(self) -> str:
        """The title, the file's name, or how many files it holds."""
        if self.title:
            return self.title
        return self.files[0] if len(self.files) == 1 else f"{len(self.files)} files"

    @cached_property
    def size(self) -> int:
        """Bytes of the archive."""
        return sum(len(piece) if isinstance(piece, bytes) else piece.size for piece in self._pieces())

    def _pieces(self) -> Iterator[bytes | Entry]:
        """Headers and padding as bytes, files as entries; at the end the two empty sectors that close an archive."""
        for entry in self.entries:
            yield _header(entry)
            if entry.is_file:
                yield entry if entry.content is None else entry.content
                yield b"\0" * (-entry.size % _SECTOR)
        yield b"\0" * (2 * _SECTOR)

    def parts(self, start: int = 0) -> Iterator[Part]:
        """The archive from `start` on; ModelCarError when a file is not what it was when it was listed."""
        buffer = memoryview(bytearray(BUFFER))
        pending = bytearray()
        for piece in self._pieces():
            size = len(piece) if isinstance(piece, bytes) else piece.size
            skip = min(start, size)
            start -= skip
            if isinstance(piece, bytes):
                pending += piece[skip:]
            if pending and (len(pending) >= BUFFER or not isinstance(piece, bytes)):
                yield Part(memoryview(pending))
                pending = bytearray()
            if not isinstance(piece, bytes) and size > skip:
                yield from _file_parts(piece, skip, buffer)
        yield Part(memoryview(pending))


def plan(entries: Sequence[Entry]) -> tuple[Layer, ...]:
    """Share out sorted entries among layers: large files one each, small files and empty directories together.

    When there are more large files than a runtime can stack as layers, the smaller of them share layers, in name order
    and about evenly, so that the outcome still depends on names and sizes alone.
    """
    files = [entry for entry in entries if entry.stamp]
    large = sorted((entry for entry in files if entry.size > _SMALL), key=lambda entry: (-entry.size, entry.name))
    alone = large if len(large) <= _MAX_OWN_LAYERS else large[: _MAX_OWN_LAYERS // 2]
    shared = sorted(large[len(alone) :], key=lambda entry: entry.name)
    groups = [[entry] for entry in sorted(alone, key=lambda entry: entry.name)]
    groups += _evenly(shared, _MAX_OWN_LAYERS // 2)
    parents = {entry.name.rpartition("/")[0] for entry in entries}
    small = [entry for entry in entries if entry.size <= _SMALL and (entry.stamp or entry.name not in parents)]
    return tuple(Layer(tuple(with_parents(group))) for group in [*groups, small] if group)


def _evenly(entries: Sequence[Entry], groups: int) -> list[list[Entry]]:
    room = -(-sum(entry.size for entry in entries) // groups)
    shared: list[list[Entry]] = []
    filled = room
    for entry in entries:
        if filled >= room:
            shared.append([])
            filled = 0
        shared[-1].append(entry)
        filled += entry.size
    return shared


def with_parents(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries, each after its directories: a layer must not rely on another one for a directory's mode."""
    seen: set[str] = set()
    for entry in entries:
        for parent in reversed(PurePosixPath(entry.name).parents[:-1]):
            if str(parent) not in seen:
                seen.add(str(parent))
                yield Entry(str(parent), "")
        seen.add(entry.name)
        yield entry


def _header(entry: Entry) -> bytes:
    """A tar header without user, group or time, which differ between machines.

    GNU format: sizes over 8 GiB in base 256, names over 100 bytes as a long-name record; all runtimes read both.
    """
    info = tarfile.TarInfo(entry.name)
    info.mode, info.size = entry.mode or (0o644 if entry.is_file else 0o755), entry.size
    info.type = tarfile.REGTYPE if entry.is_file else tarfile.DIRTYPE
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _file_parts(entry: Entry, start: int, buffer: memoryview) -> Iterator[Part]:
    file = -1
    try:
        file = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
        _same(entry, file)
        while start < entry.size and (count := os.preadv(file, [buffer[: entry.size - start]], start)):
            yield Part(buffer[:count], file, start)
            start += count
        _same(entry, file)
    except OSError as error:
        raise ModelCarError(f"{entry.path} cannot be read ({error.strerror}): make it readable.") from error
    finally:
        if file >= 0:
            os.close(file)


def _same(entry: Entry, file: int) -> None:
    if Stamp.of(os.fstat(file)) != entry.stamp:
        raise ModelCarError(f"{entry.path} was changed while it was being pushed: push again when it is at rest.")

"""The bytes of a blob, as they are read by whoever sends, hashes or keeps them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

BUFFER = 1 << 20
# A blob up to this size (bytes) is hashed before it is sent, and goes with the closing request of an upload.
SMALL_BLOB = 8 << 20


class Part(NamedTuple):
    """Some bytes of a blob; with `file` >= 0 the same bytes lie at `offset` of that open file, for sendfile."""

    view: memoryview
    file: int = -1
    offset: int = 0


class Content(Protocol):
    """A blob's bytes, which can be read again from any offset."""

    @property
    def size(self) -> int:
        """Bytes in all."""

    @property
    def label(self) -> str:
        """What people call it, for progress and errors."""

    def parts(self, start: int = 0) -> Iterator[Part]:
        """The bytes from `start` on; a part's view is valid until the next one is asked for."""


@dataclass(frozen=True)
class Bytes:
    """A blob that is small enough to lie in memory: a config."""

    body: bytes
    label: str = "config"

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.body)

    def parts(self, start: int = 0) -> Iterator[Part]:
        """All of it at once."""
        yield Part(memoryview(self.body)[start:])

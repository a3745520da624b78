"""Which entries of stacked layers show, when one goes through them from the top one down.

A container runtime stacks from the bottom and deletes what a whiteout names. From the top nothing is ever deleted: what
a layer above has, or has taken away, is left out below (OCI image specification, "Image Layer Filesystem Changeset").
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

# How layers say that a file of a lower layer is gone, and that all of a folder in lower layers is.
WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


class PathError(Exception):
    """A name that no honest layer has; the text goes on after the name."""


@dataclass
class Overlay:
    """Paths (their parts joined by `/`, the root is empty) that layers hold, or hide in the layers below them."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)

    def hides(self, parts: tuple[str, ...], *, folder: bool) -> bool:
        """Whether an entry of a layer below does not show."""
        path = "/".join(parts)
        if path in self.files or path in self.gone or (path in self.folders and not folder):
            return True
        return any(above in self.files or above in self.gone or above in self.opaque for above in _above(parts))

    def add(self, parts: tuple[str, ...], *, folder: bool) -> None:
        """Take in an entry; PathError when it is there already, or where it is both file and folder."""
        path, above = "/".join(parts), set(_above(parts))
        if path in self.files or (path in self.folders and not folder):
            raise PathError("stands in it twice")
        if above & self.files:
            raise PathError("stands below a file")
        self.folders |= above
        (self.folders if folder else self.files).add(path)

    def add_whiteout(self, parts: tuple[str, ...]) -> None:
        """Take in a whiteout; PathError when it names nothing that could be gone."""
        if parts[-1] == OPAQUE:
            self.opaque.add("/".join(parts[:-1]))
            return
        name = parts[-1].removeprefix(WHITEOUT)
        if name in {"", ".", ".."} or name.startswith(WHITEOUT):
            raise PathError("takes away what is no file")
        self.gone.add("/".join((*parts[:-1], name)))

    def put_over(self, other: "Overlay") -> None:
        """Take in all of the layer below, `other`."""
        self.files |= other.files
        self.folders |= other.folders
        self.gone |= other.gone
        self.opaque |= other.opaque


def _above(parts: tuple[str, ...]) -> Iterator[str]:
    return ("/".join(parts[:depth]) for depth in range(len(parts)))

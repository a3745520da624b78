"""What lies in a model's directory, as it will stand under /models in the image."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from roadie.errors import ModelCarError
from roadie.modelcar.documents import ROOT


@dataclass(frozen=True)
class Stamp:
    """What tells that a file was touched; users cannot set the change time, so it gives away even a restored mtime."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """From stat or fstat."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True)
class Entry:
    """What gets the name `name` in the image: a file on disk (with its stamp), `content` that is written there, or a
    directory (with neither). `mode` is 0 for what everyone may read and nobody run.
    """

    name: str
    path: str
    stamp: Stamp | None = None
    content: bytes | None = None
    mode: int = 0

    @property
    def size(self) -> int:
        """Bytes of content; 0 for a directory."""
        return self.stamp.size if self.stamp else len(self.content or b"")

    @property
    def is_file(self) -> bool:
        """Whether it is not a directory."""
        return self.stamp is not None or self.content is not None


def scan(directory: Path) -> tuple[Entry, ...]:
    """Every file and directory below `directory`, sorted by name; links inside it are followed.

    Raises ModelCarError for a link that leaves the directory, leads nowhere or turns in a circle, for something that is
    neither file nor directory, for what cannot be read, and when there is no file at all.
    """
    try:
        root = directory.resolve(strict=True)
        if not root.is_dir():
            raise ModelCarError(f"{directory} is not a directory: give the one that holds 1/model.onnx.")
        entries = tuple(sorted(_walk(root, root, ROOT, (root,)), key=lambda entry: os.fsencode(entry.name)))
    except FileNotFoundError as error:
        missing = directory if not directory.exists() else error.filename
        raise ModelCarError(f"{missing} does not exist: give the directory that holds 1/model.onnx.") from error
    except OSError as error:
        raise ModelCarError(f"{error.filename} cannot be read ({error.strerror}): make it readable.") from error
    if not any(entry.stamp for entry in entries):
        raise ModelCarError(
            f"{directory} holds no file: KServe's init container refuses an empty /models, put the model there."
        )
    return entries


def _walk(root: Path, directory: Path, name: str, above: tuple[Path, ...]) -> Iterator[Entry]:
    with os.scandir(directory) as found:
        items = list(found)
    for item in items:
        inside = f"{name}/{item.name}"
        path = _inside(root, Path(item.path)) if item.is_symlink() else Path(item.path)
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            if path in above:
                raise ModelCarError(f"{item.path} links to a directory above itself: remove the link.")
            yield Entry(inside, str(path))
            yield from _walk(root, path, inside, (*above, path))
        elif stat.S_ISREG(status.st_mode):
            if not os.access(path, os.R_OK):
                raise ModelCarError(f"{path} cannot be read (Permission denied): make it readable.")
            # Not where a link leads: an ONNX model finds its external data beside its own name.
            yield Entry(inside, item.path, Stamp.of(status))
        else:
            raise ModelCarError(f"{item.path} is neither a file nor a directory: remove it from the model's directory.")


def _inside(root: Path, link: Path) -> Path:
    """Where a link leads, when that lies inside `root`: what is outside would silently become part of the image."""
    try:
        target = link.resolve(strict=True)
    except (FileNotFoundError, RuntimeError) as error:
        raise ModelCarError(f"{link} is a link that leads nowhere: remove it or put the file there.") from error
    if root not in target.parents and target != root:
        raise ModelCarError(f"{link} links to {target}, outside the model's directory: put a copy in its place.")
    return target

"""Folders of source files, as they will stand in an image: what is compiled or hidden stays here."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from roadie.errors import ModelCarError, UsageError
from roadie.modelcar.files import Entry, Stamp

# Compiled modules, and an installed Roadie's copy of what stands beside it in a checkout and in an image.
_STAY = {"__pycache__", "_shipped"}


def collect(folders: Sequence[Path], folder: str) -> tuple[Entry, ...]:
    """Every file of `folders`, below `folder` and the folder's own name, sorted by name.

    Raises UsageError for a folder that is none, ModelCarError for what cannot be read, or leads out of it by a link.
    """
    entries: list[Entry] = []
    for each in folders:
        if not each.is_dir():
            raise UsageError(f"{each} is not a folder: name one that holds the steps' code.")
        root = each.resolve()
        try:
            entries += _walk(root, root, f"{folder}/{root.name}")
        except OSError as error:
            raise ModelCarError(f"{error.filename} cannot be read ({error.strerror}): make it readable.") from error
    if len({entry.name for entry in entries}) < len(entries):
        raise UsageError(f"Two of {', '.join(map(str, folders))} hold the same files: name each folder once.")
    return tuple(sorted(entries, key=lambda entry: os.fsencode(entry.name)))


def _walk(root: Path, directory: Path, name: str) -> Iterator[Entry]:
    with os.scandir(directory) as found:
        items = list(found)
    for item in items:
        if item.name.startswith(".") or item.name in _STAY or item.name.endswith(".pyc"):
            continue
        path = Path(item.path)
        if item.is_symlink() and (path.is_dir() or root not in path.resolve().parents):
            raise ModelCarError(f"{path} links to {path.readlink()}, which stays here: put a copy in its place.")
        if path.is_dir():
            yield from _walk(root, path, f"{name}/{item.name}")
        elif path.is_file():
            status = path.stat()
            mode = 0o755 if status.st_mode & 0o100 else 0o644
            yield Entry(f"{name}/{item.name}", str(path), Stamp.of(status), mode=mode)
        else:
            raise ModelCarError(f"{path} is neither a file nor a folder: remove it.")

"""Which layers were pushed from here before, so that they are asked for before they are sent again.

A hint and no more: what an image names is hashed by the push that names it. A layer counts as the same when the names
of its files are, and each file's device, inode, size and times. One empty file per layer in the user's cache directory;
deleting them costs time and nothing else.
"""

import contextlib
import json
import os
import time
from dataclasses import astuple
from pathlib import Path

from roadie.modelcar.content import SMALL_BLOB
from roadie.modelcar.documents import sha256
from roadie.modelcar.layers import Layer

_KEPT = 90 * 86400.0


class Memory:
    """The hints in `directory`, by default `$XDG_CACHE_HOME/roadie/layers` (no matter if it cannot be written)."""

    def __init__(self, directory: Path | None = None) -> None:
        # A container's arbitrary user has no home, and then no memory.
        home = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME') or os.devnull}/.cache"
        self._directory = directory or Path(home, "roadie", "layers")

    def has(self, layer: Layer) -> bool:
        """Whether the layer was pushed before; small ones are not remembered, since they are always asked for."""
        if layer.size <= SMALL_BLOB:
            return False
        try:
            os.utime(self._path(layer))
        except OSError:
            return False
        return True

    def add(self, layer: Layer) -> None:
        """Remember that it was pushed."""
        if layer.size > SMALL_BLOB:
            with contextlib.suppress(OSError):
                self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._path(layer).touch()

    def prune(self) -> None:
        """Forget what nobody asked for in 90 days."""
        with contextlib.suppress(OSError):
            for path in self._directory.iterdir():
                if time.time() - path.stat().st_mtime > _KEPT:
                    path.unlink()

    def _path(self, layer: Layer) -> Path:
        stamps = [(entry.name, entry.path, astuple(entry.stamp)) for entry in layer.entries if entry.stamp]
        key = json.dumps([layer.size, [entry.name for entry in layer.entries], stamps])
        return self._directory / sha256(key.encode()).removeprefix("sha256:")

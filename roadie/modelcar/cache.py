"""Digests of layers that were hashed before, so that an unchanged file need not be read again.

As in git's index, a file counts as unchanged when device, inode, size, modification time and change time are the same.
One small file per layer in the user's cache directory; deleting them costs time and nothing else.
"""

import contextlib
import json
import os
import threading
import time
from dataclasses import astuple
from pathlib import Path

from roadie.modelcar.content import SMALL_BLOB
from roadie.modelcar.documents import sha256
from roadie.modelcar.layers import Layer

# A file that changed within this many seconds may change again without its times showing it.
_RACY = 2.0
_KEPT = 90 * 86400.0


class DigestCache:
    """The cache in `directory`, by default `$XDG_CACHE_HOME/roadie/digests` (no matter if it cannot be written)."""

    def __init__(self, directory: Path | None = None) -> None:
        # A container's arbitrary user has no home, and then no cache.
        home = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME') or os.devnull}/.cache"
        self._directory = directory or Path(home, "roadie", "digests")

    def get(self, layer: Layer) -> str:
        """The layer's digest, or an empty string; small layers are not kept, since they are hashed as fast as found."""
        if layer.size <= SMALL_BLOB:
            return ""
        try:
            path = self._path(layer)
            digest = path.read_text("ascii")
            os.utime(path)
        except (OSError, ValueError):
            return ""
        return digest if digest.startswith("sha256:") and len(digest) == len(sha256(b"")) else ""

    def put(self, layer: Layer, digest: str) -> None:
        """Remember a digest, unless the layer's files are too young to be trusted."""
        changed = max(
            (max(entry.stamp.mtime_ns, entry.stamp.ctime_ns) for entry in layer.entries if entry.stamp), default=0
        )
        if layer.size <= SMALL_BLOB or time.time() - changed / 1e9 < _RACY:
            return
        with contextlib.suppress(OSError):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self._path(layer)
            # A name of this thread's own: a digest that lands under another layer's key would corrupt an image.
            unfinished = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}")
            unfinished.write_text(digest, "ascii")
            unfinished.rename(path)

    def prune(self) -> None:
        """Forget what nobody asked for in 90 days."""
        with contextlib.suppress(OSError):
            for path in self._directory.iterdir():
                if time.time() - path.stat().st_mtime > _KEPT:
                    path.unlink()

    def _path(self, layer: Layer) -> Path:
        stamps = [(entry.name, entry.path, astuple(entry.stamp)) for entry in layer.entries if entry.stamp]
        written = [(entry.name, sha256(entry.content)) for entry in layer.entries if entry.content is not None]
        key = json.dumps([layer.size, [(entry.name, entry.mode) for entry in layer.entries], stamps, written])
        return self._directory / sha256(key.encode()).removeprefix("sha256:")

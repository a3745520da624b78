"""What a base holds: its Python, git, certificates and C library, told from its layers, and whether that will do.

A base is read once: what was found is kept by its digest in the user's cache directory.
"""

import contextlib
import json
import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from roadie.errors import ModelCarError
from roadie.modelcar.documents import Document
from roadie.modelcar.image import Platform
from roadie.modelcar.overlay import WHITEOUT
from roadie.modelcar.steps.machine import Machine, version_of
from roadie.modelcar.store import Store
from roadie.modelcar.tar import Archive, Member
from roadie.modelcar.unpack import Budget, opened

# What runtimes take where an image says nothing.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CERTIFICATES = {
    "etc/ssl/certs/ca-certificates.crt",
    "etc/ssl/cert.pem",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
}
_VERSIONED = re.compile(r"python(3\.\d+)")
_LIBC = re.compile(r"libc\.so\.6|libc-\d+\.\d+\.so")
_MOST_OF_A_LIBRARY = 64 << 20
_GLIBC = re.compile(rb"GNU C Library [^\n]*?version (\d+\.\d+)")


@dataclass(frozen=True)
class Holding:
    """What was found in a base: `python` such as 3.11, `libc` a version of glibc or `musl`, each empty for none.

    `cxx` is C++'s library, the one that wheels may expect beside libc (PEP 600).
    """

    python: str
    git: bool
    certificates: bool
    libc: str
    cxx: bool


def holding_of(store: Store, platform: Platform, manifest: Document) -> Holding:
    """What the base holds, from the cache when it was read before; ModelCarError for a layer that cannot be read."""
    home = os.environ.get("XDG_CACHE_HOME") or f"{os.environ.get('HOME') or os.devnull}/.cache"
    kept = Path(home, "roadie", "bases", manifest.digest.removeprefix("sha256:"))
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Holding(**json.loads(kept.read_text("utf-8")))
    found = _read(store, platform)
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = kept.with_name(f".{kept.name}-{os.getpid()}")
        unfinished.write_text(json.dumps(asdict(found)), "utf-8")
        unfinished.rename(kept)
    return found


def environment_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The variables that an image's config sets; PATH always."""
    pairs = (str(item).partition("=") for item in (config.get("config") or {}).get("Env") or ())
    return {"PATH": _PATH, **{name: value for name, _, value in pairs}}


def _read(store: Store, platform: Platform) -> Holding:
    """Go through the layers, the small ones first, until all is found that no other layer may take away again."""
    environment = environment_of(platform.config)
    seen = _Seen([folder.strip("/") for folder in environment["PATH"].split(":")])
    budget = Budget()
    unread = dict(sorted(enumerate(platform.layers), key=lambda item: item[1].size))
    while unread and not (seen.all and max(unread) < seen.highest):
        height = next(iter(unread))
        with opened(store, unread.pop(height), budget) as archive:
            for member in archive:
                seen.add(archive, member, height)
    stated = ".".join(environment.get("PYTHON_VERSION", "").split(".")[:2])
    return Holding(seen.python or stated, seen.git, seen.certificates, seen.libc, seen.cxx)


@dataclass
class _Seen:
    """The names of a base so far, each with where it leads if it is a link; `folders` are those of its PATH.

    `heights` are the layers that said so: layers do not come in their order, and the upper ones are right.
    """

    folders: list[str]
    libc: str = ""
    names: dict[str, str] = field(default_factory=dict)
    heights: dict[str, int] = field(default_factory=dict)

    def add(self, archive: Archive, member: Member, height: int) -> None:
        """Take in one member of a layer."""
        folder, file = posixpath.split(posixpath.normpath(member.name).lstrip("/"))
        name = posixpath.join(folder, file.removeprefix(WHITEOUT))
        if self.heights.get(name, -1) > height:
            return
        self.heights[name] = height
        if file.startswith(WHITEOUT):
            self.names.pop(name, None)
            return
        self.names[name] = member.target
        if file.startswith("ld-musl-"):
            self.libc = self.libc or "musl"
        elif member.kind == "file" and _LIBC.fullmatch(file) and member.size <= _MOST_OF_A_LIBRARY:
            found = _GLIBC.search(b"".join(archive.content()))
            self.libc = found[1].decode() if found else self.libc

    @property
    def highest(self) -> int:
        """The layer that python3 came from: what lies below cannot replace it."""
        return self.heights.get(f"{self.folders[0]}/python3", -1)

    @property
    def all(self) -> bool:
        """Whether all that steps need was found, and no python3 may come before the one that was."""
        first = f"{self.folders[0]}/python3" in self.names
        return bool(first and self.git and self.certificates and self.cxx and version_of(self.libc))

    @property
    def git(self) -> bool:
        """Whether there is a git on the PATH."""
        return any(f"{folder}/git" in self.names for folder in self.folders)

    @property
    def certificates(self) -> bool:
        """Whether there is a bundle of certificates where OpenSSL, GnuTLS and curl look for one."""
        return bool(self.names.keys() & _CERTIFICATES)

    @property
    def cxx(self) -> bool:
        """Whether there is a library of C++."""
        return any(posixpath.basename(name) == "libstdc++.so.6" for name in self.names)

    @property
    def python(self) -> str:
        """The version of the python3 that is found first, by the name that its links lead to."""
        paths = (f"{folder}/python3" for folder in self.folders)
        path = next((path for path in paths if path in self.names), "")
        for _ in range(10):
            if found := _VERSIONED.fullmatch(posixpath.basename(path)):
                return found[1]
            target = self.names.get(path, "")
            path = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target)).lstrip("/")
        return ""


def check(name: str, holding: Holding, machine: Machine, libc: str) -> None:
    """ModelCarError when packages for `machine` that need `libc` do not run on the base, or steps lack something."""
    if lack := next(_lacks(holding, machine, libc), ""):
        raise ModelCarError(
            f"The base {name} has {lack}: take one with Python {machine.python}, git and ca-certificates, such as "
            f"python:{machine.python}."
        )


def _lacks(holding: Holding, machine: Machine, libc: str) -> Iterator[str]:
    if not holding.python:
        yield "no python3 on its PATH"
    if holding.python != machine.python:
        yield f"Python {holding.python}, and this environment's packages are for {machine.python}"
    if not holding.git:
        yield "no git on its PATH, with which steps reach GitOps repositories"
    if not holding.certificates:
        yield "no ca-certificates, without which no server is trusted"
    if libc and (libc == "musl") != (holding.libc == "musl"):
        kind = "musl" if holding.libc == "musl" else "no musl"
        yield f"{kind}, and this environment's packages are for another C library"
    if version_of(libc) > version_of(holding.libc):
        yield f"glibc {holding.libc or 'of no version'}, and this environment's packages need {libc}"
    if libc and not holding.cxx:
        yield "no libstdc++, which compiled packages need"

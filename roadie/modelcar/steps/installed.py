"""The distributions of a lock as they are installed here, each file checked against what was installed.

Only what an archive of the index brings goes along. What the installer adds stays here: scripts, which name this
environment's Python, compiled modules, and its own notes, which tell pip from uv.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from roadie.errors import ModelCarError
from roadie.modelcar.documents import sha256
from roadie.modelcar.files import Entry, Stamp
from roadie.modelcar.overlay import WHITEOUT
from roadie.modelcar.steps.lock import Pin
from roadie.modelcar.steps.machine import least_libc, version_of

if TYPE_CHECKING:
    from importlib.metadata import Distribution

_NOTES = {
    "INSTALLER",
    "RECORD",
    "RECORD.jws",
    "RECORD.p7s",
    "REQUESTED",
    "direct_url.json",
    "uv_build.json",
    "uv_cache.json",
}
_STRONG = {"sha256", "sha384", "sha512"}
_NAMED = 5  # how many distributions one sentence names


@dataclass(frozen=True)
class Packages:
    """The files of all distributions below one folder of an image, and the libc that their binaries need."""

    entries: tuple[Entry, ...]
    count: int
    libc: str

    @property
    def digest(self) -> str:
        """A digest of it all: each RECORD holds those of its files."""
        return sha256(b"".join(entry.content for entry in self.entries if entry.content is not None))


def collect(pins: Sequence[Pin], folder: str, sites: Sequence[Path] = ()) -> Packages:
    """What `pins` name, as it will stand in `folder`; `sites` are where it is installed, by default here.

    Raises ModelCarError for the first distribution that is missing, of another version, not from an archive of the
    lock, for another Python or machine, or not as it was installed.
    """
    found = _installed(sites or _sites())
    if missing := [pin for pin in pins if pin.name not in found]:
        named = ", ".join(f"{pin.name} {pin.version}" for pin in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise ModelCarError(f"This environment lacks {named}{more}, which the lock names: install the lock here first.")
    entries: dict[str, Entry] = {}
    libcs = set()
    for pin in pins:
        distribution = found[pin.name]
        _check_origin(pin, distribution)
        libcs.add(least_libc(f"{pin.name} {pin.version}", distribution.read_text("WHEEL") or ""))
        entries |= {entry.name: entry for entry in _entries(pin, distribution, folder)}
    ordered = sorted(entries.values(), key=lambda entry: os.fsencode(entry.name))
    return Packages(tuple(ordered), len(pins), "musl" if "musl" in libcs else max(libcs, key=version_of, default=""))


def _sites() -> list[Path]:
    import sysconfig

    return [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")]


def _installed(sites: Sequence[Path]) -> dict[str, Distribution]:
    """What is installed there by canonical name; where one was left over beside another, what Python finds first."""
    from importlib.metadata import distributions

    from packaging.utils import canonicalize_name

    found: dict[str, Distribution] = {}
    for distribution in distributions(path=list(dict.fromkeys(map(str, sites)))):
        if name := distribution.metadata["Name"]:
            found.setdefault(canonicalize_name(name), distribution)
    return found


def _check_origin(pin: Pin, distribution: Distribution) -> None:
    """ModelCarError unless it is the version of the lock, from an archive that the lock may mean (PEP 610)."""
    from packaging.version import InvalidVersion, Version

    try:
        same = Version(distribution.version) == Version(pin.version)
    except InvalidVersion:
        same = distribution.version == pin.version
    if not same:
        raise ModelCarError(
            f"This environment has {pin.name} {distribution.version} and the lock names {pin.version}: install the "
            "lock here first."
        )
    try:
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        hashes = {f"{name}={value}" for name, value in (origin.get("archive_info") or {}).get("hashes", {}).items()}
        hashes.add(str((origin.get("archive_info") or {}).get("hash", "")))
    except (ValueError, AttributeError):
        origin, hashes = {"url": "an unknown place"}, set()
    if origin and not hashes & {f"sha256={each}" for each in pin.hashes}:
        # The address is not told: it may hold a token.
        how = next((how for how in ("vcs_info", "dir_info", "archive_info") if how in origin), "")
        where = {"vcs_info": "a repository", "dir_info": "a folder"}.get(how, "an archive that the lock does not name")
        raise ModelCarError(f"{pin.name} was installed from {where}: install the lock here first.")


def _entries(pin: Pin, distribution: Distribution, folder: str) -> Iterator[Entry]:
    """The files of a distribution, each as its RECORD says, and a RECORD of these alone (PyPA's "Recording installed
    projects"; not `Distribution.files`, which leaves out what is missing).
    """
    # Splitting at newlines alone: a name may hold other separators.
    rows = csv.reader((distribution.read_text("RECORD") or "").split("\n"))
    recorded = {PurePosixPath(row[0]): row[1] for row in rows if len(row) > 1}
    own = [path for path in recorded if path.name == "RECORD" and path.parent.suffix == ".dist-info"]
    if len(own) != 1:
        raise ModelCarError(f"{pin.name} has no RECORD of its files to check them by: install it with pip or uv.")
    record = io.StringIO()
    lines = csv.writer(record, lineterminator="\n")
    for path in sorted(filter(_travels, recorded), key=str):
        entry = _entry(pin, path, recorded[path], Path(str(distribution.locate_file(str(path)))), folder)
        lines.writerow([path, recorded[path], entry.size])
        yield entry
    lines.writerow([own[0], "", ""])
    yield Entry(f"{folder}/{own[0]}", "", content=record.getvalue().encode("utf-8", "surrogateescape"))


def _travels(path: PurePosixPath) -> bool:
    outside = path.is_absolute() or ".." in path.parts
    compiled = path.suffix == ".pyc" or "__pycache__" in path.parts
    note = path.name in _NOTES and path.parent.suffix == ".dist-info"
    return not (outside or compiled or note)


def _entry(pin: Pin, name: PurePosixPath, recorded: str, path: Path, folder: str) -> Entry:
    if name.name.startswith(WHITEOUT):
        raise ModelCarError(f"{pin.name} has {name}, which means a deleted file in an image layer: leave it out.")
    kind, _, wanted = recorded.partition("=")
    if kind not in _STRONG:
        raise ModelCarError(f"The RECORD of {pin.name} has no sha256 of {name}: install it anew, with pip or uv.")
    try:
        with path.open("rb") as content:
            status = os.fstat(content.fileno())
            found = hashlib.file_digest(content, kind).digest()
    except FileNotFoundError:
        raise ModelCarError(f"{name} of {pin.name} {pin.version} is missing here: install it anew.") from None
    except OSError as error:
        raise ModelCarError(
            f"{path} cannot be read ({error.strerror}): make it readable, or install {pin.name} anew."
        ) from error
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != wanted.rstrip("="):
        raise ModelCarError(f"{name} of {pin.name} {pin.version} was changed after it was installed: install it anew.")
    return Entry(f"{folder}/{name}", str(path), Stamp.of(status), mode=0o755 if status.st_mode & 0o100 else 0o644)

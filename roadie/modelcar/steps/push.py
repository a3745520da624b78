"""Push: from this environment to a steps' image in a registry or layout."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import roadie
from roadie.errors import UsageError
from roadie.modelcar.access import Access
from roadie.modelcar.base import for_base
from roadie.modelcar.contract import OnnxCheck
from roadie.modelcar.documents import sha256
from roadie.modelcar.files import Entry
from roadie.modelcar.image import Base, full_annotations
from roadie.modelcar.layers import Layer, with_parents
from roadie.modelcar.opening import open_store
from roadie.modelcar.push import PushedLayer, Work
from roadie.modelcar.reference import Reference, parse_reference
from roadie.modelcar.steps import bases, holding, installed, sources
from roadie.modelcar.steps.lock import read_lock
from roadie.modelcar.steps.machine import this_machine
from roadie.modelcar.store import Report, quiet

# Labels by which an image tells what is in it: digests of the code's files, and of the lock file.
CODE, LOCK = "io.roadie.code.digest", "io.roadie.lock.digest"
_HOME = "opt/roadie"
_CODE = f"{_HOME}/code"
# What the receiver finds by name, in an image as in a checkout. It changes nothing of what steps do.
_BESIDE = ("compiled", "examples")
# KFP's launcher keeps artifacts below these; older releases do not mount them, and a plain user could not make them.
_FOLDERS = ("gcs", "minio", "s3")
# Any user id must do, as OpenShift gives each namespace one of its own.
_USER = "1001"
_COMMAND = b"#!/usr/bin/env python3\nfrom roadie.cli import main\n\nmain()\n"
_TAG_DIGITS = 12


@dataclass(frozen=True)
class StepsImage:
    """The image by digest, the tag that names it, and what it is made of. `existed`: the tag named it before.

    `base` is by digest. `uploaded_bytes` counts the base's layers, too; `layers` are Roadie's two.
    """

    reference: str
    digest: str
    tag: str
    version: str
    base: str
    uploaded_bytes: int
    layers: tuple[PushedLayer, ...]
    existed: bool


def shipped_lock() -> Path:
    """Roadie's requirements.lock."""
    return _shipped("requirements.lock")[0]


def shipped_code() -> tuple[Path, ...]:
    """The folders of Roadie's code that steps run from."""
    return (Path(roadie.__file__).parent, *_shipped("components"))


def _shipped(*names: str) -> tuple[Path, ...]:
    """What travels inside of an installed Roadie, and stands beside the package in a checkout."""
    package = Path(roadie.__file__).parent
    places = [(package / "_shipped" / name, package.parent / name) for name in names]
    return tuple(next((path for path in both if path.exists()), both[1]) for both in places)


def code_digest(folders: Sequence[Path] = ()) -> str:
    """The digest of code that an image of it is labelled with, by default of Roadie's as it is installed here.

    Raises UsageError or ModelCarError for folders that cannot be read.
    """
    return _digest(sources.collect(folders or shipped_code(), _CODE))


def push_steps(
    reference: str,
    *,
    base: str = "",
    lock: Path | None = None,
    folders: Sequence[Path] = (),
    version: str = "",
    move_tag: bool = False,
    workers: int = 5,
    access: Access | None = None,
    report: Report | None = None,
) -> StepsImage:
    """Make the image that steps run in from this environment, and push it.

    Args:
        reference: `registry/repository:tag`, `oci:DIR:tag`, or either without a tag. The tag is then the version and
            twelve digits of what the image is made of, so that it never names two images.
        base: What to build on, with Python, git and ca-certificates; by default Docker's `python` of this version.
        lock: Which distributions; by default Roadie's own lock.
        folders: The folders of code, each importable by its name; by default Roadie's.
        version: What this code is called; by default Roadie's version.
        move_tag: Let the tag name this image even if it names another one now.
        workers: Uploads at a time.
        access: How the registry is reached.
        report: Told of the progress of each layer.

    Raises:
        UsageError, ModelCarError, RegistryError: what is installed is not what the lock names, the base is for another
            Python or machine, or the registry refuses.
    """
    machine, access = this_machine(), access or Access.from_environment()
    base_at = bases.base_reference(base or f"python:{machine.python}")
    lock, version = lock or shipped_lock(), version or roadie.__version__
    pins = read_lock(lock)
    packages = installed.collect(pins, f"{_HOME}/packages")
    code = sources.collect(folders or shipped_code(), _CODE)
    small = [*code, *sources.collect(_shipped(*_BESIDE), _CODE)]
    layers = (
        Layer(tuple(with_parents(packages.entries)), f"{packages.count} packages"),
        Layer(tuple(with_parents(_small(small))), "code"),
    )
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        target = _target(reference)
        base_store = stack.enter_context(
            contextlib.closing(open_store(base_at, for_base(base_at, target, access), stop))
        )
        found, manifest = bases.base_for(base_store, machine)
        holding.check(
            str(base_at), holding.holding_of(base_store, found.platforms[0], manifest), machine, packages.libc
        )
        labels = {"title": "steps", "version": version, CODE: _digest(code), LOCK: sha256(lock.read_bytes())}
        ready = Base((_configured(found),), found.name, found.digest, is_index=False)
        given = full_annotations(labels, ready)
        if not target.tag:
            made_of = sha256("\n".join([found.digest, packages.digest, _digest(small)]).encode())
            name = re.sub(r"[^A-Za-z0-9._-]", "-", version)
            target = replace(target, tag=f"{name}-{made_of.removeprefix('sha256:')[:_TAG_DIGITS]}")
        store = stack.enter_context(contextlib.closing(open_store(target, access, stop, write=True)))
        work = Work(
            store, base_store, ready, OnnxCheck(()), layers, given, workers, report or quiet, stop, hash_first=True
        )
        done = work.run(None, move_tag=move_tag)
        pinned = str(base_at.pinned(found.digest))
        return StepsImage(
            done.reference, done.digest, target.tag, version, pinned, done.uploaded_bytes, done.layers, done.existed
        )


def _target(reference: str) -> Reference:
    """Where the image goes; with an empty tag when none was given."""
    name = reference.rpartition("/")[2] if not reference.startswith("oci:") else reference.removeprefix("oci:")
    if ":" not in name:
        return replace(parse_reference(f"{reference}:untagged"), tag="")
    target = parse_reference(reference)
    if target.digest:
        raise UsageError(f"{reference} is a digest, which comes out of a push: give a tag, or none.")
    return target


def _small(code: Sequence[Entry]) -> list[Entry]:
    """The layer that changes with the code: it, the command, and the folders that must be there."""
    command = Entry(f"{_HOME}/bin/roadie", "", content=_COMMAND, mode=0o755)
    return [*(Entry(name, "", mode=0o777) for name in _FOLDERS), command, *code]


def _digest(entries: Sequence[Entry]) -> str:
    """The sha256 of the lines that `sha256sum` prints for the files."""
    lines = hashlib.sha256()
    for entry in entries:
        body = Path(entry.path).read_bytes() if entry.content is None else entry.content
        lines.update(f"{hashlib.sha256(body).hexdigest()}  {entry.name}\n".encode("utf-8", "surrogateescape"))
    return f"sha256:{lines.hexdigest()}"


def _configured(base: Base) -> Any:
    """The base's platform, with the config that steps need in place of the base's own."""
    platform = base.platforms[0]
    inner = platform.config.get("config") or {}
    given = holding.environment_of(platform.config)
    environment = {
        **given,
        "PATH": f"/{_HOME}/bin:{given['PATH']}",
        "PYTHONPATH": f"/{_CODE}:/{_HOME}/packages",
        "PYTHONUNBUFFERED": "1",
        "HOME": "/tmp",  # noqa: S108 - the one folder that any user may write to
    }
    config: Mapping[str, Any] = {
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Labels": inner.get("Labels") or {},
        "User": _USER,
        # As in a checkout: compiled pipelines are found by their names.
        "WorkingDir": f"/{_CODE}",
        "Cmd": ["python3"],
    }
    return replace(platform, config={**platform.config, "config": config})

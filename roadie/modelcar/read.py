"""Reading images: resolve, inspect, pull and verify."""

from __future__ import annotations

import contextlib
import errno
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from roadie.errors import ModelCarError, RegistryError
from roadie.modelcar.access import Access
from roadie.modelcar.blobs import checked
from roadie.modelcar.documents import FILES, ROOT
from roadie.modelcar.opening import open_store
from roadie.modelcar.reference import parse_reference
from roadie.modelcar.retry import is_hidden
from roadie.modelcar.store import Report, Store, quiet
from roadie.modelcar.tree import config_of, first_of, layers_of, manifests_of, top_of
from roadie.modelcar.unpack import extract


@dataclass(frozen=True)
class ImageLayer:
    """A layer of an image; `files` says what it holds if Roadie made it, and is empty for the base's."""

    digest: str
    size: int
    media_type: str
    files: str


@dataclass(frozen=True)
class Image:
    """What is known of an image without fetching its layers. `size` is the bytes of one platform's layers."""

    reference: str
    digest: str
    media_type: str
    platforms: tuple[str, ...]
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
    entrypoint: tuple[str, ...]
    layers: tuple[ImageLayer, ...]
    size: int


@dataclass(frozen=True)
class Pulled:
    """The files of a model, now in `directory`; `files` are their paths below it."""

    reference: str
    digest: str
    directory: Path
    files: tuple[str, ...]
    size: int


@contextlib.contextmanager
def _opened(reference: str, access: Access | None, *, write: bool = False) -> Iterator[Store]:
    access = access or Access.from_environment()
    store = open_store(parse_reference(reference), access, threading.Event(), write=write)
    try:
        yield store
    finally:
        store.close()


def resolve(reference: str, *, access: Access | None = None, expected: bool = True) -> str | None:
    """The digest that a reference stands for now; None when the registry says that there is no such image.

    Many registries answer 401 or 403, and not 404, for a repository that the first push is still to make. Unless the
    image is `expected` to be there, that means None, too.
    """
    with _opened(reference, access, write=not expected) as store:
        try:
            return store.digest_of(store.reference.name)
        except RegistryError as error:
            if not expected and is_hidden(error):
                return None
            raise


def inspect(reference: str, *, access: Access | None = None) -> Image:
    """Describe an image; ModelCarError when it does not exist."""
    with _opened(reference, access) as store:
        top = top_of(store)
        manifest = first_of(store, top)
        config = config_of(store, manifest)
        platforms = [item.platform for item in top.descriptors("manifests")] if top.is_index else [config.json]
        layers = tuple(
            ImageLayer(layer.digest, layer.size, layer.media_type, layer.annotations.get(FILES, ""))
            for layer in layers_of(store, manifest)
        )
        return Image(
            reference=str(store.reference.pinned(top.digest)),
            digest=top.digest,
            media_type=top.media_type,
            platforms=tuple(f"{item.get('os', '?')}/{item.get('architecture', '?')}" for item in platforms),
            annotations=top.annotations or manifest.annotations,
            labels=config.texts("config", "Labels"),
            entrypoint=config.list_of_texts("config", "Entrypoint"),
            layers=layers,
            size=sum(layer.size for layer in layers),
        )


def pull(
    reference: str, directory: Path | str, *, access: Access | None = None, report: Report | None = None
) -> Pulled:
    """Write the files under /models of an image into `directory`, which must be new or empty.

    Every layer is proved against its digest before it is unpacked, and the directory appears when all is there: never
    half a model, and nothing beside it. Layers may unpack to 20 times their size and 64 GiB in all, or to what
    `access.max_unpacked` says. ModelCarError for what is damaged, too large, or neither file nor folder.
    """
    access = access or Access.from_environment()
    directory = Path(directory).absolute()
    unfinished = directory.with_name(f".{directory.name}.unfinished")
    with _opened(reference, access) as store, _filesystem(directory):
        if directory.is_dir() and any(directory.iterdir()):
            raise ModelCarError(f"{directory} is not empty: pull into a new directory.")
        top = top_of(store)
        layers = layers_of(store, first_of(store, top))
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        try:
            files = extract(store, layers, unfinished, access, report or quiet)
            if not files:
                raise ModelCarError(f"{store.reference} has nothing under /{ROOT}: it is no ModelCar.")
            unfinished.replace(directory)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        size = sum((directory / file).stat().st_size for file in files)
        return Pulled(str(store.reference.pinned(top.digest)), top.digest, directory, files, size)


@contextlib.contextmanager
def _filesystem(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "make room" if error.errno == errno.ENOSPC else "choose another directory"
        raise ModelCarError(f"{directory} cannot be written ({error.strerror}): {advice}.") from error


@dataclass(frozen=True)
class Verified:
    """What was read again and found to be as the reference pins it."""

    reference: str
    digest: str
    blobs: int
    size: int


def verify(reference: str, *, access: Access | None = None, report: Report | None = None) -> Verified:
    """Read every document, config and layer of an image, of all platforms, and compare each with its digest and size.

    Raises ModelCarError for the first that is missing or different.
    """
    with _opened(reference, access) as store:
        top = top_of(store)
        blobs = {
            blob.digest: blob
            for manifest in manifests_of(store, top)
            for blob in (*manifest.descriptors("config"), *layers_of(store, manifest))
        }
        for blob in blobs.values():
            for _ in checked(store, blob, report or quiet):
                pass
        size = sum(blob.size for blob in blobs.values())
        return Verified(str(store.reference.pinned(top.digest)), top.digest, len(blobs), size)

"""Push: a directory becomes an image in a registry or layout, or was one already."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from roadie.errors import ModelCarError, RegistryError, UsageError
from roadie.modelcar.access import Access
from roadie.modelcar.base import EMBEDDED, open_base
from roadie.modelcar.content import SMALL_BLOB, Bytes
from roadie.modelcar.contract import OnnxCheck, check_base, check_files
from roadie.modelcar.documents import Descriptor, Document
from roadie.modelcar.files import scan
from roadie.modelcar.image import Base, ModelImage, compose, essence, full_annotations, layer_descriptor
from roadie.modelcar.layers import Layer, plan
from roadie.modelcar.memory import Memory
from roadie.modelcar.opening import open_store
from roadie.modelcar.reference import Reference, parse_reference
from roadie.modelcar.retry import CancelledError, is_hidden
from roadie.modelcar.store import Blob, Report, Store, StoredBlob, quiet
from roadie.modelcar.tree import documents_of, first_of, manifests_of
from roadie.modelcar.workers import run_all

T = TypeVar("T")


@dataclass(frozen=True)
class PushedLayer:
    """A layer of the model: what it holds, its digest, its size in bytes, and whether it had to be uploaded."""

    files: str
    digest: str
    size: int
    uploaded: bool


@dataclass(frozen=True)
class Pushed:
    """The image that the tag names now. `existed`: it named it before, and nothing was written.

    `manifests` are the digests of its platforms, where it is an index: a node may call what it runs by one of them.
    """

    reference: str
    digest: str
    uploaded_bytes: int
    layers: tuple[PushedLayer, ...]
    existed: bool
    manifests: tuple[str, ...] = ()


def push(
    directory: Path | str,
    reference: str,
    *,
    base: str = EMBEDDED,
    annotations: Mapping[str, str] | None = None,
    previous: str = "",
    move_tag: bool = False,
    runtime: str = "",
    workers: int = 5,
    access: Access | None = None,
    report: Report | None = None,
) -> Pushed:
    """Put the content of `directory` under /models of an image and push it as `reference`, which must be a tag.

    `base` is `embedded`, `none` or a reference. `previous` names an image that is probably similar: files of a size
    that it has are looked for before they are sent. A tag that names another image is refused unless `move_tag`; one
    that differs in the run, the trigger or the time alone is left as it is. What breaks a rule of KServe (contract.py),
    or of the `runtime` that is named (runtimes.py), is refused. Raises UsageError, ModelCarError, RegistryError.
    """
    target = parse_reference(reference)
    if target.digest:
        raise UsageError(f"{reference} is a digest, which comes out of a push: give a tag.")
    entries = scan(Path(directory))
    check_files(entries, runtime)
    stop, access = threading.Event(), access or Access.from_environment()
    with contextlib.ExitStack() as stack:
        models = stack.enter_context(contextlib.closing(OnnxCheck(entries)))
        store = stack.enter_context(contextlib.closing(open_store(target, access, stop, write=True)))
        found_base, base_store = open_base(base, target, access, stop)
        if base_store:
            stack.enter_context(contextlib.closing(base_store))
        check_base(found_base, base_store)
        given = full_annotations(annotations or {}, found_base)
        work = Work(store, base_store, found_base, models, plan(entries), given, workers, report or quiet, stop)
        return work.run(_similar(previous, target), move_tag=move_tag)


def _similar(previous: str, target: Reference) -> Reference | None:
    """`previous`, when it lies where its blobs can be used."""
    reference = parse_reference(previous) if previous else target
    same = (reference.registry, reference.repository) == (target.registry, target.repository)
    return reference if previous and same else None


@dataclass(frozen=True)
class Work:
    """One push under way."""

    store: Store
    base_store: Store | None
    base: Base
    models: OnnxCheck
    layers: Sequence[Layer]
    annotations: Mapping[str, str]
    workers: int
    report: Report
    stop: threading.Event
    # Layers that are most often there already are worth a hash before anything is sent; so are small ones always.
    hash_first: bool = False
    memory: Memory = field(default_factory=Memory)

    def run(self, similar: Reference | None, *, move_tag: bool) -> Pushed:
        """Compare when the tag stands and may not move, otherwise send; the tag is written last."""
        standing = self._standing()
        if standing and not move_tag:
            return self._compare(standing)
        known = standing or (self.store.find(similar.name) if similar else None)
        sizes = _layer_sizes(self.store, known) if known else frozenset()
        # A small model is hashed before anything is sent, so that its configs can go along with its layers.
        first = self.hash_first or all(layer.size <= SMALL_BLOB for layer in self.layers)
        digests = self._all([partial(self._hash, layer) for layer in self.layers]) if first else []
        image = self._compose(digests) if first else None
        blobs, sent = self._send_blobs(digests, image.configs if image else (), sizes)
        self.models.finish()
        self.memory.prune()
        if image is None:
            image = self._compose([blob.digest for blob in blobs])
            sent += sum(blob.sent for blob in self._all(self._config_tasks(image.configs)))
        existed = standing is not None and standing.digest == image.top.digest
        if not existed:
            self._send_documents(image, standing)
        pushed = [
            PushedLayer(layer.label, blob.digest, layer.size, blob.sent > 0)
            for layer, blob in zip(self.layers, blobs, strict=True)
        ]
        return self._pushed(image.top, image.manifests, sent, pushed, existed=existed)

    def _standing(self) -> Document | None:
        """What the tag names; a repository that the first push is to make may be hidden by now.

        Nothing is overwritten unseen for that: the look before the tag is written, when the blobs are there, is strict.
        """
        try:
            return self.store.find(self.store.reference.tag)
        except RegistryError as error:
            if is_hidden(error):
                return None
            raise

    def _compare(self, standing: Document) -> Pushed:
        """The tag stands and may not move: the files are only hashed, nothing is sent."""
        digests = self._all([partial(self._hash, layer) for layer in self.layers])
        image = self._compose(digests)
        same = image.top.digest == standing.digest
        if not same and essence(image.documents) != essence(documents_of(self.store, standing)):
            raise ModelCarError(
                f"{self.store.reference} exists already as {standing.digest[:19]}... and this would be "
                f"{image.top.digest[:19]}...: push under a new tag, or move this one with --move-tag."
            )
        layers = [
            PushedLayer(layer.label, digest, layer.size, uploaded=False)
            for layer, digest in zip(self.layers, digests, strict=True)
        ]
        if same:  # all of it is read again: a registry may have lost a part, and have said nothing
            self._all([partial(self.store.keep, item) for item in image.manifests])
        manifests = image.manifests if same or not standing.is_index else tuple(manifests_of(self.store, standing))
        return self._pushed(standing, manifests, 0, layers, existed=True)

    def _send_blobs(
        self, digests: Sequence[str], configs: Sequence[Document], sizes: Collection[int]
    ) -> tuple[list[Blob], int]:
        """The model's blobs in the layers' order, and the bytes sent for them, the base and `configs`.

        The largest go first, so that no worker is still busy long after the others.
        """
        known = dict(zip(self.layers, digests, strict=False))
        order = sorted(self.layers, key=lambda layer: -layer.size)
        tasks: list[Callable[[], Blob]] = []
        tasks += [partial(self._send_layer, layer, known.get(layer, ""), sizes) for layer in order]
        base_layers = {blob.digest: blob for part in self.base.platforms for blob in part.layers}.values()
        tasks += [partial(self._send_base_layer, blob) for blob in base_layers]
        blobs = self._all([*tasks, *self._config_tasks(configs)])
        by_layer = dict(zip(order, blobs, strict=False))
        return [by_layer[layer] for layer in self.layers], sum(blob.sent for blob in blobs)

    def _send_layer(self, layer: Layer, digest: str, sizes: Collection[int]) -> Blob:
        """Hash first what is small or may be there already; everything else is hashed while it is sent."""
        if not digest and (layer.size <= SMALL_BLOB or layer.size in sizes or self.memory.has(layer)):
            digest = self._hash(layer)
        blob = self.store.put(layer, digest, self.report)
        self.memory.add(layer)
        return blob

    def _send_base_layer(self, blob: Descriptor) -> Blob:
        assert self.base_store is not None
        if self.store.mount(blob, self.base_store):
            return Blob(blob.digest, blob.size, 0)
        return self.store.put(StoredBlob(self.base_store, blob), blob.digest, self.report)

    def _config_tasks(self, configs: Sequence[Document]) -> list[Callable[[], Blob]]:
        return [partial(self.store.put, Bytes(item.body), item.digest, quiet) for item in configs]

    def _send_documents(self, image: ModelImage, standing: Document | None) -> None:
        """Manifests by digest, and at last the tag, if nobody else has set it in the meantime."""
        target = self.store.reference
        self._all([partial(self.store.put_document, item) for item in image.manifests])
        if standing:
            import logging

            log = logging.getLogger("roadie.modelcar")
            log.warning("moving %s from %s to %s", target, standing.digest, image.top.digest)
        self.store.set_tag(image.top, standing.digest if standing else None)

    def _hash(self, layer: Layer) -> str:
        found = hashlib.sha256()
        for part in layer.parts():
            if self.stop.is_set():
                raise CancelledError("The push was given up.")
            found.update(part.view)
        return f"sha256:{found.hexdigest()}"

    def _compose(self, digests: Sequence[str]) -> ModelImage:
        layers = [
            layer_descriptor(digest, layer.size, layer.label)
            for layer, digest in zip(self.layers, digests, strict=True)
        ]
        return compose(self.base, layers, self.annotations)

    def _all(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        return run_all(tasks, self.workers, self.stop, self.store.close)

    def _pushed(
        self, top: Document, manifests: Sequence[Document], sent: int, layers: Sequence[PushedLayer], *, existed: bool
    ) -> Pushed:
        reference = str(self.store.reference.pinned(top.digest))
        return Pushed(reference, top.digest, sent, tuple(layers), existed, tuple(item.digest for item in manifests))


def _layer_sizes(store: Store, image: Document) -> frozenset[int]:
    """The sizes of an image's layers: a file of another size cannot be there already."""
    return frozenset(layer.size for layer in first_of(store, image).descriptors("layers"))

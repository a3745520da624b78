"""An image's documents: from the index or manifest that a reference names down to the configs."""

from collections.abc import Iterator

from roadie.errors import ModelCarError
from roadie.modelcar.blobs import read_document
from roadie.modelcar.documents import Descriptor, Document
from roadie.modelcar.store import Store

# Real images are for a dozen platforms, and container runtimes stack 127 layers; beyond that somebody plays games.
_MOST_PLATFORMS = 64
_MOST_LAYERS = 512


def top_of(store: Store) -> Document:
    """What the store's reference names; ModelCarError when there is none."""
    top = store.find(store.reference.name)
    if top is None:
        raise ModelCarError(f"{store.reference} does not exist: check the reference, or push it first.")
    return top


def images_of(store: Store, index: Document) -> tuple[Descriptor, ...]:
    """The images that an index lists for some platform; it may also list attestations, which are for none."""
    images = tuple(item for item in index.descriptors("manifests") if item.platform.get("os") != "unknown")
    if not images:
        raise ModelCarError(f"{store.reference} is an index without an image in it: it is damaged, push it again.")
    if len(images) > _MOST_PLATFORMS:
        raise ModelCarError(f"{store.reference} lists {len(images)} images: it is no image that Roadie knows.")
    return images


def first_of(store: Store, top: Document) -> Document:
    """The first image manifest below an index, or the manifest itself."""
    return child(store, images_of(store, top)[0]) if top.is_index else top


def manifests_of(store: Store, top: Document) -> Iterator[Document]:
    """The image manifests below an index, or the manifest itself, one after the other."""
    return (child(store, item) for item in images_of(store, top)) if top.is_index else iter((top,))


def documents_of(store: Store, top: Document) -> tuple[Document, ...]:
    """`top`, then each manifest below it with its config."""
    pairs = ((manifest, config_of(store, manifest)) for manifest in manifests_of(store, top))
    return (top, *(document for pair in pairs for document in pair if document is not top))


def child(store: Store, descriptor: Descriptor) -> Document:
    """A document that another one points to; ModelCarError when it is missing."""
    document = store.find(descriptor.digest)
    if document is None:
        raise ModelCarError(f"{store.reference} lacks its part {descriptor.digest}: it is damaged, push it again.")
    return document


def config_of(store: Store, manifest: Document) -> Document:
    """A manifest's config, checked against its digest."""
    found = manifest.descriptors("config")
    if len(found) != 1:
        raise ModelCarError(f"{store.reference} has no config: it is not a container image.")
    return read_document(store, found[0])


def layers_of(store: Store, manifest: Document) -> tuple[Descriptor, ...]:
    """A manifest's layers, the lowest first."""
    layers = manifest.descriptors("layers")
    if len(layers) > _MOST_LAYERS:
        raise ModelCarError(f"{store.reference} has {len(layers)} layers, more than any runtime takes: it is no image.")
    return layers

"""An image's documents: from the index or manifest that a reference names down to the configs."""

from roadie.errors import ModelCarError
from roadie.modelcar.documents import Descriptor, Document, sha256
from roadie.modelcar.store import Store


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
    return images


def manifests_of(store: Store, top: Document) -> tuple[Document, ...]:
    """The image manifests below an index, or the manifest itself."""
    return tuple(child(store, item) for item in images_of(store, top)) if top.is_index else (top,)


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
    body = b"".join(store.chunks(found[0]))
    if sha256(body) != found[0].digest:
        raise ModelCarError(f"The config of {store.reference} is not what its manifest says: the image is damaged.")
    return Document(found[0].media_type, body)

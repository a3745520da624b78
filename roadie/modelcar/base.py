"""The base image: the embedded one, one from a registry or layout, or none."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from roadie.errors import ModelCarError, UsageError
from roadie.modelcar.access import Access
from roadie.modelcar.documents import Descriptor, Document, sha256
from roadie.modelcar.image import NOTHING, Base, Platform
from roadie.modelcar.layout import Layout
from roadie.modelcar.reference import Reference, parse_reference
from roadie.modelcar.store import Store, open_store

EMBEDDED = "embedded"
NONE = "none"


def open_base(base: str, target: Reference, access: Access, stop: threading.Event) -> tuple[Base, Store | None]:
    """The base and the store that its layers are in; (nothing, None) for `none`."""
    if base == NONE:
        return NOTHING, None
    if base == EMBEDDED:
        return _embedded()
    reference = parse_reference(base)
    store = open_store(reference, for_base(reference, target, access), stop)
    try:
        return read_base(store, reference.name, str(reference)), store
    except BaseException:
        store.close()
        raise


def for_base(reference: Reference, target: Reference, access: Access) -> Access:
    """How to reach the base's registry: like the image's when it is the same one, otherwise without its secrets."""
    if reference.registry == target.registry:
        return access
    return Access(ca_file=access.ca_file, plain_http=False, timeout=access.timeout, own=False)


def _embedded() -> tuple[Base, Store]:
    """Open Data Hub's ModelCar base, which the package modelcar-base-image ships as an OCI layout."""
    try:
        import modelcar_base_image
        from modelcar_base_image.constants import EMBEDDED_OCI_LAYOUT_DIR, ODH_MODELCAR_BASE_IMAGE
    except ImportError as error:
        raise UsageError(
            "The embedded base needs the package modelcar-base-image: install it, or name a base (--base)."
        ) from error
    directory = Path(modelcar_base_image.__file__).parent / EMBEDDED_OCI_LAYOUT_DIR
    store = Layout(Reference("", str(directory), tag="latest"))
    return read_base(store, "latest", ODH_MODELCAR_BASE_IMAGE), store


def read_base(store: Store, name: str, called: str) -> Base:
    """Read a base's documents; ModelCarError when it does not exist or is not an image."""
    top = store.find(name)
    if top is None:
        raise ModelCarError(f"The base {called} does not exist: check its name.")
    if not top.is_index:
        return Base((_platform(store, top, {}),), called.partition("@")[0], top.digest, is_index=False)
    # An index may also list attestations, which are for no platform.
    images = [item for item in top.descriptors("manifests") if item.platform.get("os", "unknown") != "unknown"]
    platforms = tuple(_platform(store, child(store, item), item.platform) for item in images)
    if not platforms:
        raise ModelCarError(f"The base {called} lists no image for any platform: give another one.")
    return Base(platforms, called.partition("@")[0], top.digest)


def _platform(store: Store, manifest: Document, platform: Mapping[str, str]) -> Platform:
    config = config_of(store, manifest).json
    known = {key: str(config[key]) for key in ("architecture", "os", "variant") if config.get(key)}
    return Platform(platform or known, config, manifest.descriptors("layers"))


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


def parts_of(store: Store, top: Document) -> tuple[Document, ...]:
    """Every manifest and config below `top`, and `top` itself first."""
    manifests = [child(store, item) for item in top.descriptors("manifests")] if top.is_index else [top]
    below: list[Any] = []
    for manifest in manifests:
        below += [manifest, config_of(store, manifest)] if manifest is not top else [config_of(store, manifest)]
    return (top, *below)

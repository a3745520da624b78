"""The base image: the embedded one, one from a registry or layout, or none."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from roadie.errors import ModelCarError, UsageError
from roadie.modelcar.access import Access
from roadie.modelcar.documents import Document
from roadie.modelcar.image import NOTHING, Base, Platform
from roadie.modelcar.layout import Layout
from roadie.modelcar.opening import open_store
from roadie.modelcar.reference import Reference, parse_reference
from roadie.modelcar.store import Store
from roadie.modelcar.tree import child, config_of, images_of, layers_of

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
        return Base((platform_of(store, top, {}),), called.partition("@")[0], top.digest, is_index=False)
    platforms = tuple(platform_of(store, child(store, item), item.platform) for item in images_of(store, top))
    return Base(platforms, called.partition("@")[0], top.digest)


def platform_of(store: Store, manifest: Document, platform: Mapping[str, str]) -> Platform:
    """One platform of a base, its documents checked for what is made of them; ModelCarError when they are unusable."""
    document = config_of(store, manifest)
    # What compose and check_base take from it is read once by its type, since anybody may have written it.
    document.texts("config", "Labels")
    document.list_of_texts("config", "Entrypoint")
    document.list_of_texts("config", "Env")
    document.list_of_texts("rootfs", "diff_ids")
    config = document.json
    known = {key: str(config[key]) for key in ("architecture", "os", "variant") if config.get(key)}
    return Platform(platform or known, config, layers_of(store, manifest))

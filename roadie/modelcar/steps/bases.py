"""The base of a steps' image: its name by Docker's rules, and the one platform of it that is wanted."""

from collections.abc import Mapping

from roadie.errors import ModelCarError
from roadie.modelcar.base import platform_of
from roadie.modelcar.documents import Document
from roadie.modelcar.image import Base
from roadie.modelcar.reference import Reference, parse_reference
from roadie.modelcar.steps.machine import Machine
from roadie.modelcar.store import Store
from roadie.modelcar.tree import child, images_of, top_of

_HUB = "docker.io"


def base_reference(text: str) -> Reference:
    """A base by Docker's rules for short names: `python:3.11` is `docker.io/library/python:3.11`.

    Raises UsageError when it is no reference even then.
    """
    first, slash, rest = text.partition("/")
    if not text.startswith("oci:") and not (slash and (first == "localhost" or "." in first or ":" in first)):
        first, rest = _HUB, text
    if first == _HUB and "/" not in rest:
        rest = f"library/{rest}"
    return parse_reference(text if text.startswith("oci:") else f"{first}/{rest}")


def base_for(store: Store, machine: Machine) -> tuple[Base, Document]:
    """The platform of a base that is for `machine`, and its manifest; ModelCarError when there is none."""
    top = top_of(store)
    manifest = top
    stated: Mapping[str, str] = {}
    if top.is_index:
        images = images_of(store, top)
        fitting = [item for item in images if _is_for(item.platform, machine)]
        if not fitting:
            there = ", ".join(
                f"{item.platform.get('os', '?')}/{item.platform.get('architecture', '?')}" for item in images
            )
            raise _other(store, there, machine)
        manifest, stated = child(store, fitting[0]), fitting[0].platform
    platform = platform_of(store, manifest, stated)
    if not _is_for(platform.config, machine):
        raise _other(store, f"{platform.config.get('os', '?')}/{platform.config.get('architecture', '?')}", machine)
    # Where a layout lies on this machine is nobody else's concern.
    name = str(store.reference).partition("@")[0] if store.reference.registry else ""
    return Base((platform,), name, top.digest, is_index=False), manifest


def _is_for(platform: Mapping[str, str], machine: Machine) -> bool:
    return (platform.get("os"), platform.get("architecture")) == (machine.system, machine.architecture)


def _other(store: Store, there: str, machine: Machine) -> ModelCarError:
    return ModelCarError(
        f"The base {store.reference} is for {there}, and this environment's packages are for {machine.platform}: "
        "take another base, or push from a machine like it."
    )

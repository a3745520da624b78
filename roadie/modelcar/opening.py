"""From a reference to the place that it names."""

import threading

from roadie.modelcar.access import Access
from roadie.modelcar.reference import Reference
from roadie.modelcar.store import Store


def open_store(reference: Reference, access: Access, stop: threading.Event, *, write: bool = False) -> Store:
    """The place that a reference names; a layout that does not exist yet is made by the first write."""
    if reference.layout is not None:
        from roadie.modelcar.layout import Layout

        return Layout(reference, stop)
    from roadie.modelcar.registry import Registry

    return Registry(reference, access, stop, write=write)

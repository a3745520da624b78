"""Store events with what is decided about them, many in one synced transaction, before their senders are answered."""

from collections.abc import Sequence
from dataclasses import dataclass

from roadie.triggers.deciding import Verdict
from roadie.triggers.events import Event


@dataclass(frozen=True)
class Receipt:
    """That an event is on disk. `new` is False for one that was sent before; its verdicts then say so."""

    event: Event
    new: bool
    verdicts: tuple[Verdict, ...]


class Recorder:
    """Stores events; one writer thread, one transaction for all that wait."""

    async def record(self, events: Sequence[Event]) -> list[Receipt]:
        """Store `events` and return a receipt for each, in their order, once all of them are on disk.

        Raises:
            TriggerError: they cannot be stored; none of them is.
        """
        raise NotImplementedError

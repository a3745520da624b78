"""Store events with what is decided about them, many in one synced transaction, before their senders are answered."""

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from roadie.errors import TriggerError
from roadie.triggers.events import Event
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.storing import Receipt, Storing, Superseded
from roadie.triggers.metrics import Metrics
from roadie.triggers.rules.arguments import Target
from roadie.triggers.times import utc_now

__all__ = ["Receipt", "Recorder"]

_log = logging.getLogger(__name__)
# As many events as one transaction takes before its senders have waited long enough.
_MOST_EVENTS = 5000


@dataclass(frozen=True)
class _Request:
    """Events that wait to be stored, and who waits for their receipts."""

    events: tuple[Event, ...]
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[list[Receipt]]"
    since: float

    def resolve(self, receipts: list[Receipt] | None, error: Exception | None = None) -> None:
        """Hand the receipts, or else the error, to who waits, unless it has gone."""
        # The loop may have ended while the events were stored.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._resolve, receipts, error)

    def _resolve(self, receipts: list[Receipt] | None, error: Exception | None) -> None:
        if self.answer.done():
            return
        if receipts is None:
            self.answer.set_exception(error or TriggerError("the events could not be stored; send them again"))
        else:
            self.answer.set_result(receipts)


class Recorder:
    """Stores events; one writer thread, one transaction for all that wait.

    Args:
        journal: Where they are stored.
        targets: The models that they may concern.
        metrics: What is counted.
        accepted: Called (in the writer's thread) after runs were accepted, so that they can be started at once.
        clock: The time, in UTC.
    """

    def __init__(
        self,
        journal: Journal,
        targets: Mapping[str, Target],
        metrics: Metrics,
        accepted: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._journal, self._targets, self._metrics = journal, targets, metrics
        self._accepted, self._clock = accepted, clock
        self._waiting: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)
        self._thread.start()

    async def record(self, events: Sequence[Event]) -> list[Receipt]:
        """Store `events` and return a receipt for each, in their order, once all of them are on disk.

        Raises:
            TriggerError: they cannot be stored; none of them is.
        """
        if self._closed:
            raise TriggerError("the receiver is ending and stores nothing any more; send the events again")
        loop = asyncio.get_running_loop()
        request = _Request(tuple(events), loop, loop.create_future(), time.perf_counter())
        self._waiting.put(request)
        return await request.answer

    def close(self) -> None:
        """Store what waits, and end."""
        self._closed = True
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        while True:
            group, ending = self._group()
            try:
                if group:
                    self._store(group)
            except Exception:  # noqa: BLE001 - what cannot be stored is answered; nobody is there to start the thread again
                _log.exception("the recorder goes on after an error")
            if ending:
                return

    def _group(self) -> tuple[list[_Request], bool]:
        """Everything that waits now, or the next request to come; and whether it was the last."""
        group: list[_Request] = []
        count = 0
        with contextlib.suppress(queue.Empty):
            while count < _MOST_EVENTS:
                request = self._waiting.get(block=not group)
                if request is None:
                    return group, True
                group.append(request)
                count += len(request.events)
        return group, False

    def _store(self, group: list[_Request]) -> None:
        try:
            answers, superseded = self._write(group)
        except Exception as error:  # noqa: BLE001 - one bad message must not take others with it, nor end the thread
            if len(group) > 1:
                for request in group:
                    self._store([request])
                return
            if not isinstance(error, TriggerError):
                _log.exception("events not stored")
            group[0].resolve(None, error if isinstance(error, TriggerError) else None)
            return
        for request, receipts in zip(group, answers, strict=True):
            request.resolve(receipts)
        self._count(group, answers, superseded)
        if any(verdict.action == "start" for receipts in answers for each in receipts for verdict in each.verdicts):
            self._accepted()

    def _write(self, group: list[_Request]) -> tuple[list[list[Receipt]], list[Superseded]]:
        with self._journal.writing() as connection:
            storing = Storing(connection, self._targets, self._clock())
            answers = [[storing.store(event) for event in request.events] for request in group]
        return answers, storing.superseded

    def _count(self, group: list[_Request], answers: list[list[Receipt]], superseded: list[Superseded]) -> None:
        now = time.perf_counter()
        for request, receipts in zip(group, answers, strict=True):
            self._metrics.stored(now - request.since)
            for receipt in receipts:
                self._metrics.received(receipt.event.source)
                if not receipt.new:
                    self._metrics.duplicate(receipt.event.source)
                    continue
                for verdict in receipt.verdicts:
                    if verdict.action != "start":
                        self._metrics.held_back(verdict.model, verdict.code)
        for each in superseded:
            self._metrics.held_back(each.model, "superseded")

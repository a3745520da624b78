"""Store events with what is decided about them, all that wait in one synced transaction, before any is answered."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
# Events of one message in one transaction, and letters of their labels.
_MOST_EVENTS, _MOST_LETTERS = 1000, 1_000_000
# Events until the journal's size is looked at again; they take some megabytes at most.
_BETWEEN_MEASUREMENTS = 100
_Written = tuple[list[list[Receipt]], list[Superseded]]


def _pieces(events: Sequence[Event]) -> Iterator[list[Event]]:
    """The events of a message, as many at a time as are stored at once."""
    piece: list[Event] = []
    letters = 0
    for event in events:
        letters += sum(map(len, event.labels.values()))
        if piece and (len(piece) == _MOST_EVENTS or letters > _MOST_LETTERS):
            yield piece
            piece, letters = [], 0
        piece.append(event)
    if piece:
        yield piece


@dataclass(frozen=True)
class _Request:
    """Events that wait to be stored, and who waits for their receipts."""

    events: tuple[Event, ...]
    answer: "asyncio.Future[list[Receipt]]"
    since: float


class Recorder:
    """Stores events. While one transaction is synced, what comes waits for the next one.

    Args:
        journal: Where they are stored.
        targets: The models that they may concern.
        metrics: What is counted.
        accepted: Called after runs were accepted, so that they can be started at once.
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
        self._waiting: list[_Request] = []
        self._storing: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, "recorder")
        self._closed, self._unmeasured = False, 0

    async def record(self, events: Sequence[Event]) -> list[Receipt]:
        """Store `events` and return a receipt for each, in their order, once all of them are on disk.

        A large message is stored piece by piece, so that others need not wait for all of it.

        Raises:
            TriggerError: they cannot be stored. Those that were stay so, and are known when they are sent again.
        """
        receipts: list[Receipt] = []
        for piece in _pieces(events):
            receipts += await self._record(piece)
        # Not before: who starts runs writes to the journal, too.
        if any(verdict.action == "start" for receipt in receipts for verdict in receipt.verdicts):
            self._accepted()
        return receipts

    async def _record(self, events: Sequence[Event]) -> list[Receipt]:
        if self._closed:
            raise TriggerError("the receiver is ending and stores nothing any more; send the events again")
        request = _Request(tuple(events), asyncio.get_running_loop().create_future(), time.perf_counter())
        self._waiting.append(request)
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_all())
        return await request.answer

    def close(self) -> None:
        """Take no more, and wait for what is being stored."""
        self._closed = True
        self._writer.submit(lambda: None).result()

    async def _store_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            if not await self._store(group):
                # One bad message must not take others with it.
                for request in group:
                    await self._store([request])

    async def _store(self, group: list[_Request]) -> bool:
        """Store the group, and answer; False when it has to be tried one by one."""
        try:
            written, superseded = await asyncio.get_running_loop().run_in_executor(self._writer, self._write, group)
        except Exception as error:  # noqa: BLE001 - whatever it is, the senders are answered
            if len(group) > 1:
                return False
            if not isinstance(error, TriggerError):
                _log.exception("events not stored")
                error = TriggerError("the events could not be stored; send them again")
            if not group[0].answer.done():
                group[0].answer.set_exception(error)
            return True
        for request, receipts in zip(group, written, strict=True):
            # Who does not wait any more is told when it sends them again.
            if not request.answer.done():
                request.answer.set_result(receipts)
            self._count(request, receipts)
        for each in superseded:
            self._metrics.held_back(each.model, "superseded")
        return True

    def _write(self, group: list[_Request]) -> _Written:
        with self._journal.writing() as connection:
            storing = Storing(connection, self._targets, self._clock())
            written = [[storing.store(event) for event in request.events] for request in group]
        self._unmeasured += sum(map(len, written))
        if self._unmeasured >= _BETWEEN_MEASUREMENTS:
            self._journal.shrink()
            self._unmeasured = 0
        return written, storing.superseded

    def _count(self, request: _Request, receipts: list[Receipt]) -> None:
        self._metrics.stored(time.perf_counter() - request.since)
        for receipt in receipts:
            self._metrics.received(receipt.event.source)
            if not receipt.new:
                self._metrics.duplicate(receipt.event.source)
                continue
            for verdict in receipt.verdicts:
                if verdict.action != "start":
                    self._metrics.held_back(verdict.model, verdict.code)

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from roadie.errors import TriggerError
from roadie.triggers.events import Event
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.recorder import Receipt, Recorder
from roadie.triggers.metrics import Metrics
from tests.unit.triggers.world import NOON, alert, alerts, targets


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "journal.db", patience=0.2)
    yield journal
    journal.close()


def record_all(
    journal: Journal, requests: Sequence[Sequence[Event]], *, metrics: Metrics | None = None, **settings: object
) -> list[list[Receipt] | BaseException]:
    """What each of `requests`, all made at once, was answered."""

    async def ask() -> list[list[Receipt] | BaseException]:
        recorder = Recorder(journal, targets(max_active=10_000), metrics or Metrics(), **settings)  # type: ignore[arg-type]
        try:
            return await asyncio.gather(*(recorder.record(each) for each in requests), return_exceptions=True)
        finally:
            recorder.close()

    return asyncio.run(ask())


def counted(metrics: Metrics, line: str) -> bool:
    return line in metrics.render().decode().splitlines()


def test_a_receipt_means_that_another_process_sees_the_event(journal: Journal) -> None:
    ((receipt,),) = record_all(journal, [[alert()]])  # type: ignore[misc]
    assert receipt.new
    with sqlite3.connect(journal.path) as other:
        assert other.execute("SELECT identity FROM events").fetchone() == (receipt.event.identity,)


def test_receipts_come_in_the_order_of_the_events(journal: Journal) -> None:
    events = alerts(300)
    (receipts,) = record_all(journal, [events])
    assert [receipt.event for receipt in receipts] == events  # type: ignore[union-attr]


def test_all_that_wait_are_stored_in_one_transaction(journal: Journal) -> None:
    begun, others_wait = threading.Event(), threading.Event()
    transactions = []

    def clock() -> datetime:
        transactions.append(1)
        begun.set()
        others_wait.wait(5)
        return NOON

    async def ask() -> None:
        recorder = Recorder(journal, targets(max_active=999), Metrics(), clock=clock)
        first = asyncio.ensure_future(recorder.record([alert("first")]))
        await asyncio.to_thread(begun.wait, 5)
        others = [asyncio.ensure_future(recorder.record([each])) for each in alerts(200)]
        await asyncio.sleep(0)  # each of them has begun
        others_wait.set()
        await asyncio.gather(first, *others)
        recorder.close()

    asyncio.run(ask())
    assert len(transactions) == 2
    assert len(journal.timeline(999)) == 201


def test_what_was_stored_is_counted(journal: Journal) -> None:
    metrics = Metrics()
    record_all(
        journal, [[alert("1"), alert("1"), alert("2", status="resolved"), alert("3", model="nobody")]], metrics=metrics
    )
    assert counted(metrics, 'roadie_events_received_total{source="alertmanager"} 4.0')
    assert counted(metrics, 'roadie_events_duplicate_total{source="alertmanager"} 1.0')
    assert counted(metrics, 'roadie_events_held_back_total{code="resolved",model="jukebox"} 1.0')
    assert counted(metrics, 'roadie_events_held_back_total{code="no-model",model=""} 1.0')
    assert counted(metrics, "roadie_store_seconds_count 1.0")


@pytest.mark.parametrize(("event", "woken"), [(alert(), 1), (alert(status="resolved"), 0)])
def test_the_worker_is_woken_when_a_run_was_accepted(journal: Journal, event: Event, woken: int) -> None:
    calls: list[int] = []
    record_all(journal, [[event]], accepted=lambda: calls.append(1))
    assert len(calls) == woken


def test_when_it_cannot_be_stored_every_sender_is_told_and_the_next_one_is_served(journal: Journal) -> None:
    with sqlite3.connect(journal.path) as other:
        other.execute("BEGIN IMMEDIATE")
        answers = record_all(journal, [[alert("1")], [alert("2")]])
    assert all(isinstance(answer, TriggerError) for answer in answers)
    ((receipt,),) = record_all(journal, [[alert("1")]])  # type: ignore[misc]
    assert receipt.new


def test_one_message_that_cannot_be_stored_does_not_take_others_with_it(journal: Journal) -> None:
    bad = Event("github", "push", None, "s", "pushed", "s", "2026-01-31T12:00:00.000Z")  # type: ignore[arg-type]
    first, second, third = record_all(journal, [[alert("1")], [alert("2"), bad], [alert("3")]])
    assert isinstance(second, TriggerError)
    assert isinstance(first, list)
    assert isinstance(third, list)
    assert sorted(entry.names["fingerprint"] for entry in journal.timeline(9)) == ["1", "3"]


def test_what_waits_is_stored_before_the_end_and_later_events_are_refused(journal: Journal) -> None:
    async def ask() -> tuple[list[Receipt], BaseException]:
        recorder = Recorder(journal, targets(), Metrics())
        pending = asyncio.ensure_future(recorder.record([alert()]))
        await asyncio.sleep(0)
        recorder.close()
        late = await asyncio.gather(recorder.record([alert("late")]), return_exceptions=True)
        return await pending, late[0]  # type: ignore[return-value]

    receipts, late = asyncio.run(ask())
    assert receipts[0].new
    assert isinstance(late, TriggerError)


def test_a_sender_who_hung_up_takes_nothing_with_him(journal: Journal) -> None:
    async def ask() -> None:
        recorder = Recorder(journal, targets(max_active=9), Metrics())
        gone = asyncio.ensure_future(recorder.record([alert("gone")]))
        await asyncio.sleep(0)
        gone.cancel()
        assert (await recorder.record([alert("there")]))[0].new
        recorder.close()

    asyncio.run(ask())
    assert len(journal.timeline(9)) == 2


def test_two_receivers_on_one_journal_store_each_event_once(tmp_path: Path) -> None:
    events = alerts(400)
    taken: list[Receipt] = []

    def receive(order: Callable[[Sequence[Event]], Sequence[Event]]) -> None:
        journal = Journal(tmp_path / "journal.db")
        for answer in record_all(journal, [[event] for event in order(events)]):
            assert isinstance(answer, list)
            taken.extend(answer)

    threads = [threading.Thread(target=receive, args=(order,)) for order in (list, lambda given: given[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 800
    assert sum(receipt.new for receipt in taken) == 400
    journal = Journal(tmp_path / "journal.db")
    assert len(journal.runs(limit=999)) == 400
    assert {entry.seen for entry in journal.timeline(999)} == {2}

from datetime import timedelta

import pytest

from tests.unit.triggers.world import NOON, SETTLE, Clock, Make, MemoryEngine, alert, store, the_run


@pytest.mark.parametrize(
    ("state", "error", "told"),
    [
        ("succeeded", "", ""),
        ("failed", "the step train failed: the charts are empty", "the step train failed: the charts are empty"),
        ("failed", "", "the engine does not say why; look at the run"),
        ("canceled", "", "it was canceled"),
    ],
)
def test_the_end_of_a_run_is_noted_counted_and_told(
    make: Make, engine: MemoryEngine, state: str, error: str, told: str
) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    receiver.start_all()
    engine.set("run-1", state=state, error=error, ended=NOON + timedelta(minutes=5))
    receiver.follow()
    run = the_run(receiver.journal)
    assert (run.state, run.error, run.ended) == (state, told, NOON + timedelta(minutes=5))
    assert receiver.told() == 1
    assert receiver.counted(f'roadie_runs_ended_total{{model="jukebox",state="{state}"}} 1.0')


def test_what_a_run_came_to_is_taken_from_its_outcome(make: Make, engine: MemoryEngine) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    receiver.start_all()
    outcome = {
        "decision": "promote",
        "reason": "better",
        "version": "v1",
        "image": "r/j@sha256:1",
        "commits": ["c1", "c2"],
    }
    engine.set("run-1", state="succeeded", outcome=outcome)
    receiver.follow()
    run = the_run(receiver.journal)
    assert (run.decision, run.decision_reason, run.version) == ("promote", "better", "v1")
    assert (run.image, run.commits) == ("r/j@sha256:1", ("c1", "c2"))


def test_a_run_that_vanished_is_a_failure(make: Make, engine: MemoryEngine) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    receiver.start_all()
    engine.runs.clear()
    receiver.follow()
    receiver.follow()
    assert the_run(receiver.journal).state == "running"  # a proxy may say so for a moment
    receiver.follow()
    run = the_run(receiver.journal)
    assert (run.state, "does not know the run run-1 any more" in run.error) == ("failed", True)


def test_a_run_that_was_missed_for_a_moment_goes_on(make: Make, engine: MemoryEngine) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    receiver.start_all()
    hidden = dict(engine.runs)
    for _ in range(5):
        engine.runs.clear()
        receiver.follow()
        receiver.follow()
        engine.runs.update(hidden)
        receiver.follow()
    assert the_run(receiver.journal).state == "running"


def test_a_superseded_run_is_stopped_and_ends_canceled_then_the_newer_one_starts(
    make: Make, engine: MemoryEngine
) -> None:
    receiver = make(when_active="supersede")
    store(receiver.journal, receiver.wanted, [alert("1")])
    receiver.start_all()
    store(receiver.journal, receiver.wanted, [alert("2")])
    receiver.start_all()
    assert len(engine.runs) == 1
    engine.faults["stop"] = ["refuse"]
    for _ in range(3):
        receiver.follow()
    receiver.start_all()
    newer, older = receiver.journal.runs()
    assert (older.state, newer.state) == ("canceled", "running")
    assert older.error.startswith("superseded by a newer event")


def test_a_run_that_was_superseded_before_its_create_was_sent_is_held_back(
    make: Make, engine: MemoryEngine, clock: Clock
) -> None:
    receiver = make(when_active="supersede")
    store(receiver.journal, receiver.wanted, [alert("1")])
    engine.faults["start"] = ["refuse"]
    receiver.start_all()
    store(receiver.journal, receiver.wanted, [alert("2")])
    clock.forward(seconds=SETTLE + 5)
    receiver.start_all()
    assert [run.state for run in receiver.journal.runs()] == ["running"]
    assert len(engine.runs) == 1
    assert receiver.counted('roadie_events_held_back_total{code="superseded",model="jukebox"} 1.0')

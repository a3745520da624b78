import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from roadie.errors import DataError
from roadie.triggers.work.counting import count_rows
from tests.unit.triggers.world import NOON, SETTLE, Clock, Make, MemoryEngine, alert, alerts, store, the_run


def test_an_accepted_event_becomes_one_run_without_a_cache(make: Make, engine: MemoryEngine) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    receiver.start_all()
    run = the_run(receiver.journal)
    assert (run.state, run.run_id, run.started) == ("running", "run-1", NOON)
    ((name, arguments, description, cache),) = engine.started
    assert (name, cache) == (run.name, False)
    assert arguments["model_name"] == "jukebox"
    assert "fingerprint: a1b2" in description
    assert engine.calls == ["find", "start", "find"]
    assert receiver.counted('roadie_runs_started_total{model="jukebox"} 1.0')


def test_no_more_runs_are_started_than_may_be_active(make: Make, engine: MemoryEngine) -> None:
    receiver = make(max_active=2)
    store(receiver.journal, receiver.wanted, alerts(5))
    receiver.start_all()
    assert len(engine.runs) == 2
    engine.set("run-1", state="succeeded")
    receiver.follow()
    receiver.start_all()
    assert [run.state for run in reversed(receiver.journal.runs())] == ["succeeded", *["running"] * 2, *["waiting"] * 2]


def test_an_engine_that_does_not_answer_is_asked_again_and_nothing_is_created_blindly(
    make: Make, engine: MemoryEngine, clock: Clock
) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    engine.faults["find"] = ["refuse"]
    assert receiver.starter.start_next() is False
    assert engine.calls == ["find"]
    assert (the_run(receiver.journal).state, the_run(receiver.journal).error) == (
        "waiting",
        "the engine does not answer",
    )
    clock.forward(seconds=5)
    receiver.start_all()
    assert (the_run(receiver.journal).state, the_run(receiver.journal).error) == ("running", "")


def test_an_intent_that_cannot_be_started_lets_others_go_first(make: Make, engine: MemoryEngine) -> None:
    receiver = make(max_active=9)
    store(receiver.journal, receiver.wanted, alerts(2))
    engine.faults["find"] = ["refuse"]
    receiver.starter.start_next()
    receiver.start_all()
    assert sorted(run.state for run in receiver.journal.runs()) == ["running", "waiting"]


def test_a_run_whose_answer_was_lost_is_found_by_its_name(make: Make, engine: MemoryEngine) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    engine.faults["start"] = ["lose"]
    receiver.start_all()
    assert the_run(receiver.journal).run_id == "run-1"
    assert len(engine.runs) == 1


def test_a_create_that_takes_effect_late_is_found_and_not_repeated(
    make: Make, engine: MemoryEngine, clock: Clock
) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    engine.faults["start"] = ["delay"]
    receiver.start_all()
    assert (the_run(receiver.journal).state, len(engine.runs)) == ("starting", 0)
    clock.forward(seconds=SETTLE - 1)
    receiver.start_all()
    assert engine.calls.count("start") == 1
    engine.arrive()
    clock.forward(seconds=5)
    receiver.start_all()
    assert (the_run(receiver.journal).state, len(engine.runs)) == ("running", 1)


def test_a_create_that_never_took_effect_is_repeated_once_that_is_sure(
    make: Make, engine: MemoryEngine, clock: Clock
) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    engine.faults["start"] = ["refuse"]
    receiver.start_all()
    clock.forward(seconds=SETTLE + 5)
    receiver.start_all()
    assert the_run(receiver.journal).state == "running"
    assert engine.calls.count("start") == 2
    # The name was looked for before the first create, after its failure, and again before the second.
    assert engine.calls == ["find", "start", "find", "find", "start", "find"]


def test_a_duplicate_that_appears_all_the_same_is_stopped_and_the_oldest_kept(
    make: Make, engine: MemoryEngine, clock: Clock
) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    receiver.start_all()
    clock.forward(seconds=1)
    engine._create(the_run(receiver.journal).name)
    receiver.follow()
    assert [run.id for run in engine.counting()] == ["run-1"]
    assert the_run(receiver.journal).run_id == "run-1"


def test_an_older_run_of_the_name_takes_the_place_of_the_one_that_was_known(
    make: Make, engine: MemoryEngine, clock: Clock
) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    receiver.start_all()
    older = engine._create(the_run(receiver.journal).name)
    engine.set(older.id, created=NOON - timedelta(seconds=5))
    receiver.follow()
    assert [run.id for run in engine.counting()] == [older.id]
    assert the_run(receiver.journal).run_id == older.id


def test_a_run_that_the_engine_will_never_take_fails_at_once_and_is_told(make: Make, engine: MemoryEngine) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    engine.faults["start"] = ["reject"]
    receiver.start_all()
    run = the_run(receiver.journal)
    assert (run.state, run.error) == ("failed", "the pipeline has no parameter named chart")
    assert receiver.told() == 1
    assert receiver.counted('roadie_runs_ended_total{model="jukebox",state="failed"} 1.0')


def test_a_run_that_cannot_be_started_for_a_day_is_given_up(make: Make, engine: MemoryEngine, clock: Clock) -> None:
    receiver = make(settle=3600)
    store(receiver.journal, receiver.wanted, [alert()])
    engine.faults["start"] = ["refuse"] * 10_000
    for _ in range(30):
        receiver.start_all()
        clock.forward(seconds=3601)
    run = the_run(receiver.journal)
    assert (run.state, run.error) == ("failed", "it could not be started for a day: the engine does not answer")
    assert engine.calls.count("start") == 24
    assert receiver.told() == 1


# One that died


@pytest.mark.parametrize("moment", ["before", "sent", "created"])
def test_a_receiver_that_died_while_it_started_a_run_leaves_one_run_to_its_successor(
    make: Make, engine: MemoryEngine, clock: Clock, moment: str
) -> None:
    class DeathError(BaseException):
        pass

    dying = make()
    store(dying.journal, dying.wanted, [alert()])

    def die(*_: Any, **__: Any) -> Any:
        raise DeathError

    class Dying(MemoryEngine):
        def start(self, pipeline: Any, name: str, *args: Any, **options: Any) -> Any:
            if moment == "created":
                engine.start(pipeline, name, *args, **options)
            raise DeathError

    dying.starter._engine = Dying(clock)
    if moment == "before":
        dying.starter._engine.find = die  # type: ignore[method-assign]
    with pytest.raises(DeathError):
        dying.starter.start_next()

    successor = make()
    successor.start_all()
    clock.forward(seconds=SETTLE / 2)
    successor.start_all()
    if moment == "before":
        assert the_run(successor.journal).run_id == "run-1"  # nothing can be on its way
    elif moment == "created":
        assert the_run(successor.journal).run_id == "run-1"  # found long before another would be created
    else:
        assert engine.runs == {}
    clock.forward(seconds=SETTLE)
    successor.start_all()
    assert the_run(successor.journal).state == "running"
    assert len(engine.runs) == 1


@pytest.mark.parametrize("jump", [-3600, 3600, -100 * 86400, 100 * 86400])
def test_a_clock_that_is_set_does_not_stall_the_queue(
    make: Make, engine: MemoryEngine, clock: Clock, jump: float
) -> None:
    receiver = make(max_active=1)
    store(receiver.journal, receiver.wanted, alerts(4))
    receiver.start_all()
    receiver.follow()
    clock.set(seconds=jump)
    for number in range(1, 5):
        engine.set(f"run-{number}", state="succeeded")
        receiver.follow()
        receiver.start_all()
    assert [run.state for run in receiver.journal.runs()] == ["succeeded"] * 4


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_is_set_does_not_repeat_a_create_too_early(
    make: Make, engine: MemoryEngine, clock: Clock, jump: float
) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    engine.faults["start"] = ["delay"]
    receiver.start_all()
    clock.set(seconds=jump)
    clock.forward(seconds=SETTLE - 1)
    receiver.start_all()
    assert engine.calls.count("start") == 1
    clock.forward(seconds=6)
    receiver.start_all()
    assert engine.calls.count("start") == 2


def test_a_journal_that_was_lost_repeats_no_run_and_tells_no_old_news(
    make: Make, engine: MemoryEngine, clock: Clock, tmp_path: Path
) -> None:
    receiver = make(max_active=9)
    store(receiver.journal, receiver.wanted, alerts(5), clock.now)
    receiver.start_all()
    for run_id in list(engine.runs):
        engine.set(run_id, state="succeeded", ended=clock.now)
    receiver.follow()
    receiver.journal.close()
    for file in tmp_path.glob("journal.db*"):
        file.unlink()
    clock.forward(days=1)
    successor = make(max_active=9)
    store(successor.journal, successor.wanted, alerts(5), clock.now)
    successor.start_all()
    successor.follow()
    assert (len(engine.runs), successor.told()) == (5, 0)
    assert {run.state for run in successor.journal.runs()} == {"succeeded"}


@pytest.mark.parametrize("seed", range(25))
def test_whatever_goes_wrong_each_intent_gets_one_run_that_counts(
    make: Make, engine: MemoryEngine, clock: Clock, seed: int
) -> None:
    chance = random.Random(seed)
    receiver = make(max_active=99)
    store(receiver.journal, receiver.wanted, alerts(8))
    for _ in range(300):
        engine.faults = {
            "start": [chance.choice(["", "refuse", "lose", "delay"])],
            "find": [chance.choice(["", "", "refuse"]) for _ in range(3)],
            "look": [chance.choice(["", "refuse"])],
            "stop": [chance.choice(["", "refuse"])],
        }
        if chance.random() < 0.05:
            receiver = make(max_active=99)  # killed, and started again
        receiver.starter.start_next()
        receiver.follower.follow_all()
        clock.forward(seconds=chance.choice([0, 1, 10, 60]))
        if chance.random() < 0.1:
            clock.set(seconds=chance.choice([-3600, 3600]))
        # However late, a create takes effect before it is taken for lost.
        engine.arrive(seconds=0 if chance.random() < 0.3 else SETTLE - 61)
    engine.faults = {}
    engine.arrive()
    for _ in range(60):
        receiver.start_all()
        receiver.follow()
    counting = engine.counting()
    assert len(counting) == 8
    assert {run.name for run in counting} == {run.name for run in receiver.journal.runs()}
    assert {run.id for run in counting} == {run.run_id for run in receiver.journal.runs()}


# New rows


def test_a_run_waits_for_new_rows_to_train_on(make: Make, engine: MemoryEngine) -> None:
    rows = {"s3://charts": 1000}
    receiver = make(min_new_rows=100, max_active=9, parameters={"charts": "s3://charts"}, count=rows.__getitem__)
    for number, there in enumerate([1000, 1050, 1099, 1100, 1150]):
        rows["s3://charts"] = there
        store(receiver.journal, receiver.wanted, [alert(str(number))])
        receiver.start_all()
    codes = [entry.verdicts[0].code for entry in reversed(receiver.journal.timeline(9))]
    assert codes == ["accepted", "few-new-rows", "few-new-rows", "accepted", "few-new-rows"]
    assert "1,150 rows and had 1,100 when the last run started" in receiver.journal.timeline(1)[0].verdicts[0].why
    assert receiver.counted('roadie_events_held_back_total{code="few-new-rows",model="jukebox"} 3.0')


def test_charts_that_cannot_be_read_hold_nothing_back_for_good(make: Make, engine: MemoryEngine, clock: Clock) -> None:
    answers: list[Any] = [DataError("the store does not answer"), 10]

    def count(_: str) -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    receiver = make(min_new_rows=5, count=count)
    store(receiver.journal, receiver.wanted, [alert()])
    receiver.start_all()
    run = the_run(receiver.journal)
    assert (run.state, run.error) == ("waiting", "the store does not answer")
    clock.forward(seconds=61)
    receiver.start_all()
    assert the_run(receiver.journal).state == "running"


def test_rows_are_counted_in_a_process_of_their_own() -> None:
    assert count_rows("sample") > 1000
    with pytest.raises(DataError, match="no folder"):
        count_rows("/nowhere/at/all")

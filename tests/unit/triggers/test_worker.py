import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from roadie.errors import DataError
from roadie.triggers.arguments import Target
from roadie.triggers.config import Config
from roadie.triggers.following import Follower
from roadie.triggers.intents import Intents
from roadie.triggers.journal import Journal
from roadie.triggers.metrics import Metrics
from roadie.triggers.starting import Starter
from roadie.triggers.times import utc_now
from roadie.triggers.worker import Worker
from tests.unit.triggers.world import NOON, Clock, MemoryEngine, alert, alerts, store, targets, the_run

SETTLE = 120.0
EVERY = 10.0


class Receiver:
    """What one receiver does to a journal, step by step."""

    def __init__(
        self, path: Path, engine: MemoryEngine, clock: Clock, wanted: dict[str, Target], **options: Any
    ) -> None:
        self.journal, self.clock, self.metrics = Journal(path), clock, Metrics()
        self.wanted = wanted
        intents = Intents(self.journal, SETTLE, clock)
        self.starter = Starter(intents, engine, wanted, self.metrics, on_failure=("told",), **options)
        self.follower = Follower(intents, engine, self.metrics, on_end=("told",), every=EVERY, clock=clock)

    def start_all(self) -> None:
        while self.starter.start_next():
            pass

    def follow(self) -> None:
        self.clock.forward(seconds=EVERY)
        self.follower.follow_all()

    def told(self) -> int:
        with self.journal.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM outbox").fetchone()[0])

    def counted(self, line: str) -> bool:
        return line in self.metrics.render().decode().splitlines()


Make = Callable[..., Receiver]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(clock: Clock) -> MemoryEngine:
    return MemoryEngine(clock)


@pytest.fixture
def make(tmp_path: Path, engine: MemoryEngine, clock: Clock) -> Iterator[Make]:
    """Makes a receiver on the one journal; each further one is as after a restart, or beside the first."""
    made: list[Receiver] = []

    def make_one(**settings: Any) -> Receiver:
        options = {name: settings.pop(name) for name in ("count",) if name in settings}
        made.append(Receiver(tmp_path / "journal.db", engine, clock, targets(**settings), **options))
        return made[-1]

    yield make_one
    for each in made:
        each.journal.close()


# Starting


def test_an_accepted_event_becomes_one_run_without_a_cache(make: Make, engine: MemoryEngine) -> None:
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    receiver.start_all()
    run = the_run(receiver.journal)
    assert (run.state, run.run_id, run.started) == ("running", "run-1", NOON)
    ((name, arguments, description, cache),) = engine.started
    assert (name, arguments, cache) == (run.name, run.arguments, False)
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
    receiver = make()
    store(receiver.journal, receiver.wanted, [alert()])
    engine.faults["start"] = ["refuse"] * 10_000
    for _ in range(1000):
        receiver.start_all()
        clock.forward(seconds=SETTLE + 1)
    assert the_run(receiver.journal).state == "failed"
    assert engine.calls.count("start") == 720
    assert receiver.told() == 1


# Two receivers, and one that died


def test_two_receivers_start_each_run_once(make: Make, engine: MemoryEngine) -> None:
    first, second = make(max_active=99), make(max_active=99)
    store(first.journal, first.wanted, alerts(20))
    while first.starter.start_next() or second.starter.start_next():
        pass
    assert len({run.name for run in engine.runs.values()}) == len(engine.runs) == 20


def test_who_lost_the_lease_creates_nothing(make: Make, engine: MemoryEngine, clock: Clock) -> None:
    receiver, other = make(), make()
    store(receiver.journal, receiver.wanted, [alert()])

    class Paused(MemoryEngine):
        """The receiver is suspended while it looks: the other one takes over."""

        def find(self, name: str) -> Any:
            if self is not engine and not engine.runs:
                clock.forward(seconds=SETTLE + 1)
                other.start_all()
            return []

    paused = Paused(clock)
    receiver.starter._engine = paused
    receiver.start_all()
    assert paused.started == []
    assert len(engine.runs) == 1


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
    if moment == "created":
        assert the_run(successor.journal).run_id == "run-1"  # found long before the lease runs out
    else:
        assert engine.runs == {}
    clock.forward(seconds=SETTLE)
    successor.start_all()
    assert the_run(successor.journal).state == "running"
    assert len(engine.runs) == 1


@pytest.mark.parametrize("seed", range(25))
def test_whatever_goes_wrong_each_intent_gets_one_run_that_counts(
    make: Make, engine: MemoryEngine, clock: Clock, seed: int
) -> None:
    chance = random.Random(seed)
    receivers = [make(max_active=99), make(max_active=99)]
    store(receivers[0].journal, receivers[0].wanted, alerts(8))
    for _ in range(300):
        engine.faults = {
            "start": [chance.choice(["", "refuse", "lose", "delay"])],
            "find": [chance.choice(["", "", "refuse"]) for _ in range(3)],
            "look": [chance.choice(["", "refuse"])],
            "stop": [chance.choice(["", "refuse"])],
        }
        receiver = chance.choice(receivers)
        receiver.starter.start_next()
        receiver.follower.follow_all()
        clock.forward(seconds=chance.choice([0, 1, 10, 60]))
        # However late, a create takes effect before it is taken for lost.
        engine.arrive(seconds=0 if chance.random() < 0.3 else SETTLE - 61)
    engine.faults = {}
    engine.arrive()
    for _ in range(60):
        receivers[0].start_all()
        receivers[0].follow()
    counting = engine.counting()
    assert len(counting) == 8
    assert {run.name for run in counting} == {run.name for run in receivers[0].journal.runs()}
    assert {run.id for run in counting} == {run.run_id for run in receivers[0].journal.runs()}


# Following


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


def test_the_end_is_told_once_by_two_receivers(make: Make, engine: MemoryEngine) -> None:
    first, second = make(), make()
    store(first.journal, first.wanted, [alert()])
    first.start_all()
    engine.set("run-1", state="succeeded")
    first.follow()
    second.follow()
    assert first.told() == 1


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
    assert "1,150 rows, 50 more than when the last run started" in receiver.journal.timeline(1)[0].verdicts[0].why
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
    from roadie.triggers.counting import count_rows

    assert count_rows("sample") > 1000
    with pytest.raises(DataError, match="no folder"):
        count_rows("/nowhere/at/all")


# The threads


def test_the_worker_starts_and_follows_runs_by_itself(tmp_path: Path, engine: MemoryEngine) -> None:
    engine.clock.now = NOON
    wanted = targets(max_active=9)
    config = Config.model_validate({"runs": {"seconds_between_looks": 0.05}})
    journal = Journal(tmp_path / "journal.db")
    worker = Worker(config, journal, wanted, engine, Metrics())
    worker.start()
    try:
        worker.check()
        store(journal, wanted, alerts(3))
        worker.wake()
        wait_until(lambda: len(engine.runs) == 3)
        for run_id in list(engine.runs):
            engine.set(run_id, state="succeeded")
        wait_until(lambda: [run.state for run in journal.runs()] == ["succeeded"] * 3)
    finally:
        worker.stop()
        journal.close()


def test_what_waits_for_a_model_that_is_no_longer_configured_is_held_back(tmp_path: Path, engine: MemoryEngine) -> None:
    journal = Journal(tmp_path / "journal.db")
    store(journal, targets("lyrics"), [alert(model="lyrics")], utc_now())
    worker = Worker(Config(), journal, targets(), engine, Metrics())
    worker.start()
    worker.stop()
    (decided,) = journal.timeline(9)[0].verdicts
    assert (decided.action, decided.code) == ("hold", "no-model")


def test_an_error_that_nobody_thought_of_does_not_end_the_worker(tmp_path: Path, engine: MemoryEngine) -> None:
    calls: list[str] = []

    class Odd(MemoryEngine):
        def find(self, name: str) -> Any:
            calls.append(name)
            if len(calls) == 1:
                raise KeyError("odd")
            return super().find(name)

    odd = Odd(engine.clock)
    wanted = targets()
    journal = Journal(tmp_path / "journal.db")
    worker = Worker(Config.model_validate({"runs": {"seconds_to_settle": 0.1}}), journal, wanted, odd, Metrics())
    store(journal, wanted, [alert()])
    worker.start()
    try:
        wait_until(lambda: the_run(journal).state == "running", seconds=20)
        worker.check()
    finally:
        worker.stop()
        journal.close()
    assert len(odd.runs) == 1


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.01)

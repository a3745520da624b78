import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from roadie.triggers.config import Config
from roadie.triggers.journal.journal import Journal
from roadie.triggers.metrics import Metrics
from roadie.triggers.times import utc_now
from roadie.triggers.work.worker import Worker
from tests.unit.triggers.world import NOON, MemoryEngine, alert, alerts, store, targets, the_run


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


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.01)

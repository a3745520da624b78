"""A small world for the tests of the core: a clock that is set, events, a model, an engine in memory with faults."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from roadie.errors import RunError
from roadie.runs import ENDED, Pipeline, Run, RunRefusedError
from roadie.triggers.config import Model
from roadie.triggers.events import Event
from roadie.triggers.journal.intents import Intents
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.rows import RunRow
from roadie.triggers.journal.storing import Receipt, Storing
from roadie.triggers.metrics import Metrics
from roadie.triggers.rules.arguments import Target
from roadie.triggers.rules.deciding import Verdict
from roadie.triggers.work.following import Follower
from roadie.triggers.work.pipelines import Pipelines
from roadie.triggers.work.starting import Starter

SETTLE, EVERY = 120.0, 10.0  # seconds until a lost create is lost for good, and between looks at a run
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
REPOSITORY = "https://git.example.com/team/model.git"


class Clock:
    """A clock that goes only when it is told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now, self.offset = now, timedelta(0)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    def ticks(self) -> float:
        """Seconds that pass evenly, however the time is set; see :meth:`set`."""
        return (self.now - self.offset).timestamp()

    def set(self, **duration: float) -> None:
        """Set the clock by so much: no time passes."""
        self.now += timedelta(**duration)
        self.offset += timedelta(**duration)


def alert(
    fingerprint: str = "a1b2", starts_at: str = "2026-01-31T11:59:00.000Z", status: str = "firing", **labels: str
) -> Event:
    """An alert of Alertmanager, for the model jukebox unless `labels` say another."""
    all_labels = {"alertname": "Drift", "model": "jukebox", "retrain": "true", **labels}
    return Event(
        source="alertmanager",
        kind="alert",
        identity=f"alertmanager/{fingerprint}@{starts_at}/{status}",
        subject=f"{fingerprint}@{starts_at}",
        status=status,
        summary="Drift fires: the charts drift",
        happened=starts_at,
        names={
            "alertname": all_labels["alertname"],
            "fingerprint": fingerprint,
            "starts_at": starts_at,
            "generator_url": "http://prometheus.example/graph",
        },
        labels=all_labels,
    )


def alerts(count: int, **labels: str) -> list[Event]:
    """`count` different alerts."""
    return [alert(f"{number:016x}", **labels) for number in range(count)]


def push(sha: str = "c0ffee" + "0" * 34, branch: str = "main", delivery: str = "", paths: Any = ("train.py",)) -> Event:
    """A push to the repository of the model."""
    return Event(
        source="github",
        kind="push",
        identity=f"github/{delivery or f'{branch}@{sha}'}",
        subject=f"git.example.com/team/model@{sha}",
        status="pushed",
        summary=f"ada pushed {sha[:10]}",
        happened="2026-01-31T11:59:30.000Z",
        names={"repository": REPOSITORY, "branch": branch, "sha": sha, "pusher": "ada"},
        paths=paths,
    )


def pipeline(**parameters: str) -> Pipeline:
    """A compiled pipeline with these parameters, each of the type that is given."""
    declared = {name: {"parameterType": kind, "isOptional": True} for name, kind in parameters.items()}
    spec = {"pipelineInfo": {"name": "tiny"}, "root": {"inputDefinitions": {"parameters": declared}}, "components": {}}
    return Pipeline(Path("tiny.yaml"), spec)


def targets(name: str = "jukebox", **settings: Any) -> dict[str, Target]:
    """One model, with `settings` of its configuration."""
    compiled = pipeline(charts="STRING", trigger="STRING", model_name="STRING", seed="NUMBER_INTEGER", image="STRING")
    model = Model(**{"pipeline": "tiny.yaml", **settings})
    return {name: Target(name, model, compiled, frozenset(compiled.parameters))}


def store(
    journal: Journal, targets: Mapping[str, Target], events: Sequence[Event], now: datetime = NOON
) -> list[Receipt]:
    """Store events as the recorder does."""
    with journal.writing() as connection:
        storing = Storing(connection, targets, now)
        return [storing.store(event) for event in events]


def verdict(journal: Journal, targets: Mapping[str, Target], event: Event, now: datetime = NOON) -> Verdict:
    """Store one event; the one verdict about it."""
    (receipt,) = store(journal, targets, [event], now)
    (only,) = receipt.verdicts
    return only


def the_run(journal: Journal) -> RunRow:
    """The one run in the journal."""
    (only,) = journal.runs()
    return only


class MemoryEngine:
    """An engine in memory.

    `faults` are what happens to the next calls, by method: "refuse" raises at once, "lose" does the work and raises,
    "delay" does it when :meth:`arrive` is called and raises now, "reject" says that the run will never be taken.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.runs: dict[str, Run] = {}
        self.faults: dict[str, list[str]] = {}
        self.calls: list[str] = []
        self.started: list[tuple[str, Mapping[str, Any], str, bool]] = []
        self._late: list[tuple[datetime, str]] = []
        self._numbers = itertools.count(1)

    def start(
        self, pipeline: Pipeline, name: str, arguments: Mapping[str, Any], *, description: str = "", cache: bool = True
    ) -> Run:
        fault = self._call("start")
        if fault == "reject":
            raise RunRefusedError("the pipeline has no parameter named chart")
        if fault == "delay":
            self._late.append((self.clock(), name))
            raise RunError("the answer to the create was lost")
        self.started.append((name, arguments, description, cache))
        run = self._create(name)
        if fault == "lose":
            raise RunError("the answer to the create was lost")
        return run

    def find(self, name: str) -> list[Run]:
        self._call("find")
        return sorted((run for run in self.runs.values() if run.name == name), key=lambda run: (run.created, run.id))

    def look(self, run_id: str) -> Run | None:
        self._call("look")
        return self.runs.get(run_id)

    def stop(self, run_id: str) -> None:
        self._call("stop")
        if self.runs[run_id].state not in ENDED:
            self.set(run_id, state="canceled", ended=self.clock())

    def set(self, run_id: str, **values: Any) -> None:
        self.runs[run_id] = replace(self.runs[run_id], **values)

    def arrive(self, seconds: float = 0.0) -> None:
        """What was delayed for at least `seconds` takes effect now."""
        latest = self.clock() - timedelta(seconds=seconds)
        for sent, name in self._late:
            if sent <= latest:
                self._create(name)
        self._late = [(sent, name) for sent, name in self._late if sent > latest]

    def counting(self) -> list[Run]:
        """The runs that were not stopped."""
        return [run for run in self.runs.values() if run.state != "canceled"]

    def _create(self, name: str) -> Run:
        run = Run(f"run-{next(self._numbers)}", name, "running", self.clock(), url=f"https://kfp.example/{name}")
        self.runs[run.id] = run
        return run

    def _call(self, method: str) -> str:
        self.calls.append(method)
        waiting = self.faults.get(method, [])
        fault = waiting.pop(0) if waiting else ""
        if fault == "refuse":
            raise RunError("the engine does not answer")
        return fault


class Receiver:
    """What one receiver does to a journal, step by step."""

    def __init__(
        self,
        path: Path,
        engine: MemoryEngine,
        clock: Clock,
        wanted: dict[str, Target],
        *,
        settle: float = SETTLE,
        **options: Any,
    ) -> None:
        self.journal, self.clock, self.metrics = Journal(path), clock, Metrics()
        self.wanted = wanted
        intents = Intents(self.journal, settle, clock, clock.ticks)
        pipelines = Pipelines(path.parent / "pipelines")
        self.starter = Starter(intents, engine, wanted, self.metrics, pipelines, on_failure=("told",), **options)
        self.follower = Follower(intents, engine, self.metrics, on_end=("told",), every=EVERY)

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

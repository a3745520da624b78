"""The worker: threads that start what the journal holds, follow it to its end, tell people, and tidy up."""

import time
from collections.abc import Mapping

from roadie.errors import TriggerError
from roadie.runs import Engine
from roadie.triggers.config import Config
from roadie.triggers.journal.intents import Intents
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.outbox import Outbox
from roadie.triggers.metrics import Metrics
from roadie.triggers.rules.arguments import Target
from roadie.triggers.times import utc_now
from roadie.triggers.work.alertmanager_api import AlertmanagerApi
from roadie.triggers.work.deployed import Deployed
from roadie.triggers.work.following import Follower
from roadie.triggers.work.loops import Loop
from roadie.triggers.work.notifying import SILENCE, Notifier, targets_of
from roadie.triggers.work.pipelines import Pipelines
from roadie.triggers.work.starting import Starter

# Seconds between looks at what has come to be due.
_IDLE = 2.0
_BETWEEN_LETTERS = 2.0
_BETWEEN_MEASUREMENTS = 1.0
_BETWEEN_READINGS = 60.0
_BETWEEN_PRUNINGS = 3600.0
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.2, 60.0


class Worker:
    """Works on a journal until it is stopped; killed at any moment, another one goes on where it was.

    Args:
        config: The receiver's.
        journal: What is to be done, and what was.
        targets: The models of the configuration with their pipelines.
        engine: Where runs are.
        metrics: What is counted.

    Attributes:
        deployed: What is deployed, for the page; None where no GitOps repository is configured.
    """

    def __init__(
        self, config: Config, journal: Journal, targets: Mapping[str, Target], engine: Engine, metrics: Metrics
    ) -> None:
        self._config, self._journal, self._targets, self._metrics = config, journal, targets, metrics
        self._intents = Intents(journal, config.runs.seconds_to_settle)
        self.deployed = Deployed(config.gitops, journal) if config.gitops else None
        told = tuple(targets_of(config))
        alertmanager = config.alertmanager
        silencer = AlertmanagerApi(alertmanager) if alertmanager and alertmanager.silence else None
        silence = (SILENCE,) if silencer else ()
        self._pipelines = Pipelines(config.journal.parent / "pipelines")
        self._starter = Starter(
            self._intents, engine, targets, metrics, self._pipelines, on_start=silence, on_failure=told
        )
        self._follower = Follower(
            self._intents,
            engine,
            metrics,
            refresh=self._refresh,
            on_end=told,
            every=config.runs.seconds_between_looks,
        )
        self._notifier = Notifier(config, journal, Outbox(journal), silencer)
        self._failures = 0
        self._pruned = self._measured = float("-inf")
        self._starting = Loop("starting runs", self._start)
        self._telling = Loop("telling people", self._tell)
        self._loops = [self._starting, self._telling, Loop("following runs", self._follow)]
        if self.deployed:
            self._loops.append(Loop("reading what is deployed", self._read))

    def start(self) -> None:
        """Begin to work, in threads."""
        self._intents.hold_unknown(self._targets)
        for loop in self._loops:
            loop.start()

    def wake(self) -> None:
        """Runs were accepted: start them now."""
        self._starting.wake()

    def check(self) -> None:
        """Raise TriggerError when a thread has ended."""
        if not all(loop.alive for loop in self._loops):
            raise TriggerError("the worker has ended, so that no run is started; restart the receiver")

    def stop(self, seconds: float = 10.0) -> None:
        """End, within `seconds`: what goes on by then is taken up from the journal by whoever comes next."""
        for loop in self._loops:
            loop.stop()
        deadline = time.monotonic() + seconds
        for loop in self._loops:
            loop.join(max(0.0, deadline - time.monotonic()))

    def _start(self) -> float:
        started = self._starter.start_next()
        if time.monotonic() - self._measured > _BETWEEN_MEASUREMENTS:
            self._measure()
        if started is False:
            self._failures += 1
            return min(_LONGEST_BACKOFF, _FIRST_BACKOFF * 2.0 ** min(self._failures - 1, 10))
        self._failures = 0
        return 0.0 if started else _IDLE

    def _measure(self) -> None:
        waiting = self._journal.waiting()
        age = (utc_now() - waiting.since).total_seconds() if waiting.since else 0.0
        self._metrics.waiting(waiting.count, max(0.0, age))
        self._measured = time.monotonic()

    def _follow(self) -> float:
        if self._follower.follow_all():
            self._starting.wake()
            self._telling.wake()
        if time.monotonic() - self._pruned > _BETWEEN_PRUNINGS:
            self._journal.prune(self._config.keep, utc_now())
            self._pipelines.prune(self._config.keep.total_seconds(), time.time())
            self._pruned = time.monotonic()
        return min(1.0, self._config.runs.seconds_between_looks)

    def _tell(self) -> float:
        return 0.0 if self._notifier.deliver_next() else _BETWEEN_LETTERS

    def _read(self) -> float:
        self._refresh()
        return _BETWEEN_READINGS

    def _refresh(self) -> None:
        if self.deployed:
            self.deployed.refresh()

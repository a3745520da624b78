"""Follow runs to their end: what became of each, whatever happened to it on the way."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roadie.errors import RunError
from roadie.runs import ENDED, Engine, Run
from roadie.triggers.journal.intents import Intents
from roadie.triggers.journal.rows import Facts, Intent
from roadie.triggers.metrics import Metrics
from roadie.triggers.work.starting import stop_others

_log = logging.getLogger(__name__)
# A proxy in front of the engine may answer 404 for a moment: only so many looks in a row make a run vanish.
_MISSES = 3
# An engine that does not answer takes half a minute to say so: after so many times the round is over.
_FAILURES = 3


class Follower:
    """Follows the runs of intents.

    Args:
        intents: The journal's.
        engine: Where the runs are.
        metrics: What is counted.
        refresh: Looks up in the GitOps repository what runs have deployed.
        on_end: Targets of the outbox that are told when a run ends.
        every: Seconds between two looks at a run.
    """

    def __init__(
        self,
        intents: Intents,
        engine: Engine,
        metrics: Metrics,
        *,
        refresh: Callable[[], None] = lambda: None,
        on_end: Sequence[str] = (),
        every: float = 10.0,
    ) -> None:
        self._intents, self._engine, self._metrics = intents, engine, metrics
        self._refresh, self._on_end, self._every = refresh, on_end, every
        self._refreshed = False

    def follow_all(self) -> bool:
        """Look at every run that it is time to look at; whether one of them ended."""
        ended, failures = False, 0
        self._refreshed = False
        for intent in self._intents.due(self._every):
            try:
                ended |= self._follow(intent)
            except RunError as error:
                _log.warning("run not looked at", extra={"fields": {"run": intent.name, "why": error}})
                failures += 1
                if failures == _FAILURES:
                    break
        return ended

    def _follow(self, intent: Intent) -> bool:
        run = self._engine.look(intent.run_id)
        # A create that was sent before may only take effect now.
        if run is None or run.state in ENDED or (intent.attempted and not self._intents.settled(intent, times=2)):
            run = self._the_oldest(intent, run)
        self._intents.looked(intent, run)
        if run is None:
            return self._vanished(intent)
        if run.state in ENDED:
            return self._end(intent, run)
        if intent.stop:
            _log.info("run stopped", extra={"fields": {"run": intent.name, "why": intent.stop}})
            self._engine.stop(run.id)
        return False

    def _the_oldest(self, intent: Intent, run: Run | None) -> Run | None:
        """The oldest run of the intent's name, with the others stopped; `run`, where none is listed."""
        found = self._engine.find(intent.name)
        stop_others(self._engine, found)
        if not found or (run and run.id == found[0].id):
            return run
        return self._engine.look(found[0].id)

    def _vanished(self, intent: Intent) -> bool:
        if intent.misses + 1 < _MISSES:
            return False
        error = f"the engine does not know the run {intent.run_id} any more; somebody may have deleted it"
        self._close(intent, "failed", error)
        return True

    def _end(self, intent: Intent, run: Run) -> bool:
        if not self._refreshed:
            self._refresh()
            self._refreshed = True
        error = run.error
        if run.state == "canceled":
            error = intent.stop or run.error or "it was canceled"
        elif run.state == "failed":
            error = run.error or "the engine does not say why; look at the run"
        self._close(intent, run.state, error, run)
        return True

    def _close(self, intent: Intent, state: str, error: str, run: Run | None = None) -> None:
        at, facts = (run.ended, facts_of(run.outcome)) if run else (None, Facts())
        # One that had ended before its event came was told by the receiver whose journal was lost.
        tell = () if at and at < intent.created else self._on_end
        if self._intents.ended(intent, state, error, at=at, facts=facts, tell=tell):
            self._metrics.ended(intent.model, state)
            level = logging.INFO if state == "succeeded" else logging.WARNING
            _log.log(level, "run ended", extra={"fields": {"run": intent.name, "state": state, "why": error}})


def facts_of(outcome: Mapping[str, Any]) -> Facts:
    """What a run's outcome says, as :meth:`roadie.runs.Outcome.to_dict` gives it."""
    return Facts(
        decision=str(outcome.get("decision", "")),
        decision_reason=str(outcome.get("reason", "")),
        version=str(outcome.get("version", "")),
        image=str(outcome.get("image", "")),
        commits=tuple(str(commit) for commit in outcome.get("commits", ())),
    )

"""Start an intent's run, and only one: look for it by its name before a create, after it, and when the answer is lost.

Why this gives one run for each intent, and what remains possible, is in docs/decisions/triggers-exactly-once.md.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roadie.errors import DataError, RunError, TriggerError
from roadie.runs import ENDED, Engine, Pipeline, Run, RunRefusedError
from roadie.triggers.journal.intents import Intents
from roadie.triggers.journal.rows import Intent
from roadie.triggers.metrics import Metrics
from roadie.triggers.rules.arguments import Target
from roadie.triggers.work import counting
from roadie.triggers.work.pipelines import Pipelines

_log = logging.getLogger(__name__)
# Seconds until an intent that could not be started is looked at again.
_PAUSE = 5.0
_PAUSE_FOR_DATA = 60.0
# Seconds of trying to create a run before it is given up.
_PATIENCE = 86400.0


class Starter:
    """Starts the runs of intents.

    Args:
        intents: The journal's.
        engine: Where runs are started.
        targets: The models that may be started, by name.
        metrics: What is counted.
        pipelines: Gives the pipeline of each run.
        on_start: Targets of the outbox that are told when a run starts.
        on_failure: Those that are told when one cannot be started.
        count: Counts the rows of charts.
    """

    def __init__(
        self,
        intents: Intents,
        engine: Engine,
        targets: Mapping[str, Target],
        metrics: Metrics,
        pipelines: Pipelines,
        *,
        on_start: Sequence[str] = (),
        on_failure: Sequence[str] = (),
        count: Callable[[str], int] = counting.count_rows,
    ) -> None:
        self._intents, self._engine, self._targets, self._metrics = intents, engine, targets, metrics
        self._pipelines = pipelines
        self._on_start, self._on_failure, self._count = on_start, on_failure, count
        self._room = {name: target.model.max_active for name, target in targets.items()}

    def start_next(self) -> bool | None:
        """Start the next intent: None when there is none, False when the engine could not be asked."""
        intent = self._intents.claim(self._room, again=_PAUSE)
        if intent is None:
            return None
        try:
            found = self._engine.find(intent.name) or self._create(intent)
            if found:
                self._adopt(intent, found)
        except RunRefusedError as error:
            self._fail(intent, str(error))
        except RunError as error:
            _log.warning("run not started yet", extra={"fields": {"run": intent.name, "why": error}})
            self._intents.postpone(intent, str(error), _PAUSE)
            return False
        return True

    def _create(self, intent: Intent) -> list[Run]:
        """Create the run, if it may be by now; what then has the intent's name."""
        if not self._intents.settled(intent):
            return []  # a create may still be on its way
        target = self._targets.get(intent.model)
        if intent.stop or target is None:
            code, why = ("superseded", intent.stop) if intent.stop else ("no-model", "its model is not configured")
            self._hold(intent, code, why)
            return []
        if intent.tries * self._intents.settle >= _PATIENCE:
            self._fail(intent, f"it could not be started for a day: {intent.error}")
            return []
        try:
            rows = self._rows(target, intent)
            pipeline, arguments = self._pipelines.of(target, intent.arguments)
        except (DataError, TriggerError) as error:
            _log.warning("run not started yet", extra={"fields": {"run": intent.name, "why": error}})
            self._intents.postpone(intent, str(error), _PAUSE_FOR_DATA)
            return []
        if self._too_few(intent, target, rows) or not self._intents.attempt(intent, rows):
            return []
        return self._send(intent, pipeline, arguments)

    def _send(self, intent: Intent, pipeline: Pipeline, arguments: Mapping[str, Any]) -> list[Run]:
        """Send the create, and look what came of it."""
        try:
            run = self._engine.start(pipeline, intent.name, arguments, description=intent.description, cache=False)
        except RunRefusedError:
            raise
        except RunError as error:
            if found := self._engine.find(intent.name):
                return found
            raise error
        try:
            return self._engine.find(intent.name) or [run]
        except RunError:
            return [run]  # followers look again

    def _rows(self, target: Target, intent: Intent) -> int | None:
        """How many rows there are to train on; None where that does not matter."""
        if not target.model.min_new_rows:
            return None
        declared = target.pipeline.parameters.get("charts")
        return self._count(str(intent.arguments.get("charts") or (declared.default if declared else "")))

    def _too_few(self, intent: Intent, target: Target, rows: int | None) -> bool:
        before = self._intents.last_rows(intent.model) if rows is not None else None
        if rows is None or before is None or rows - before >= target.model.min_new_rows:
            return False
        why = (
            f"the charts have {rows:,} rows and had {before:,} when the last run started; at least"
            f" {target.model.min_new_rows:,} new ones are asked for"
        )
        self._hold(intent, "few-new-rows", why)
        return True

    def _adopt(self, intent: Intent, found: Sequence[Run]) -> None:
        """Take the oldest run for the intent's own, and stop the others."""
        keep = found[0]
        silence = intent.reason == "alert" and keep.state not in ENDED
        if self._intents.started(intent, keep, self._on_start if silence else ()):
            self._metrics.started(intent.model)
            _log.info("run started", extra={"fields": {"run": intent.name, "id": keep.id}})
        stop_others(self._engine, found)

    def _hold(self, intent: Intent, code: str, why: str) -> None:
        if self._intents.hold(intent, code, why):
            self._metrics.held_back(intent.model, code)
            _log.info("run held back", extra={"fields": {"run": intent.name, "code": code, "why": why}})

    def _fail(self, intent: Intent, error: str) -> None:
        if self._intents.ended(intent, "failed", error, tell=self._on_failure):
            self._metrics.ended(intent.model, "failed")
            _log.error("run given up", extra={"fields": {"run": intent.name, "why": error}})


def stop_others(engine: Engine, found: Sequence[Run]) -> None:
    """Stop all but the oldest of the runs of one name. One that cannot be stopped now is found again later."""
    for other in found[1:]:
        if other.state in ENDED:
            continue
        fields = {"run": other.name, "kept": found[0].id, "stopped": other.id}
        _log.warning("run exists twice", extra={"fields": fields})
        try:
            engine.stop(other.id)
        except RunError as error:
            _log.warning("second run not stopped yet", extra={"fields": {**fields, "why": error}})

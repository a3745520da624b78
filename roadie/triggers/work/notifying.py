"""Deliver what the outbox holds: the outcome of a run to whoever is configured, a silence to Alertmanager."""

import hashlib
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from roadie import trace
from roadie.errors import NewsError, TriggerError
from roadie.triggers import secrets
from roadie.triggers.config import Config, Notify
from roadie.triggers.journal.journal import Journal
from roadie.triggers.journal.outbox import Letter, Outbox
from roadie.triggers.journal.rows import Entry, RunRow
from roadie.triggers.times import utc_now
from roadie.triggers.work.messages import as_json, as_slack

_log = logging.getLogger(__name__)
SILENCE = "silence"


class Silencer(Protocol):
    """What Alertmanager's API offers, see :meth:`roadie.triggers.work.alertmanager_api.AlertmanagerApi.silence`."""

    def silence(self, labels: Mapping[str, str], duration: timedelta, key: str, why: str) -> str:
        """Silence the alert with these labels for `duration`, once for a key."""
        ...


def targets_of(config: Config) -> Mapping[str, Notify]:
    """Who is told how runs end, by the name under which the outbox keeps them over restarts."""
    return {_name(notify): notify for notify in config.notify}


def _name(notify: Notify) -> str:
    # Of where the secret is, not of what it is; and not of its place in the list, which may change.
    place = f"{notify.format}\0{notify.url.file or ''}\0{notify.url.env}"
    return f"{notify.format}-{hashlib.sha256(place.encode()).hexdigest()[:12]}"


class Notifier:
    """Delivers letters, one at a time.

    Args:
        config: Who is told, and how long an alert is silenced.
        journal: What there is to tell.
        outbox: What is to be told.
        silencer: Alertmanager, where alerts are to be silenced.
        clock: The time, in UTC.
    """

    def __init__(
        self,
        config: Config,
        journal: Journal,
        outbox: Outbox,
        silencer: Silencer | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._config, self._journal, self._outbox = config, journal, outbox
        self._silencer, self._clock = silencer, clock
        self._targets = targets_of(config)

    def deliver_next(self) -> bool:
        """Deliver the next letter that is due; False when there is none."""
        letter = self._outbox.take()
        if letter is None:
            return False
        try:
            self._deliver(letter)
        except (NewsError, TriggerError) as error:
            kept = self._outbox.postpone(letter)
            fields = {"target": letter.target, "key": letter.key, "tries": letter.tries, "why": error}
            _log.warning("news not delivered yet" if kept else "news given up", extra={"fields": fields})
        else:
            self._outbox.done(letter)
        return True

    def _deliver(self, letter: Letter) -> None:
        entry, details = self._journal.entry_of(letter.key), self._journal.details(letter.key)
        run = next((each.run for each in entry.verdicts if each.key == letter.key), None) if entry else None
        if entry is None or details is None or run is None:
            return  # pruned since
        if letter.target == SILENCE:
            self._silence(letter, run, details.labels)
        elif notify := self._targets.get(letter.target):
            self._post(notify, run, entry, details.labels)
        else:
            _log.warning("nobody to tell", extra={"fields": {"target": letter.target, "run": run.name}})

    def _post(self, notify: Notify, run: RunRow, entry: Entry, labels: Mapping[str, str]) -> None:
        payload = as_slack(run, entry) if notify.format == "slack" else as_json(run, entry, labels)
        # The same for every try, so that who gets it twice can tell (draft-ietf-httpapi-idempotency-key-header).
        trace.post(secrets.read(notify.url), payload, {"Idempotency-Key": f"{run.key}-{run.state}"})

    def _silence(self, letter: Letter, run: RunRow, labels: Mapping[str, str]) -> None:
        """Silence the alert for what is left of the time since its run was started, as long as that goes on."""
        silence = self._config.alertmanager.silence if self._config.alertmanager else None
        left = (letter.created + silence - self._clock()) if silence else timedelta(0)
        if self._silencer and left > timedelta(0) and run.ended is None:
            self._silencer.silence(labels, left, run.key, f"{run.name} retrains {run.model}")

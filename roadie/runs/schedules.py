"""Recurring runs of Kubeflow Pipelines, by name: to say the same thing twice changes nothing.

The service can neither change a recurring run nor put one in another's place, and names are not unique to it. So each
carries a fingerprint of all that it was made from in its description, and takes another one's place in an order that
leaves, wherever it breaks off, a schedule that works or that the same command completes:

1. wait for a moment at which neither fires;
2. create the new one, disabled: if the service refuses it, nothing has changed;
3. disable the old one and enable the new one: the service makes up for what a recurring run missed since it was
   created, so that nothing is lost in between, and at no time do both fire;
4. delete the old one.

A disabled one is never enabled again, for it would make up at once for what it missed: a new one takes its place.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from roadie.errors import RunError, UsageError
from roadie.runs.cluster import Cluster, filter_of
from roadie.runs.connection import ServiceError
from roadie.runs.cron import Cron
from roadie.runs.pipeline import Pipeline
from roadie.runs.submission import require_real_places, specification
from roadie.runs.tasks import moment

_MARK = re.compile(r"roadie schedule sha256:([0-9a-f]{64})")
_LATE = timedelta(seconds=20)  # the service starts a run up to some seconds after its minute has begun
_EARLY = timedelta(seconds=10)


@dataclass(frozen=True)
class Schedule:
    """A recurring run. `fingerprint` is empty when it was not made here; `cron` is the service's six fields."""

    id: str
    name: str
    cron: str
    enabled: bool
    created: datetime
    fingerprint: str
    url: str


@dataclass(frozen=True)
class Change:
    """What was done about a schedule.

    Attributes:
        action: created, replaced, unchanged, enabled, disabled, deleted, or absent when there was none to begin with.
        schedule: It, as it is now; None when there is none.
    """

    action: str
    schedule: Schedule | None = None


class Schedules:
    """The recurring runs of a cluster. Every method raises RunError when the service refuses or cannot be reached."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Work on `cluster`; `now` and `sleep` are the clock by which a quiet moment is waited for."""
        self._cluster = cluster
        self._connection = cluster.connection
        self._api = cluster.connection.recurring_runs
        self._now = now
        self._sleep = sleep

    def find(self, name: str) -> list[Schedule]:
        """Every recurring run of this very name, the oldest first (then by id)."""
        found, token = [], ""
        while True:
            answer = self._connection.ask(
                f"looking for the schedule {name}",
                self._api.recurring_run_service_list_recurring_runs_with_http_info,
                sort_by="created_at asc",
                page_token=token,
                filter=filter_of({"operation": "EQUALS", "key": "display_name", "stringValue": name}),
                **self._cluster.whose(),
            )
            found += [self._schedule(each) for each in answer.recurring_runs or [] if each.display_name == name]
            token = answer.next_page_token
            if not token:
                return sorted(found, key=lambda each: (each.created, each.id))

    def put(
        self,
        name: str,
        pipeline: Pipeline,
        arguments: Mapping[str, Any],
        cron: Cron,
        *,
        cache: bool = True,
        enabled: bool = True,
    ) -> Change:
        """Let the recurring run of this name be just this one.

        Raises:
            UsageError: a place is missing that a cluster needs, or somebody else made a recurring run of this name.
        """
        require_real_places(pipeline, arguments)
        body = {
            "pipeline_spec": specification(pipeline, cache=cache),
            "runtime_config": {"parameters": dict(arguments)},
            "trigger": {"cron_schedule": {"cron": cron.six}},
            "service_account": self._cluster.service_account or None,
        }
        fingerprint = _fingerprint({**body, "experiment": self._cluster.experiment})

        def fits(each: Schedule) -> bool:
            return each.fingerprint == fingerprint and (each.enabled or not enabled)

        there = now = self._own(name)
        if not any(fits(each) for each in there):
            self._put_beside(there, name, fingerprint, body, cron if enabled else None)
            now = self.find(name)
        kept = next((each for each in now if fits(each)), None)
        if kept is None:
            raise RunError(f"the schedule {name} was created, but the service does not list it: run the command again")
        if not enabled:
            self._switch(kept, on=False)
        for each in now:
            if each.id != kept.id:
                self._delete(each)
        return Change(_action(there, kept, enabled), self._get(kept))

    def disable(self, name: str) -> Change:
        """Let nothing of this name fire any more, but keep it."""
        there = self._own(name)
        if not there:
            return Change("absent")
        for each in there:
            self._switch(each, on=False)
        return Change("disabled" if any(each.enabled for each in there) else "unchanged", self._get(there[0]))

    def delete(self, name: str) -> Change:
        """Let there be nothing of this name."""
        there = self._own(name)
        for each in there:
            self._delete(each)
        return Change("deleted" if there else "absent")

    def _own(self, name: str) -> list[Schedule]:
        """Every recurring run of this name, all of them made here."""
        there = self.find(name)
        foreign = next((each for each in there if not each.fingerprint), None)
        if foreign:
            raise UsageError(
                f"there is a recurring run {name} that `roadie schedule` did not make ({foreign.url}): "
                "choose another name, or delete that one first"
            )
        return there

    def _put_beside(
        self, there: Sequence[Schedule], name: str, fingerprint: str, body: Mapping[str, Any], cron: Cron | None
    ) -> None:
        """Create the new one and let it, and none of those that are there, be enabled; none at all without a `cron`."""
        firing = [each for each in there if each.enabled]
        if firing and cron:
            self._wait_for_a_quiet_moment(cron)
        new = self._create(there, name, fingerprint, body, enabled=bool(cron) and not firing)
        for each in firing:
            self._switch(each, on=False)
        self._switch(new, on=bool(cron))

    def _create(
        self, there: Sequence[Schedule], name: str, fingerprint: str, body: Mapping[str, Any], *, enabled: bool
    ) -> Schedule:
        recurring = self._connection.models.V2beta1RecurringRun(
            **body,
            display_name=name,
            description=f"roadie schedule sha256:{fingerprint}",
            experiment_id=self._cluster.experiment_id(),
            mode="ENABLE" if enabled else "DISABLE",
            max_concurrency="1",
            # Of several that were missed, one is made up for.
            no_catchup=True,
        )
        create = self._api.recurring_run_service_create_recurring_run_with_http_info
        try:
            return self._schedule(
                self._connection.tell(f"creating the schedule {name}", create, recurring_run=recurring)
            )
        except ServiceError as error:
            if error.status:
                raise
            # The answer was lost: whether it was created has to be seen.
            known = {each.id for each in there}
            new = [each for each in self.find(name) if each.fingerprint == fingerprint and each.id not in known]
            if not new:
                raise
            return new[0]

    def _switch(self, schedule: Schedule, *, on: bool) -> None:
        if schedule.enabled == on:
            return
        word = "enable" if on else "disable"
        call = getattr(self._api, f"recurring_run_service_{word}_recurring_run_with_http_info")
        self._ask_about(schedule, f"trying to {word}", call)

    def _delete(self, schedule: Schedule) -> None:
        self._ask_about(schedule, "deleting", self._api.recurring_run_service_delete_recurring_run_with_http_info)

    def _ask_about(self, schedule: Schedule, what: str, call: Callable[..., Any]) -> None:
        try:
            self._connection.ask(f"{what} the schedule {schedule.name}", call, recurring_run_id=schedule.id)
        except ServiceError as error:
            # Somebody else deleted it, or the answer to an earlier attempt was lost.
            if not error.unknown:
                raise

    def _get(self, schedule: Schedule) -> Schedule:
        call = self._api.recurring_run_service_get_recurring_run_with_http_info
        return self._schedule(
            self._connection.ask(f"looking at the schedule {schedule.name}", call, recurring_run_id=schedule.id)
        )

    def _schedule(self, recurring: Any) -> Schedule:
        cron = recurring.trigger.cron_schedule if recurring.trigger else None
        marked = _MARK.search(recurring.description or "")
        return Schedule(
            id=recurring.recurring_run_id,
            name=recurring.display_name or "",
            cron=(cron.cron if cron else "") or "",
            enabled=recurring.status == "ENABLED",
            created=moment(recurring.created_at) or self._now(),
            fingerprint=marked[1] if marked else "",
            url=self._cluster.url("recurringrun", recurring.recurring_run_id),
        )

    def _wait_for_a_quiet_moment(self, cron: Cron) -> None:
        """Wait, half a minute at most, while the new schedule fires, for then both might, or neither."""
        while cron.fires_in(self._now() + _EARLY) and (self._now() + _EARLY).second < (_EARLY + _LATE).seconds:
            self._sleep(1.0)


def _fingerprint(made_of: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _action(there: Sequence[Schedule], kept: Schedule, enabled: bool) -> str:
    """What was done, in a word, to come from those that were `there` to the one that was `kept`."""
    if not there:
        return "created"
    same = [each for each in there if each.fingerprint == kept.fingerprint]
    if not same or len(there) > 1:
        return "replaced"
    if any(each.enabled == enabled for each in same):
        return "unchanged"
    return "enabled" if enabled else "disabled"

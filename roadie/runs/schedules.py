"""Recurring runs of Kubeflow Pipelines, by name: to say the same thing twice changes nothing.

The service can neither change a recurring run nor put one in another's place, and names are not unique to it. So each
carries a fingerprint of all that it was made from in its description, and takes another one's place in an order that
leaves, wherever it breaks off, a schedule that works or that the same command completes:

1. wait for a moment at which nothing fires: each fires as a minute begins, and its run is there some seconds later;
2. create the new one, disabled: if the service refuses it, nothing has changed;
3. disable the old one and enable the new one: the service makes up for what a recurring run missed since it was
   created, so that nothing is lost in between, and at no time do both fire;
4. delete the old one, unless a run of it goes on: Kubernetes would take the run away with it, in the middle of a step
   and without its exit handler. Then it stays, disabled, until the command is given again.

A disabled one is never enabled again, for it would make up at once for what it missed: a new one takes its place.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from roadie.errors import RunError, UsageError
from roadie.runs.cluster import Cluster, filter_of
from roadie.runs.connection import ServiceError
from roadie.runs.engine import Run, RunRefusedError
from roadie.runs.pipeline import Pipeline
from roadie.runs.submission import require_real_places, specification
from roadie.runs.tasks import moment

_MARK = re.compile(r"roadie schedule sha256:([0-9a-f]{64})")
FIELDS = ("minute", "hour", "day of month", "month", "day of week")
_QUIET = range(20, 50)  # seconds of a minute: the service starts a run up to some seconds after its minute has begun
_ROUNDS = 10  # how often others may be at the same schedule at the same time


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
        left: Runs that go on, of earlier ones of its name, which are disabled and stay until those runs have ended.
    """

    action: str
    schedule: Schedule | None = None
    left: tuple[Run, ...] = ()


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
        cron: str,
        *,
        cache: bool = True,
        enabled: bool = True,
    ) -> Change:
        """Let the recurring run of this name be just this one; `cron` has crontab's five fields.

        Raises:
            UsageError: a place is missing that a cluster needs, or somebody else made a recurring run of this name.
            RunRefusedError: the service does not take the pipeline, its arguments or the time.
        """
        require_real_places(pipeline, arguments)
        arguments = self._cluster.step_image.given_to(pipeline, arguments)
        body = {
            "pipeline_spec": specification(pipeline, cache=cache),
            "runtime_config": {"parameters": dict(arguments)},
            "trigger": {"cron_schedule": {"cron": with_seconds(cron)}},
            "service_account": self._cluster.service_account or None,
        }
        fingerprint = _fingerprint({**body, "experiment": self._cluster.experiment})
        there = self._own(name)
        for _ in range(_ROUNDS):
            now = self._own(name)
            # The oldest: whoever puts the same at the same time keeps that one, too.
            same = [each for each in now if each.fingerprint == fingerprint and (each.enabled or not enabled)]
            if not same:
                self._put_beside(now, name, fingerprint, body, on=enabled)
                continue
            if not enabled:
                self._switch(same[0], on=False)
            left = self._clear(each for each in now if each.id != same[0].id)
            kept = next((each for each in self.find(name) if each.id == same[0].id), None)
            if kept:
                return Change(_action(there, kept, enabled), kept, left)
        raise RunError(f"others change the schedule {name} at the same time: run the command again")

    def disable(self, name: str) -> Change:
        """Let nothing of this name fire any more, but keep it."""
        there = self._own(name)
        for each in there:
            self._switch(each, on=False)
        now = self.find(name)
        if not now:
            return Change("absent")
        return Change("disabled" if any(each.enabled for each in there) else "unchanged", now[-1])

    def delete(self, name: str) -> Change:
        """Let there be nothing of this name.

        Raises:
            RunError: a run of it goes on, which would end with it. Nothing of this name fires any more.
        """
        there = self._own(name)
        if any(each.enabled for each in there):
            self._wait_for_a_quiet_moment()
        if left := self._clear(there):
            run = left[0]
            raise RunError(
                f"the schedule {name} starts nothing any more, but is not deleted yet, because its run {run.name} goes "
                f"on and Kubeflow would end it in the middle of a step: delete it again once that has ended ({run.url})"
            )
        return Change("deleted" if there else "absent")

    def _clear(self, schedules: Iterable[Schedule]) -> tuple[Run, ...]:
        """Disable these, and delete those of which no run goes on; what goes on of the others."""
        left: list[Run] = []
        for each in schedules:
            self._switch(each, on=False)
            if runs := self._cluster.going_on(each.id, each.name, each.created):
                left += runs
            else:
                self._ask_about(each, "deleting", self._api.recurring_run_service_delete_recurring_run_with_http_info)
        return tuple(left)

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
        self, there: Sequence[Schedule], name: str, fingerprint: str, body: Mapping[str, Any], *, on: bool
    ) -> None:
        """Create the new one and let it, and none of those that are there, be enabled; none at all unless `on`."""
        firing = [each for each in there if each.enabled]
        if firing:
            self._wait_for_a_quiet_moment()
        new = self._create(there, name, fingerprint, body, enabled=on and not firing)
        for each in firing:
            self._switch(each, on=False)
        self._switch(new, on=on)

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
            if error.refused:
                raise RunRefusedError(str(error)) from None
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

    def _ask_about(self, schedule: Schedule, what: str, call: Callable[..., Any]) -> None:
        try:
            self._connection.ask(f"{what} the schedule {schedule.name}", call, recurring_run_id=schedule.id)
        except ServiceError as error:
            # Somebody else deleted it, or the answer to an earlier attempt was lost.
            if not error.unknown:
                raise

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

    def _wait_for_a_quiet_moment(self) -> None:
        """Wait, half a minute at most, while one may fire: both might, or neither, or a run is not told yet."""
        while self._now().second not in _QUIET:
            self._sleep(1.0)


def with_seconds(cron: str) -> str:
    """The expression as the service takes it (github.com/robfig/cron): with the second in front.

    The service takes five fields as well, but for it their first is the second. What is in them it judges itself.

    Raises:
        UsageError: these are not five fields.
    """
    fields = cron.split()
    if len(fields) != len(FIELDS):
        raise UsageError(f"the time {cron!r} has {len(fields)} fields, but takes five: {', '.join(FIELDS)}")
    return " ".join(["0", *fields])


def _fingerprint(made_of: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()


def _action(there: Sequence[Schedule], kept: Schedule, enabled: bool) -> str:
    """What was done, in a word, to come from those that were `there` to the one that was `kept`."""
    before = next((each for each in there if each.id == kept.id), None)
    if before:
        return "unchanged" if before.enabled == enabled else "disabled"
    if not there:
        return "created"
    same = enabled and all(each.fingerprint == kept.fingerprint and not each.enabled for each in there)
    return "enabled" if same else "replaced"

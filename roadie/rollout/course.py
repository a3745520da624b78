"""How the looks follow one another, and when they add up to a verdict. Pure: the time is an argument."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from roadie.rollout.application import Asks, judge_application
from roadie.rollout.look import DEGRADED, GRACE, HEALTHY, PROGRESS, SUPERSEDED, WAITING, Look, Object, Snapshot
from roadie.rollout.service import judge_service, storage_uri
from roadie.rollout.target import Target, Wanted

TIMED_OUT = "timed-out"

_ORDER = (DEGRADED, SUPERSEDED, PROGRESS, WAITING, HEALTHY)
_NOTHING = Look(WAITING, "nothing was seen yet")


@dataclass
class Course:
    """What was there first, which of the two have had our version, and since when it looks as it does.

    `began` and the times given to its methods are seconds of one clock; `timeout`, `soak`, `grace`, `contains` and
    `newer` are those of `wait`.
    """

    target: Target
    wanted: Wanted
    began: float
    timeout: float
    soak: float
    grace: float
    contains: Asks | None = None
    newer: Asks | None = None
    look: Look = _NOTHING
    since: float = 0.0
    first: dict[str, Object] = field(default_factory=dict)
    arrived: set[str] = field(default_factory=set)

    def see(self, now: Snapshot, time: float) -> None:
        """Take in what the cluster holds at `time`."""
        service = f"InferenceService {self.target.namespace}/{self.target.inference_service}"
        application = f"Application {self.target.application_namespace}/{self.target.application}"
        looks = []
        if now.service is not None:
            looks.append(self._judged(service, now.service, lambda first: judge_service(now, first, self.wanted)))
        if now.application is not None:
            looks.append(self._judged(application, now.application, lambda first: self._application(now, first)))
        look = _worst(looks, looks[-1] if now.application is not None else None)
        if (look.state, look.patience) != (self.look.state, self.look.patience):
            self.since = time
        self.look = look

    def outcome(self, time: float) -> str:
        """The verdict's outcome at `time`, or "" while it is open. A soak that began in time may end after it."""
        state, late = self.look.state, time >= self.began + self.timeout
        if state == HEALTHY:
            return HEALTHY if time >= self.since + self.soak else ""
        if state in {DEGRADED, SUPERSEDED} and (late or time >= self.since + self.look.patience * self.grace):
            return state
        return TIMED_OUT if late else ""

    def left(self, time: float) -> float:
        """Seconds until time alone changes the outcome."""
        state, end = self.look.state, self.began + self.timeout
        if state == HEALTHY:
            end = self.since + self.soak
        elif state in {DEGRADED, SUPERSEDED}:
            end = min(end, self.since + self.look.patience * self.grace)
        return max(0.0, end - time)

    def _judged(self, name: str, found: Object, judge: Callable[[Object], Look]) -> Look:
        if not found and name in self.first:
            return Look(DEGRADED, f"{name} is gone: Argo CD prunes what Git no longer holds", GRACE)
        if not found:
            return Look(WAITING, f"{name} is not there; check its name and namespace")
        look = judge(self.first.setdefault(name, found))
        if look.state in {PROGRESS, HEALTHY, DEGRADED}:
            self.arrived.add(name)
        elif name in self.arrived:
            # It had our version, and has another one now; Git may not know yet what a revision holds.
            look = Look(SUPERSEDED, look.reason, look.patience if look.state == WAITING else 0.0)
        return replace(look, reason=f"{name}: {look.reason}")

    def _application(self, now: Snapshot, first: Object) -> Look:
        def contains(revision: str) -> bool:
            # Without anybody to ask, an InferenceService that has our version shows that such a revision was synced.
            asked = self.contains or (lambda _: self.wanted.named_by(storage_uri(now.service or {})))
            return revision == self.wanted.commit or asked(revision)

        newer, repository = self.newer or (lambda _: False), self.target.gitops_repo
        alone = now.service is None
        return judge_application(now.application or {}, first, self.wanted, repository, contains, newer, alone)


def _worst(looks: list[Look], application: Look | None) -> Look:
    """The look that counts: while Argo CD has not come to our version, nothing else tells of it."""
    for look in looks:
        if look.state == SUPERSEDED and not look.patience:
            return look
    if application and application.state == WAITING:
        return application
    return min(looks, key=lambda look: _ORDER.index(look.state))

"""How the looks follow one another, and when they add up to a verdict. Pure: the time is an argument."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from roadie.rollout.application import Asks, Beside, judge_application
from roadie.rollout.look import (
    BLOCKED,
    DEGRADED,
    HEALTHY,
    LONG,
    PROGRESS,
    SUPERSEDED,
    UNREADY,
    WAITING,
    Look,
    Object,
    Snapshot,
)
from roadie.rollout.service import judge_service, storage_uri
from roadie.rollout.target import Target, Wanted

TIMED_OUT = "timed-out"

_ORDER = (DEGRADED, SUPERSEDED, BLOCKED, UNREADY, PROGRESS, WAITING, HEALTHY)
_TRIED = {UNREADY, HEALTHY, DEGRADED}  # what a version does itself, good or bad
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
    tried: float | None = None
    served: bool = False
    replaced: str = ""
    held: bool = False
    first: dict[str, Object] = field(default_factory=dict)
    arrived: set[str] = field(default_factory=set)

    def see(self, now: Snapshot, time: float) -> None:
        """Take in what the cluster holds at `time`."""
        service = f"InferenceService {self.target.namespace}/{self.target.inference_service}"
        application = f"Application {self.target.application_namespace}/{self.target.application}"
        canary, looks = self.target.canary, []
        of_service: Look | None = None
        if now.service is not None:
            judge = lambda first: judge_service(now, first, self.wanted, canary)  # noqa: E731
            of_service = self._judged(service, now.service, judge)
            looks.append(of_service)
        if now.application is not None:
            there = of_service is not None and of_service.state in _TRIED
            beside = Beside(now.service is not None, there)
            looks.append(
                self._judged(application, now.application, lambda first: self._application(now, first, beside))
            )
        look = _worst(looks, looks[-1] if now.application is not None else None)
        self._take(look, time)

    def hear(self, replaced: str, time: float) -> None:
        """Take in what Git says at `time`: which version the branch holds in the place of ours, "" while it is ours."""
        self.replaced, self.held = replaced, not replaced
        self._take(self.look, time)

    @property
    def doubts(self) -> bool:
        """Whether the cluster looks as if another version had taken the place of ours, which Git would know."""
        return self.look.state == SUPERSEDED

    def outcome(self, time: float) -> str:
        """The verdict's outcome at `time`, or "" while it is open. A soak that began in time may end after it."""
        state, late = self.look.state, time >= self._end()
        if state == HEALTHY:
            return HEALTHY if time >= self.since + self.soak else ""
        if state in {DEGRADED, SUPERSEDED, BLOCKED} and (late or time >= self.since + self.look.patience * self.grace):
            return state
        if not late:
            return ""
        return TIMED_OUT if state == UNREADY else BLOCKED

    def left(self, time: float) -> float:
        """Seconds until time alone changes the outcome."""
        state, end = self.look.state, self._end()
        if state == HEALTHY:
            end = self.since + self.soak
        elif state in {DEGRADED, SUPERSEDED, BLOCKED}:
            end = min(end, self.since + self.look.patience * self.grace)
        return max(0.0, end - time)

    def _end(self) -> float:
        """When the time is up. A version that has only just come has its five graces, or as long as the timeout is."""
        end = self.began + self.timeout
        return end if self.tried is None or self.served else max(end, self.tried + min(self.timeout, LONG * self.grace))

    def _take(self, look: Look, time: float) -> None:
        if self.replaced:
            look = Look(SUPERSEDED, self.replaced)
        elif look.state == SUPERSEDED and self.held:
            # Git still has ours: the cluster is behind, or somebody has changed it by hand.
            look = Look(WAITING, f"{look.reason}, while Git holds {self.wanted.version}")
        if look.state in _TRIED and self.tried is None:
            self.tried = time
        self.served = self.served or look.state == HEALTHY
        if (look.state, look.patience) != (self.look.state, self.look.patience):
            self.since = time
        self.look = look

    def _judged(self, name: str, found: Object, judge: Callable[[Object], Look]) -> Look:
        if not found and name in self.first:
            return Look(BLOCKED, f"{name} is gone: somebody deleted it, or Argo CD pruned what Git no longer has", LONG)
        if not found:
            return Look(WAITING, f"{name} is not there; check its name and namespace")
        look = judge(self.first.setdefault(name, found))
        if look.state not in {WAITING, SUPERSEDED}:
            self.arrived.add(name)
        elif name in self.arrived:
            # It had our version, and has another one now; Git may not know yet what a revision holds.
            look = Look(SUPERSEDED, look.reason, look.patience if look.state == WAITING else 0.0)
        return replace(look, reason=f"{name}: {look.reason}")

    def _application(self, now: Snapshot, first: Object, beside: Beside) -> Look:
        def contains(revision: str) -> bool:
            # Without anybody to ask, an InferenceService that has our version shows that such a revision was synced.
            asked = self.contains or (lambda _: self.wanted.named_by(storage_uri(now.service or {})))
            return revision == self.wanted.commit or asked(revision)

        newer, repository = self.newer or (lambda _: False), self.target.gitops_repo
        return judge_application(now.application or {}, first, self.wanted, repository, contains, newer, beside)


def _worst(looks: list[Look], application: Look | None) -> Look:
    """The look that counts: while Argo CD has not come to our version, nothing else tells of it."""
    for look in looks:
        if look.state == SUPERSEDED and not look.patience:
            return look
    if application and application.state == WAITING:
        return application
    if application and application.aside and looks[0].state == HEALTHY:
        return replace(looks[0], reason=f"{looks[0].reason} ({application.reason})")
    return min(looks, key=lambda look: _ORDER.index(look.state))

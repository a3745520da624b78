"""Wait until the cluster serves a version, or until it is sure that it will not."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from http import HTTPStatus

from roadie.errors import RoadieError, RolloutError, UsageError
from roadie.rollout.application import Asks, revision
from roadie.rollout.cluster import PODS, Cluster, RefusedError, own_namespace
from roadie.rollout.course import TIMED_OUT, Course
from roadie.rollout.look import BLOCKED, DEGRADED, HEALTHY, SUPERSEDED, Snapshot, at
from roadie.rollout.mirror import INTERVAL
from roadie.rollout.mirrors import Mirrors
from roadie.rollout.target import Target, Verdict, Wanted

LOG_LINES, LOG_SIZE = 20, 2_000  # what is kept of a failing container's log
SOAK = 60.0  # seconds; half of the model servers that crash do so within the first
ASK = 30.0  # seconds between two questions to Git


def _say(line: str) -> None:
    print(line, flush=True)


def wait(
    target: Target,
    wanted: Wanted,
    *,
    timeout: float,
    soak: float = SOAK,
    grace: float = 60.0,
    contains: Asks | None = None,
    newer: Asks | None = None,
    replaced: Callable[[], str] | None = None,
    say: Callable[[str], None] = _say,
) -> Verdict:
    """Wait until the cluster serves a version, or until it is sure that it will not.

    Args:
        target: The InferenceService, the Application, or both. What the cluster does not know is left out.
        wanted: The version.
        timeout: Seconds in which it must come to serve; a soak that began in time may end later. A version that came to
            the InferenceService only shortly before that has five graces, or as long again as the timeout.
        soak: Seconds for which it must go on serving; any relapse begins them anew.
        grace: Seconds for which a failure that may pass by itself must last before it counts. What a kubelet tries
            again by itself (a pull, a crash) must last a third of it or come three times; what is second-hand (what
            KServe makes of a pod), or that others may mend (a pod without a node, an InferenceService that is gone,
            another version than ours before ours has come), must last five times as long.
        contains: Whether a Git revision is the commit that asked for the version, or a descendant that still holds
            it. Without it only the commit itself is, or any revision while the InferenceService has the version.
        newer: Whether a Git revision descends from that commit, whatever it holds.
        replaced: What the branch holds in the place of the version, as a clause; "" while it holds the version. Asked
            at the start, twice a minute, when the cluster shows another version, and before a version is given up.
        say: Told a line at each change.

    Returns:
        The verdict; that of a target without names is ``skipped``.

    Raises:
        UsageError: `wanted` names neither a version nor a digest.
        RolloutError: the cluster refuses to be asked, knows neither Argo CD nor KServe, or could not be reached at the
            end. Nothing is then known about the version.
    """
    if not (target.inference_service or target.application):
        return Verdict("skipped", "no InferenceService and no Application was named: there is no rollout to wait for")
    if not (wanted.version or wanted.all_digests):
        raise UsageError("there is nothing to wait for: name a version or a digest")
    target = replace(target, namespace=target.namespace or own_namespace())
    cluster, began, heard = Cluster(), time.monotonic(), _Heard(say)
    course = Course(target, wanted, began, timeout, soak, grace, contains, newer)
    branch = _Branch(course, replaced, began)
    if not target.inference_service:
        say("only Argo CD is asked, which sees no pods: name the InferenceService to have failures noticed")
    with Mirrors(cluster, target) as mirrors:
        while True:
            trouble = mirrors.trouble()
            if not trouble:
                try:
                    course.see(mirrors.snapshot(), time.monotonic())
                    branch.ask(time.monotonic())
                except RoadieError as error:  # Git cannot be asked right now
                    trouble = str(error)
            now = time.monotonic()
            heard.tell(mirrors.remarks(), trouble or course.look.reason)
            if trouble and now >= began + timeout:
                raise RolloutError(f"after {timeout:g} s nothing is known about {wanted.version}: {trouble}")
            if not trouble and (outcome := course.outcome(now)):
                return _verdict(cluster, course, outcome, mirrors.snapshot())
            mirrors.wait(min(INTERVAL, began + timeout - now) if trouble else min(course.left(now), branch.left(now)))


class _Branch:
    """Asks Git what the branch holds by now, and tells the course."""

    def __init__(self, course: Course, replaced: Callable[[], str] | None, began: float) -> None:
        self._course, self._replaced, self._next = course, replaced, began

    def ask(self, now: float) -> None:
        """Ask when it is time, and whenever the answer decides. Raises what `replaced` does: Git may be away."""
        decides = self._course.doubts or self._course.outcome(now) not in {"", HEALTHY}
        if self._replaced and (decides or now >= self._next):
            self._course.hear(self._replaced(), now)
            self._next = now + ASK

    def left(self, now: float) -> float:
        """Seconds until it asks again."""
        return max(0.0, self._next - now) if self._replaced else float("inf")


class _Heard:
    """Says each remark once, and a reason when it is not the one before."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._remarks, self._last = say, set[str](), ""

    def tell(self, remarks: Iterable[str], reason: str) -> None:
        new = [remark for remark in remarks if remark not in self._remarks]
        self._remarks.update(new)
        for line in new + [reason] * (reason != self._last):
            self._say(line)
        self._last = reason


def _verdict(cluster: Cluster, course: Course, outcome: str, last: Snapshot) -> Verdict:
    reason, target = course.look.reason, course.target
    if outcome == TIMED_OUT or (outcome == BLOCKED != course.look.state):
        reason = f"{reason}; that is where it stood after {course.timeout:g} s"
    if outcome == BLOCKED and reason.startswith(f"Application {target.application_namespace}/{target.application}: "):
        reason += ". Is automated sync on, and does a Git webhook tell Argo CD of commits?" * (not course.arrived)
    if outcome == SUPERSEDED:
        reason = f"another version took the place of {course.wanted.version}: {reason}"
    logs = _logs(cluster, course) if outcome == DEGRADED and all(course.look.failing) else ""
    address = str(at(last.service, "status.address.url") or "") if not target.canary else ""
    return Verdict(outcome, reason, time.monotonic() - course.began, revision(last.application), logs, address)


def _logs(cluster: Cluster, course: Course) -> str:
    """The end of the failing container's log: of its last life when that is over, else of this one."""
    pod, container = course.look.failing
    for previous in ("true", "false"):
        query = {"container": container, "tailLines": LOG_LINES, "previous": previous}
        try:
            log = cluster.ask("get", PODS, course.target.namespace, f"{pod}/log", **query).data
        except RefusedError as error:
            if error.status == HTTPStatus.FORBIDDEN:
                return str(error)
            continue
        if log:
            return str(log.decode(errors="replace"))[-LOG_SIZE:]
    return ""

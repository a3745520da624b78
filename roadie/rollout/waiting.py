"""Wait until the cluster serves a version, or until it is sure that it will not."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from http import HTTPStatus

from roadie.errors import RoadieError, RolloutError, UsageError
from roadie.rollout.application import Asks, revision
from roadie.rollout.cluster import PODS, Cluster, RefusedError, own_namespace
from roadie.rollout.course import TIMED_OUT, Course
from roadie.rollout.look import DEGRADED, SUPERSEDED
from roadie.rollout.mirror import INTERVAL
from roadie.rollout.mirrors import Mirrors
from roadie.rollout.target import Target, Verdict, Wanted

LOG_LINES, LOG_SIZE = 20, 2_000  # what is kept of a failing container's log


def _say(line: str) -> None:
    print(line, flush=True)


def wait(
    target: Target,
    wanted: Wanted,
    *,
    timeout: float,
    soak: float = 0.0,
    grace: float = 60.0,
    contains: Asks | None = None,
    newer: Asks | None = None,
    say: Callable[[str], None] = _say,
) -> Verdict:
    """Wait until the cluster serves a version, or until it is sure that it will not.

    Args:
        target: The InferenceService, the Application, or both. What the cluster does not know is left out.
        wanted: The version.
        timeout: Seconds in which it must come to serve; a soak that began in time may end later.
        soak: Seconds for which it must go on serving; any relapse begins them anew.
        grace: Seconds for which a failure that may pass by itself must last before it counts. What a kubelet tries
            again by itself (a pull, a crash) must last a third of it or come three times; what is second-hand (the
            health that Argo CD tells beside an InferenceService, a pod without a node, another version than ours
            before ours has come) must last five times as long.
        contains: Whether a Git revision is the commit that asked for the version, or a descendant that still holds
            it. Without it only the commit itself is, or any revision while the InferenceService has the version.
        newer: Whether a Git revision descends from that commit, whatever it holds.
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
    with Mirrors(cluster, target) as mirrors:
        while True:
            trouble = mirrors.trouble()
            if not trouble:
                try:
                    course.see(mirrors.snapshot(), time.monotonic())
                except RoadieError as error:  # Git cannot be asked right now
                    trouble = str(error)
            now = time.monotonic()
            heard.tell(mirrors.remarks(), trouble or course.look.reason)
            if trouble and now >= began + timeout:
                raise RolloutError(f"after {timeout:g} s nothing is known about {wanted.version}: {trouble}")
            if not trouble and (outcome := course.outcome(now)):
                return _verdict(cluster, course, outcome, revision(mirrors.snapshot().application))
            mirrors.wait(min(INTERVAL, began + timeout - now) if trouble else course.left(now))


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


def _verdict(cluster: Cluster, course: Course, outcome: str, revision: str) -> Verdict:
    reason = course.look.reason
    if outcome == TIMED_OUT:
        reason = f"{reason}; that is where it stood after {course.timeout:g} s"
    if outcome == SUPERSEDED:
        reason = f"another version took the place of {course.wanted.version}: {reason}"
    logs = _logs(cluster, course) if outcome == DEGRADED and all(course.look.failing) else ""
    return Verdict(outcome, reason, time.monotonic() - course.began, revision, logs)


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

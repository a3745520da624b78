"""What an Argo CD Application says of our version.

An Application may have the GitOps repository as a source; then the revision that it synced must contain our commit.
Or it may be the child in an app of apps: its source is the chart's repository, and the version stands in the values
that its parent gives it. Then our version must be in these values, and in those that Argo CD compared with.

An Application never shows that a version is bad beside an InferenceService, which knows better: what Argo CD cannot
render, sync or see as healthy blocks the version, and is no failure of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from roadie.rollout import sources
from roadie.rollout.look import (
    BLOCKED,
    DEGRADED,
    GRACE,
    HEALTHY,
    LONG,
    PROGRESS,
    SUPERSEDED,
    UNREADY,
    WAITING,
    Look,
    Object,
    at,
    items,
    told,
)
from roadie.rollout.target import Wanted

Asks = Callable[[str], bool]
_SKIPS = "argocd.argoproj.io/skip-reconcile"


@dataclass(frozen=True)
class Beside:
    """Whether an InferenceService is watched beside the Application, and whether it has our version."""

    watched: bool = False
    arrived: bool = False


def judge_application(
    now: Object, first: Object, wanted: Wanted, repository: str, contains: Asks, newer: Asks, beside: Beside
) -> Look:
    """What an Application that is there says of our version.

    Args:
        now: The Application.
        first: The Application as it was at the start.
        wanted: Our version.
        repository: The GitOps repository; may be empty.
        contains: Whether a revision is our commit, or a descendant that still holds our version.
        newer: Whether a revision descends from our commit, whatever it holds.
        beside: What is known of an InferenceService, which tells of the version's failures sooner and more surely.
    """
    found, revisions = sources.of(at(now, "spec")), _revisions(now)
    held = sources.held(found)
    of_repository = [each for each, source in zip(revisions, found, strict=False) if sources.same(source, repository)]
    by_values = bool(held) and not of_repository
    if by_values:
        missing = _by_values(held, sources.held(sources.of(at(now, "status.sync.comparedTo"))), first, wanted)
    else:
        missing = _by_commit([each for each in of_repository or revisions if each], wanted, contains, newer)
    if missing:
        waits = missing.state == WAITING
        return replace(missing, reason=told(missing.reason, *_errors(now)[:1], _paused(now))) if waits else missing
    return next(look for look in _looks(now, first, beside, wanted if by_values else None) if look)


def revision(application: Object | None) -> str:
    """What the Application was compared with last: a commit, or several with commas between."""
    return ",".join(_revisions(application))


def _revisions(application: Object | None) -> list[str]:
    sync = at(application, "status.sync") or {}
    return sync.get("revisions") or [sync.get("revision") or ""]


def _errors(now: Object) -> list[str]:
    """What Argo CD complains of: a comparison that failed, a chart that does not render, a spec that is invalid."""
    conditions = items(now, "status.conditions")
    return [str(each.get("message")) for each in conditions if str(each.get("type")).endswith("Error")]


def _paused(now: Object) -> str:
    """What keeps Argo CD from syncing by itself; "" when nothing does."""
    automated = at(now, "spec.syncPolicy.automated")
    if (at(now, "metadata.annotations") or {}).get(_SKIPS) == "true":
        return f"its annotation {_SKIPS} keeps Argo CD from looking at it"
    return "its automated sync is off" if automated is None or automated.get("enabled") is False else ""


def _by_commit(revisions: list[str], wanted: Wanted, contains: Asks, newer: Asks) -> Look | None:
    """Why the commit has not come to the Application yet, or another has come after it; None when it is there."""
    if not wanted.commit or any(map(contains, revisions)):
        return None
    where = ", ".join(each[:12] for each in revisions) or "no revision"
    if any(map(newer, revisions)):
        return Look(SUPERSEDED, f"it is at {where}, which comes after {wanted.commit[:12]} with another version")
    return Look(WAITING, f"it is at {where}, not yet at {wanted.commit[:12]}", LONG)


def _by_values(held: dict[str, str], compared: dict[str, str], first: Object, wanted: Wanted) -> Look | None:
    """The same for a version that stands in the Application's own values."""
    old = sources.held(sources.of(at(first, "spec")))
    if sources.name(held, wanted):
        if sources.name(compared, wanted):
            return None
        return Look(PROGRESS, "Argo CD has yet to compare its new values with the cluster")
    values = ", ".join(f"{path} {value}" for path, value in held.items())
    if old and not old.items() & held.items():
        return Look(SUPERSEDED, f"its values have {values}, which is neither ours nor what it was", LONG)
    return Look(WAITING, f"its values have {values}")


def _looks(now: Object, first: Object, beside: Beside, by_values: Wanted | None) -> Iterator[Look | None]:
    """What is wrong or missing in an Application that has our version, the worst first; at last that nothing is."""
    where = f"at {revision(now)[:12]}"
    yield _refused(now, where, by_values)
    yield _running(now, where)
    status, health = at(now, "status.sync.status"), at(now, "status.health.status")
    errors = _errors(now)
    if status != "Synced" and errors:
        # Beside an InferenceService that has our version, Argo CD has done its part, whatever it cannot do now.
        state = PROGRESS if beside.arrived else BLOCKED
        yield Look(state, told(f"it is {status} {where}", errors[0]), GRACE, aside=True)
    differs = f"it is {status} {where}"
    if status != "Synced":
        differs = told(differs, ", ".join(_out_of_sync(now)), _paused(now))
        if beside.watched or not (_applied(now, by_values) and health == "Healthy"):
            yield Look(PROGRESS, differs, aside=True)
    yield _unhealthy(now, first, where, beside)
    yield Look(HEALTHY, f"it is Synced {where} and Healthy" if status == "Synced" else f"{differs}, and Healthy")


def _refused(now: Object, where: str, by_values: Wanted | None) -> Look | None:
    """A sync of our version that failed, or that Argo CD tries again: its phase stays Running then."""
    operation = at(now, "status.operationState") or {}
    failed = operation.get("phase") in {"Failed", "Error"}
    if not (failed or (operation.get("phase") == "Running" and operation.get("retryCount"))):
        return None
    result, asked = operation.get("syncResult") or {}, at(operation, "operation.sync") or {}
    if by_values:
        synced = sources.held(sources.of(result)) or sources.held(sources.of(asked))
        about_ours = not synced or sources.name(synced, by_values)
    else:
        about_ours = (result.get("revision") or asked.get("revision")) in {None, at(now, "status.sync.revision")}
    if not about_ours:
        return None
    what = [
        told(f"{each.get('kind')} {each.get('name')}", each.get("message"))
        for each in items(result, "resources")
        if each.get("status") == "SyncFailed"
    ]
    tried = "failed" if failed else f"is refused, and tried again (attempt {operation['retryCount']})"
    reason = told(f"its sync {where} {tried}", *(what[:1] or [str(operation.get("message") or "")]))
    return Look(BLOCKED, reason, GRACE, aside=True)


def _running(now: Object, where: str) -> Look | None:
    """An operation under way. One that heals what differs from Git is no part of a rollout, and may never end."""
    operation = at(now, "status.operationState") or {}
    if not (now.get("operation") or operation.get("phase") in {"Running", "Terminating"}):
        return None
    asked = at(now, "operation.sync") or at(operation, "operation.sync") or {}
    heals = bool(asked.get("autoHealAttemptsCount"))
    return Look(PROGRESS, told(f"its sync {where} is running", operation.get("message")), aside=heals)


def _out_of_sync(now: Object) -> list[str]:
    return [
        f"{each.get('kind')} {each.get('name')}"
        for each in items(now, "status.resources")
        if each.get("status") not in {"Synced", None}
    ]


def _applied(now: Object, by_values: Wanted | None) -> bool:
    """Whether the last sync was one of what the Application was compared with, and went well."""
    operation = at(now, "status.operationState") or {}
    result = operation.get("syncResult") or {}
    if operation.get("phase") != "Succeeded":
        return False
    if by_values:
        return sources.name(sources.held(sources.of(result)), by_values)
    return bool(result.get("revision")) and result.get("revision") == at(now, "status.sync.revision")


def _unhealthy(now: Object, first: Object, where: str, beside: Beside) -> Look | None:
    """What Argo CD makes of the health; since 3.0 it does not say of which resource (`resourceHealthSource`)."""
    health = at(now, "status.health.status")
    if health == "Healthy":
        return None
    bad = [each for each in items(now, "status.resources") if at(each, "health.status") == health]
    which = [told(f"{each.get('kind')} {each.get('name')}", at(each, "health.message")) for each in bad[:1]]
    reason = told(f"it is {health} {where}", *which, *_errors(now)[:1])
    if beside.watched:
        return Look(PROGRESS, reason, aside=True)
    # What was so before our version, or may be another thing than the model, is not held against it.
    models = any(each.get("kind") == "InferenceService" for each in bad)
    if health == "Degraded":
        before = at(first, "status.health.status") == "Degraded"
        return Look(DEGRADED if models and not before else BLOCKED, reason, GRACE)
    return Look(UNREADY if models and health == "Progressing" else PROGRESS, reason)

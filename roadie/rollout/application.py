"""What an Argo CD Application says of our version.

An Application may have the GitOps repository as a source; then the revision that it synced must contain our commit.
Or it may be the child in an app of apps: its source is the chart's repository, and the version stands in the values
that its parent gives it. Then our version must be in these values, and in those that Argo CD compared with.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from roadie.rollout.look import (
    DEGRADED,
    GRACE,
    HEALTHY,
    LONG,
    PROGRESS,
    SUPERSEDED,
    WAITING,
    Look,
    Object,
    at,
    items,
    told,
)
from roadie.rollout.target import Wanted

Asks = Callable[[str], bool]


def judge_application(
    now: Object, first: Object, wanted: Wanted, repository: str, contains: Asks, newer: Asks, alone: bool
) -> Look:
    """What an Application that is there says of our version.

    Args:
        now: The Application.
        first: The Application as it was at the start.
        wanted: Our version.
        repository: The GitOps repository; may be empty.
        contains: Whether a revision is our commit, or a descendant that still holds our version.
        newer: Whether a revision descends from our commit, whatever it holds.
        alone: Whether there is no InferenceService that would tell of failures sooner and more surely.
    """
    sources, revisions = _sources(at(now, "spec")), _revisions(now)
    held = _held(sources)
    of_repository = [found for found, source in zip(revisions, sources, strict=False) if _is(source, repository)]
    if held and not of_repository:
        missing = _by_values(held, _held(_sources(at(now, "status.sync.comparedTo"))), first, wanted)
    else:
        missing = _by_commit([each for each in of_repository or revisions if each], wanted, contains, newer)
    if missing and missing.state == WAITING:
        errors = [each for each in items(now, "status.conditions") if str(each.get("type")).endswith("Error")]
        return replace(missing, reason=told(missing.reason, *(each.get("message") for each in errors[:1])))
    return missing or next(look for look in _looks(now, alone) if look)


def revision(application: Object | None) -> str:
    """What the Application was compared with last: a commit, or several with commas between."""
    return ",".join(_revisions(application))


def _revisions(application: Object | None) -> list[str]:
    sync = at(application, "status.sync") or {}
    return sync.get("revisions") or [sync.get("revision") or ""]


def _sources(tree: Object | None) -> list[Object]:
    return at(tree, "sources") or [at(tree, "source") or {}]


def _is(source: Object, repository: str) -> bool:
    """Whether a source is of a repository; scheme, user, `.git` and the host's case do not matter in an address."""
    plain = (
        re.sub(r"^(\w+://)?([^@/]*@)?|(\.git)?/*$", "", address or "").replace(":", "/").lower()
        for address in (source.get("repoURL"), repository)
    )
    return bool(repository) and len(set(plain)) == 1


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
    ours, old = {wanted.version, *wanted.all_digests}, _held(_sources(at(first, "spec")))
    if ours.intersection(held.values()):
        if ours.intersection(compared.values()):
            return None
        return Look(PROGRESS, "Argo CD has yet to compare its new values with the cluster")
    values = ", ".join(f"{path} {value}" for path, value in held.items())
    if old and not old.items() & held.items():
        return Look(SUPERSEDED, f"its values have {values}, which is neither ours nor what it was", LONG)
    return Look(WAITING, f"its values have {values}")


def _held(sources: list[Object]) -> dict[str, str]:
    """The versions and digests in the Helm values of sources, by their path."""
    import yaml

    found: list[tuple[str, str]] = []
    for helm in (source.get("helm") or {} for source in sources):
        with contextlib.suppress(yaml.YAMLError):  # Argo CD complains of it in the Application's conditions
            found += _leaves(yaml.safe_load(helm.get("values") or ""))
        found += _leaves(helm.get("valuesObject"))
        found += [(str(each.get("name")), str(each.get("value"))) for each in helm.get("parameters") or []]
    return {path: value for path, value in found if value and path.rpartition(".")[2] in {"version", "digest"}}


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, Mapping | list):
        for key, value in tree.items() if isinstance(tree, Mapping) else enumerate(tree):
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, str(tree or "")


def _looks(now: Object, alone: bool) -> Iterator[Look | None]:
    """What is wrong or missing in an Application that has our version, the worst first; at last that nothing is."""
    operation, where = at(now, "status.operationState") or {}, f"at {revision(now)[:12]}"
    phase, message = operation.get("phase", "Succeeded"), operation.get("message")
    synced = at(operation, "syncResult.revision") or at(operation, "operation.sync.revision")
    status, health = at(now, "status.sync.status"), at(now, "status.health.status")
    if now.get("operation") or phase in {"Running", "Terminating"}:
        yield Look(PROGRESS, told(f"its sync {where} is running", message))
    if phase in {"Failed", "Error"} and synced in {None, at(now, "status.sync.revision")}:
        yield Look(DEGRADED, told(f"its sync {where} failed", message), GRACE)
    if status != "Synced":
        yield Look(PROGRESS, f"it is {status} {where}")
    bad = [each for each in items(now, "status.resources") if at(each, "health.status") == health]
    which = [told(f"{each.get('kind')} {each.get('name')}", at(each, "health.message")) for each in bad[:1]]
    if health == "Degraded":
        yield Look(DEGRADED, told(f"it is Degraded {where}", *which), GRACE if alone else LONG)
    if health != "Healthy":
        yield Look(PROGRESS, told(f"it is {health} {where}", *which))
    yield Look(HEALTHY, f"it is Synced {where} and Healthy")

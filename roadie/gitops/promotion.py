"""Carry a model's version on to the next environment, and take it back from one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from roadie.errors import GitOpsError, UsageError
from roadie.gitops.access import Access
from roadie.gitops.bump import Bumped, bump
from roadie.gitops.edits import Edit, UnexpectedValueError
from roadie.gitops.environments import APP_OF_APPS, Deployment, Layout, deployment_of
from roadie.gitops.history import DIGEST, ENVIRONMENT, MODEL, PROMOTED_FROM, REASON, ROLLED_BACK, VERSION, identity
from roadie.gitops.past import Row, identity_of, past_of, standing, was_rolled_back_to
from roadie.gitops.patience import CLOCK, PATIENCE, Clock, Patience
from roadie.gitops.repository import HISTORY, Repository


def promote(
    repo: str,
    model: str,
    *,
    source: str = "test",
    target: str = "stage",
    branch: str = "main",
    version: str = "",
    replacing: str = "",
    layout: Layout = APP_OF_APPS,
    resolve: Callable[[str], str | None] | None = None,
    access: Access | None = None,
    budget: float = PATIENCE,
    clock: Clock = CLOCK,
    **options: Any,
) -> Bumped:
    """Set in `target` exactly the version and digest that `source` holds; `options` are those of bump.

    Nothing is changed when `source` holds another version than `version` by now (empty: any will do). `replacing` is
    the version that is expected in `target`; where another one is by now, that is an error. `resolve` asks the registry
    which digest a version has: the version must be there, and still be the same image.

    Raises:
        GitOpsError: `source` holds no version, the registry does not have it, or its tag was moved since.
    """
    if source == target:
        raise UsageError(f"{source} cannot be promoted to itself; name another environment")
    with Repository(repo, branch, access, Patience(budget, clock)) as repository:
        tip = repository.fetch(HISTORY)
        held = deployment_of(repository, tip, source, model, layout)
    if not held:
        raise GitOpsError(f"{source} in {repository.name} holds no version of {model}; deploy one there first")
    if version and held.version != version:
        reason = f"{source} holds {held.version} by now, not {version}"
        return Bumped(False, tip, branch, reason=reason, withheld=True)
    digest = _same_digest(held, resolve) if resolve else held.digest
    trailers = {
        **identity(held.trailers),
        MODEL: model,
        ENVIRONMENT: target,
        VERSION: held.version,
        **({DIGEST: digest} if digest else {}),
        PROMOTED_FROM: f"{source}@{held.commit}",
        **options.pop("trailers", {}),
    }
    message = options.pop("message", "") or f"Promote {model} {held.version} from {source} to {target}"
    edits = edits_for(layout.file_of(target), layout.key_of(model), held.version, digest, expected=replacing or None)
    options |= {"access": access, "budget": budget, "clock": clock}
    done = bump(repo, edits, branch=branch, message=message, trailers=trailers, **options)
    return replace(done, version=held.version, digest=digest)


def rollback(
    repo: str,
    model: str,
    environment: str,
    *,
    bad: str = "",
    reason: str = "",
    branch: str = "main",
    layout: Layout = APP_OF_APPS,
    access: Access | None = None,
    budget: float = PATIENCE,
    clock: Clock = CLOCK,
    **options: Any,
) -> Bumped:
    """Set a model back to its last version before `bad` (the current one when empty) that was not itself rolled back.

    It is a new commit, which says why and keeps `bad` from being deployed again by itself. When `bad` is not current
    any more, nothing is changed. `options` are those of bump.

    Raises:
        GitOpsError: the current version was itself set by a rollback, or there is no version to go back to.
    """
    file, key = layout.file_of(environment), layout.key_of(model)
    with Repository(repo, branch, access, Patience(budget, clock)) as repository:
        tip = repository.fetch(HISTORY)
        past = past_of(repository, tip, file, lambda past: bool(standing(past.rows(f"{key}.version"), "version").good))
        rows = past.rows(f"{key}.version")
        current = rows[0].value if rows else None
        if not current:
            raise GitOpsError(
                f"{environment} in {repository.name} holds no version of {model}; there is nothing to roll back"
            )
        bad = bad or current
        if current != bad:
            return Bumped(False, tip, branch, reason=f"{environment} holds {current} by now, not {bad}")
        good = _last_good(rows, model, environment)
        known = identity_of(past, key, rows, good)
    edits = edits_for(file, key, good, known.digest, expected=bad)
    trailers = {
        **known.trailers,
        MODEL: model,
        ENVIRONMENT: environment,
        VERSION: good,
        ROLLED_BACK: f"{file}:{key}.version={bad}",
        **({REASON: reason} if reason else {}),
        **options.pop("trailers", {}),
    }
    message = options.pop("message", "") or f"Roll {model} in {environment} back from {bad} to {good}"
    options |= {"access": access, "budget": budget, "clock": clock}
    try:
        return bump(repo, edits, branch=branch, message=message, trailers=trailers, again=True, **options)
    except UnexpectedValueError as moved:
        return Bumped(False, tip, branch, reason=str(moved))


def edits_for(file: str, key: str, version: str, digest: str, expected: str | None = None) -> list[Edit]:
    """What deploying a version sets under `key`, the map that holds it; `expected` is the version that it replaces."""
    return [
        # A map without a version deploys none yet; a map that is not there is somebody's mistake, and is refused.
        Edit(file, f"{key}.version", version, create_missing=True, expected=expected),
        # An empty digest takes away that of another version.
        Edit(file, f"{key}.digest", digest, only_if_present=True),
    ]


def _same_digest(held: Deployment, resolve: Callable[[str], str | None]) -> str:
    digest = resolve(held.version)
    if digest is None:
        raise GitOpsError(f"the registry has no image of {held.model} {held.version}; push it again, or deploy another")
    if held.digest and digest != held.digest:
        raise GitOpsError(
            f"{held.model} {held.version} is {digest} in the registry, but {held.environment} holds {held.digest};"
            " the tag was moved, so deploy this version anew before it is promoted"
        )
    return digest


def _last_good(rows: Sequence[Row], model: str, environment: str) -> str:
    """The version to go back to from the newest of `rows`."""
    bad = rows[0].value
    if was_rolled_back_to(rows[0]):
        raise GitOpsError(f"{environment} was rolled back to {bad}; deploy a version that works instead of going on")
    good = standing(rows, "version").good
    if not good:
        raise GitOpsError(
            f"{environment} has had no version before {bad} that {model} could go back to;"
            " deploy another, or take the model out of the values file"
        )
    return good[0]

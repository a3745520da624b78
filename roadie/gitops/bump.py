"""Set values in a GitOps repository by one commit, whoever else pushes meanwhile."""

import os
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from roadie.errors import GitOpsError, UsageError
from roadie.gitops.access import Access
from roadie.gitops.checks import check_trailers
from roadie.gitops.edits import Edit, Plan, compose, plan
from roadie.gitops.failures import LostRaceError, UnreachableError
from roadie.gitops.history import judge
from roadie.gitops.proposal import Proposal, propose
from roadie.gitops.repository import Repository
from roadie.gitops.signature import Signature

_MISSES = 3  # how often in a bump a server may be away


@dataclass(frozen=True)
class Bumped:
    """What a bump did; `commit` is the new one, or when not `changed` the one that is there, and `reason` says why.

    `branch` is the one that was pushed to: with a `review` (its URL) the review's own.
    """

    changed: bool
    commit: str
    branch: str
    files: tuple[str, ...] = ()
    review: str | None = None
    diff: str = ""
    reason: str = ""


def bump(
    repo: str,
    edits: Sequence[Edit],
    *,
    branch: str = "main",
    message: str = "",
    trailers: Mapping[str, str] = {},
    author: str = "",
    signing_key: str = "",
    again: bool = False,
    proposal: Proposal | None = None,
    access: Access | None = None,
    budget: float = 120.0,
) -> Bumped:
    """Set all `edits` in one commit on `branch` of `repo` (a path or URL) and push it, or open a review (`proposal`).

    A lost race is answered by fetching and editing anew until `budget` seconds are over. No commit is made where the
    values are there already, or where a run with a later `Roadie-Started` among its trailers has set one of them.
    A version that was rolled back is refused, unless `again`. `signing_key` is a GPG key's id or an SSH key's file,
    from GIT_SIGNING_KEY when empty; a commit that cannot be signed is not made.

    Raises:
        UsageError: a value, file, branch, URL, message or trailer is not acceptable; nothing was tried.
        GitOpsError: nothing was pushed; the message says why and what to do.
    """
    if not edits:
        raise UsageError("there is nothing to set; give at least one edit")
    check_trailers(trailers)
    signature = Signature(author, signing_key or os.environ.get("GIT_SIGNING_KEY", ""))
    ours, misses = "", 0
    with Repository(repo, branch, access) as repository:
        for _ in tries(budget):
            try:
                tip = repository.fetch()
                if ours and repository.contains(ours, tip):
                    break
                todo = plan(repository, tip, edits)
                nothing = _nothing_to_do(repository, tip, todo, trailers, again)
                if nothing:
                    return nothing
                text = compose(message, todo.edits, trailers)
                if proposal:
                    made = propose(proposal, repository, tip, todo, text, signature)
                    return Bumped(made.pushed, made.commit, made.branch, _files(todo), made.url, made.diff, made.reason)
                ours = repository.commit(tip, todo.files, text, signature)
                repository.push(ours)
                break
            except LostRaceError as error:
                lost: GitOpsError = error
            except UnreachableError as error:
                # The push may have landed nevertheless: the next look at the branch tells.
                lost, misses = error, misses + 1
                if misses == _MISSES:
                    raise
        else:
            raise GitOpsError(f"gave up after {budget:.0f} s: {lost}")
        return Bumped(True, ours, branch, _files(todo), diff=repository.diff(f"{ours}^", ours))


def _nothing_to_do(
    repository: Repository, tip: str, todo: Plan, trailers: Mapping[str, str], again: bool
) -> Bumped | None:
    """The outcome when no commit is to be made; None when one is."""
    if not todo.files:
        return Bumped(False, tip, repository.branch, reason="the values are there already")
    verdict = judge(repository.log(tip), todo.records, trailers, again=again)
    if verdict and verdict.refused:
        raise GitOpsError(verdict.reason)
    return Bumped(False, verdict.commit, repository.branch, reason=verdict.reason) if verdict else None


def _files(todo: Plan) -> tuple[str, ...]:
    return tuple(sorted(todo.files))


def tries(budget: float) -> Iterator[int]:
    """Count tries until `budget` seconds are over, waiting between them for longer and longer, at random.

    The wait grows with the time that a try takes, so that many who race for one branch spread out.
    """
    start = time.monotonic()
    number, began = 0, start
    while True:
        yield number
        number += 1
        now = time.monotonic()
        wait = random.uniform(0, min(now - began, 2.0) * min(2**number, 16))  # noqa: S311 - jitter
        if now - start + wait > budget:
            return
        time.sleep(wait)
        began = time.monotonic()

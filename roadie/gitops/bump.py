"""Set values in a GitOps repository by one commit, whoever else pushes meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from roadie.errors import GitOpsError, UsageError
from roadie.gitops.access import Access
from roadie.gitops.checks import check_trailers
from roadie.gitops.edits import Edit, UnexpectedValueError, compose, plan
from roadie.gitops.failures import LostRaceError, RefusedError, UnreachableError
from roadie.gitops.past import Past
from roadie.gitops.patience import CLOCK, PATIENCE, Clock, Patience
from roadie.gitops.repository import HISTORY, Repository
from roadie.gitops.signature import Signature
from roadie.gitops.verdict import Verdict, judge, suspicious

if TYPE_CHECKING:
    from roadie.gitops.proposal import Proposal


@dataclass(frozen=True)
class Bumped:
    """What a bump did; `commit` is the new one, or when not `changed` the one that is there, and `reason` says why.

    `branch` is the one that was pushed to: with a `review` (its URL) the review's own. `in_place` tells whether the
    deployed branch holds the values now, `version` and `digest` what a deployment was about. `withheld` tells that the
    values were not set although nothing is wrong with them: somebody else has the last word. Whoever asked has to know.
    """

    changed: bool
    commit: str
    branch: str
    files: tuple[str, ...] = ()
    review: str | None = None
    diff: str = ""
    reason: str = ""
    in_place: bool = False
    version: str = ""
    digest: str = ""
    withheld: bool = False


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
    proposal: "Proposal | None" = None,
    access: Access | None = None,
    budget: float = PATIENCE,
    clock: Clock = CLOCK,
) -> Bumped:
    """Set all `edits` in one commit on `branch` of `repo` (a path or URL) and push it, or open a review (`proposal`).

    A lost race is answered by fetching and editing anew, and a server that is away is waited for, until `budget`
    seconds are over; then the branch is looked at once more. No commit is made where the
    values are there already, or where a run with a later `Roadie-Started` among its trailers has set one of them.
    A version that was rolled back is refused, unless `again`. `signing_key` is a GPG key's id or an SSH key's file,
    from GIT_SIGNING_KEY when empty; a commit that cannot be signed is not made. GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL,
    GIT_SIGN_OFF and GIT_COMMIT_SUBJECT say what else a host's rules ask of a commit.

    Raises:
        UsageError: a value, file, branch, URL, message or trailer is not acceptable; nothing was tried.
        GitOpsError: nothing was pushed, or (the message says so) whether it was cannot be told; why, and what to do.
    """
    if not edits:
        raise UsageError("there is nothing to set; give at least one edit")
    signature = Signature.from_environment(author, signing_key)
    wish = _Wish(tuple(edits), message, check_trailers(trailers), signature, again, proposal)
    with Repository(repo, branch, access, Patience(budget, clock)) as repository:
        return _until_it_lands(repository, wish)


@dataclass(frozen=True)
class _Wish:
    """What bump was asked for."""

    edits: tuple[Edit, ...]
    message: str
    trailers: Mapping[str, str]
    signature: Signature
    again: bool
    proposal: "Proposal | None"


def _until_it_lands(repository: Repository, wish: _Wish) -> Bumped:
    made: Bumped | None = None
    number, patience = 0, repository.patience
    while True:
        began = patience.now()
        try:
            tip = repository.fetch(HISTORY)
            if made and repository.contains(made.commit, tip):
                return made
            made = _make(repository, tip, wish)
            if made.changed and made.review is None:
                repository.push(made.commit, replacing=tip)
            return made
        except LostRaceError as error:
            lost: GitOpsError = error
            again = patience.take_turns(number, patience.now() - began)
        except UnreachableError as error:
            # The push may have landed nevertheless: the next look at the branch tells.
            lost = error
            again = patience.wait(number)
        except RefusedError as error:
            # A gateway may refuse the answer to a push that was carried out.
            lost, again = error, False
        number += 1
        if not again:
            return _last_look(repository, made, lost)


def _last_look(repository: Repository, made: Bumped | None, lost: GitOpsError) -> Bumped:
    """What was `made` if it is on the branch after all; else the error, which says so where that cannot be told."""
    if not made or not made.changed or made.review is not None:
        raise lost
    landed = repository.landed(made.commit)
    if landed:
        return made
    if isinstance(lost, RefusedError):
        raise lost
    after = f"gave up after {repository.patience.budget:.0f} s: {lost}"
    if landed is None:
        after += f"; whether commit {made.commit[:10]} has landed cannot be told: the same again is safe, and tells"
    raise type(lost)(after)


def _make(repository: Repository, tip: str, wish: _Wish) -> Bumped:
    """The commit on `tip` that still has to be pushed, or a review; or why there is nothing to do."""
    try:
        todo = plan(repository, tip, wish.edits)
    except UnexpectedValueError:
        # Our own commit of an earlier try, or a later run's, explains it; all else is for people to look at.
        stopped = _stopped(repository, tip, [edit for edit in wish.edits if not edit.only_if_present], wish)
        if not stopped:
            raise
        return stopped
    if not todo.files:
        return Bumped(False, tip, repository.branch, reason="the values are there already", in_place=True)
    stopped = _stopped(repository, tip, todo.edits, wish)
    if stopped:
        return stopped
    text, files = wish.signature.words(compose(wish.message, todo.edits, wish.trailers)), tuple(sorted(todo.files))
    if wish.proposal:
        made = wish.proposal.propose(repository, tip, todo, text, wish.signature)
        return Bumped(
            made.pushed,
            made.commit,
            made.branch,
            files,
            made.url,
            made.diff,
            made.reason,
            made.merged,
            withheld=made.withheld,
        )
    commit = repository.commit(tip, todo.files, text, wish.signature)
    return Bumped(True, commit, repository.branch, files, diff=repository.diff(tip, commit), in_place=True)


def _stopped(repository: Repository, tip: str, edits: Sequence[Edit], wish: _Wish) -> Bumped | None:
    """The outcome when what the branch has held forbids to make `edits`; None when it does not."""
    verdict = _judged(repository, tip, edits, wish)
    if verdict and verdict.refused:
        raise GitOpsError(verdict.reason)
    if not verdict:
        return None
    return Bumped(False, verdict.commit, repository.branch, reason=verdict.reason, withheld=not verdict.done)


def _judged(repository: Repository, tip: str, edits: Sequence[Edit], wish: _Wish) -> Verdict | None:
    """Judge by the newest commits, and by older ones where their messages give reason to look at the files there."""
    while True:
        pasts = {file: Past(repository, tip, file) for file in {edit.file for edit in edits}}
        verdict = judge(pasts, edits, wish.trailers, again=wish.again)
        if verdict or all(past.whole for past in pasts.values()):
            return verdict
        if not suspicious(repository.older(tip), edits, wish.trailers) or not repository.deepen():
            return None

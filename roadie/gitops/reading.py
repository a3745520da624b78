"""Read what a branch deploys. Apart from the writing, so that a step which only reads carries no more than that."""

from dataclasses import dataclass

from roadie.errors import GitOpsError
from roadie.gitops.access import Access
from roadie.gitops.checks import check_file
from roadie.gitops.patience import CLOCK, PATIENCE, SHORT, Clock, Patience
from roadie.gitops.repository import Repository
from roadie.gitops.values import get_scalar, set_scalar


@dataclass(frozen=True)
class Deployed:
    """What a branch holds under a key (None: nothing), and the commit that was read."""

    value: str | None
    commit: str


def read_value(
    repo: str,
    file: str,
    key: str,
    *,
    branch: str = "main",
    settable: bool = False,
    access: Access | None = None,
    budget: float = PATIENCE,
    clock: Clock = CLOCK,
) -> Deployed:
    """What `branch` of `repo` holds in `file` under `key`; None when nothing stands there.

    `settable` also proves that a bump could set it, so that one who is about to work for hours learns it now. A server
    that is away is waited for, for `budget` seconds.

    Raises:
        GitOpsError: the repository or the file cannot be read, or the value not be set.
    """
    check_file(file)
    with Repository(repo, branch, access, Patience(budget, clock)) as repository:
        tip = repository.fetch()
        entry = repository.find(tip, [file]).get(file)
        if entry is None:
            raise GitOpsError(f"{repository.name} has no {file} on {branch}; check the path")
        text = repository.read(entry)
        try:
            if settable:
                set_scalar(text, key, "0", create_missing=True)
            return Deployed(get_scalar(text, key), tip)
        except GitOpsError as error:
            raise GitOpsError(f"{file}: {error}") from None


@dataclass(frozen=True)
class File:
    """A file's bytes, and the commit that they are of."""

    content: bytes
    commit: str


def read_file(
    repo: str,
    file: str,
    *,
    branch: str = "main",
    revision: str = "",
    largest: int = 0,
    access: Access | None = None,
    budget: float = SHORT,
) -> File:
    """A file of `branch` as `revision`, one of its newest commits, has it; the tip's when `revision` is empty.

    Raises:
        GitOpsError: the repository cannot be read, has no such commit or file there, or the file has more than
            `largest` bytes (0 for any number).
    """
    with Repository(repo, branch, access, Patience(budget)) as repository:
        tip = repository.fetch()
        commit = revision or tip
        if commit != tip and commit not in {each.sha for each in repository.log(tip)}:
            raise GitOpsError(
                f"{repository.name} has no commit {commit[:10]} among the newest of {branch}; was it pushed away?"
            )
        entry = repository.find(commit, [check_file(file)]).get(file)
        if entry is None:
            raise GitOpsError(f"{repository.name} has no {file} in {commit[:10]}; check the path")
        if largest and repository.size(entry) > largest:
            raise GitOpsError(f"{file} in {commit[:10]} of {repository.name} has more than {largest:,} bytes; split it")
        return File(repository.read(entry), commit)


@dataclass(frozen=True)
class Revision:
    """What a commit of a branch holds (None: no version), and whether a commit that was asked about is in it."""

    version: str | None
    contains: bool


def look_at(
    repo: str,
    revision: str,
    file: str,
    key: str,
    *,
    commit: str = "",
    branch: str = "main",
    access: Access | None = None,
    budget: float = PATIENCE,
) -> Revision | None:
    """The version under `key` (the map that holds it) of `file` in `revision`, and whether `commit` is in its history.

    None when `revision` is not among the branch's newest commits.

    Raises:
        GitOpsError: the repository or the file cannot be read.
    """
    with Repository(repo, branch, access, Patience(budget)) as repository:
        known = {each.sha for each in repository.log(repository.fetch())}
        if revision not in known:
            return None
        entry = repository.find(revision, [check_file(file)]).get(file)
        version = get_scalar(repository.read(entry), f"{key}.version") if entry else None
        return Revision(version, commit in known and repository.contains(commit, revision))

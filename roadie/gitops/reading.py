"""Read what a branch deploys. Apart from the writing, so that a step which only reads carries no more than that."""

from dataclasses import dataclass

from roadie.errors import GitOpsError
from roadie.gitops.access import Access
from roadie.gitops.checks import check_file
from roadie.gitops.repository import Repository
from roadie.gitops.values import get_scalar, set_scalar


@dataclass(frozen=True)
class Deployed:
    """What a branch holds under a key (None: nothing), and the commit that was read."""

    value: str | None
    commit: str


def read_value(
    repo: str, file: str, key: str, *, branch: str = "main", settable: bool = False, access: Access | None = None
) -> Deployed:
    """What `branch` of `repo` holds in `file` under `key`; None when nothing stands there.

    `settable` also proves that a bump could set it, so that one who is about to work for hours learns it now.

    Raises:
        GitOpsError: the repository or the file cannot be read, or the value not be set.
    """
    check_file(file)
    with Repository(repo, branch, access) as repository:
        tip = repository.fetch()
        entry = repository.find(tip, [file]).get(file)
        if entry is None:
            raise GitOpsError(f"{repo} has no {file} on {branch}; check the path")
        text = repository.read(entry)
        try:
            if settable:
                set_scalar(text, key, "0", create_missing=True)
            return Deployed(get_scalar(text, key), tip)
        except GitOpsError as error:
            raise GitOpsError(f"{file}: {error}") from None


def version_at(
    repo: str, revision: str, file: str, key: str, *, branch: str = "main", access: Access | None = None
) -> str | None:
    """The version under `key` (the map that holds it) of `file` as `revision`, a commit of `branch`, has it.

    None when there is none, and when `revision` is not among the branch's newest commits.

    Raises:
        GitOpsError: the repository cannot be read.
    """
    with Repository(repo, branch, access) as repository:
        tip = repository.fetch()
        if revision != tip and revision not in {commit.sha for commit in repository.log(tip)}:
            return None
        entry = repository.find(revision, [check_file(file)]).get(file)
        return get_scalar(repository.read(entry), f"{key}.version") if entry else None

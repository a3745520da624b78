"""Read what a branch deploys. Apart from the writing, so that a step which only reads carries no more than that."""

from dataclasses import dataclass

from roadie.errors import GitOpsError
from roadie.gitops.access import Access
from roadie.gitops.checks import check_file
from roadie.gitops.repository import Repository
from roadie.gitops.values import get_scalar


@dataclass(frozen=True)
class Deployed:
    """What a branch holds under a key (None: nothing), and the commit that was read."""

    value: str | None
    commit: str


def read_value(repo: str, file: str, key: str, *, branch: str = "main", access: Access | None = None) -> Deployed:
    """What `branch` of `repo` holds in `file` under `key`; None when the last step of the key is missing.

    Raises:
        GitOpsError: the repository cannot be read, or has no such file or no such mapping in it.
    """
    check_file(file)
    with Repository(repo, branch, access) as repository:
        tip = repository.fetch()
        entry = repository.find(tip, [file]).get(file)
        if entry is None:
            raise GitOpsError(f"{repo} has no {file} on {branch}; check the path")
        return Deployed(get_scalar(repository.read(entry), key), tip)

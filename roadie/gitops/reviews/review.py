"""A review, and what the hosts have in common."""

from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["open", "merged", "closed"]


@dataclass(frozen=True)
class Review:
    """A pull or merge request: `head` is the commit under review, `commit` the one that merged it."""

    number: int
    url: str
    state: State
    head: str
    commit: str = ""


class Host(Protocol):
    """One Git host's reviews of one repository. Every method raises GitOpsError when the host refuses."""

    def find(self, branch: str, base: str) -> Review | None:
        """The open request from `branch` to `base`."""

    def create(self, branch: str, base: str, title: str, body: str) -> Review:
        """Open a request; ConflictError when there is one."""

    def update(self, number: int, title: str, body: str) -> Review:
        """Change a request's words."""

    def get(self, number: int) -> Review:
        """A request as it is now."""

    def merge(self, number: int, head: str) -> None:
        """Merge a request whose head is still `head`; ConflictError when it is not, or cannot be merged."""

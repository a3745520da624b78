"""Gitea's and Forgejo's pull requests (their /api/swagger, version 1.20 and later)."""

from typing import Any

from roadie.gitops.access import Access
from roadie.gitops.reviews.rest import Rest, field
from roadie.gitops.reviews.review import Review, State


class Gitea:
    """The pull requests of one repository (`owner/name`)."""

    def __init__(self, api: str, path: str, access: Access) -> None:
        headers = {"Authorization": f"token {access.password}"} if access.password else {}
        self._rest = Rest(api, headers, access.ca_file)
        self._pulls = f"repos/{path}/pulls"

    @staticmethod
    def api_of(server: str) -> str:
        """The API of the server."""
        return f"{server}/api/v1"

    def find(self, branch: str, base: str) -> Review | None:
        """The open pull request from `branch` to `base`."""
        # The list cannot be filtered by head; a fork's branch of the same name is told apart by its repository.
        for pull in self._rest.pages(self._pulls, state="open", limit="50"):
            head, target = field(pull, "head"), field(pull, "base")
            same_repository = head.get("repo_id") == target.get("repo_id")
            if (field(head, "ref"), field(target, "ref")) == (branch, base) and same_repository:
                return _review(pull)
        return None

    def create(self, branch: str, base: str, title: str, body: str) -> Review:
        """Open one; ConflictError (409) when there is one."""
        words = {"head": branch, "base": base, "title": title, "body": body}
        return _review(self._rest.call("POST", self._pulls, words))

    def update(self, number: int, title: str, body: str) -> Review:
        """Change its words."""
        return _review(self._rest.call("PATCH", f"{self._pulls}/{number}", {"title": title, "body": body}))

    def get(self, number: int) -> Review:
        """As it is now."""
        return _review(self._rest.call("GET", f"{self._pulls}/{number}"))

    def merge(self, number: int, head: str) -> None:
        """Merge it; ConflictError when its head has moved (409) or it cannot be merged (405)."""
        self._rest.call("POST", f"{self._pulls}/{number}/merge", {"Do": "merge", "head_commit_id": head})


def _review(pull: dict[str, Any]) -> Review:
    state: State = "merged" if pull.get("merged") else "open" if field(pull, "state") == "open" else "closed"
    commit = pull.get("merge_commit_sha") if state == "merged" else ""
    return Review(field(pull, "number"), field(pull, "html_url"), state, field(pull, "head", "sha"), commit or "")

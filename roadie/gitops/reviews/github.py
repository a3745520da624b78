"""GitHub's pull requests (docs.github.com/rest/pulls/pulls, API version 2022-11-28)."""

from typing import Any
from urllib.parse import urlsplit

from roadie.gitops.access import Access
from roadie.gitops.reviews.rest import Rest, field
from roadie.gitops.reviews.review import Review, State


class GitHub:
    """The pull requests of one repository (`owner/name`)."""

    def __init__(self, api: str, path: str, access: Access) -> None:
        headers = {"X-GitHub-Api-Version": "2022-11-28", "Accept": "application/vnd.github+json"}
        if access.password:
            headers["Authorization"] = f"Bearer {access.password}"
        self._rest = Rest(api, headers, access.ca_file)
        self._pulls = f"repos/{path}/pulls"
        self._owner = path.partition("/")[0]

    @staticmethod
    def api_of(server: str) -> str:
        """GitHub's own API has a host of its own; an Enterprise Server's is under /api/v3."""
        return "https://api.github.com" if urlsplit(server).hostname == "github.com" else f"{server}/api/v3"

    def find(self, branch: str, base: str) -> Review | None:
        """The open pull request from `branch` to `base`."""
        # A fork may have a branch of the same name; `head` keeps to the owner's.
        query = {"state": "open", "head": f"{self._owner}:{branch}", "base": base, "per_page": "100"}
        for pull in self._rest.pages(self._pulls, **query):
            if (field(pull, "head", "ref"), field(pull, "base", "ref")) == (branch, base):
                return _review(pull)
        return None

    def create(self, branch: str, base: str, title: str, body: str) -> Review:
        """Open one; ConflictError (422) when there is one, or when there is nothing between the branches."""
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
        self._rest.call("PUT", f"{self._pulls}/{number}/merge", {"sha": head})


def _review(pull: dict[str, Any]) -> Review:
    state: State = "merged" if pull.get("merged_at") else "open" if field(pull, "state") == "open" else "closed"
    commit = pull.get("merge_commit_sha") if state == "merged" else ""
    return Review(field(pull, "number"), field(pull, "html_url"), state, field(pull, "head", "sha"), commit or "")

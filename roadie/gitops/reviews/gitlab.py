"""GitLab's merge requests (docs.gitlab.com/api/merge_requests, API version 4)."""

from typing import Any
from urllib.parse import quote

from roadie.gitops.access import Access
from roadie.gitops.reviews.rest import Rest, field
from roadie.gitops.reviews.review import Review, State

# `locked` is what a request is while it is being merged.
_STATES: dict[str, State] = {"opened": "open", "locked": "open", "merged": "merged", "closed": "closed"}


class GitLab:
    """The merge requests of one project, whose path may have several parts (`group/subgroup/name`)."""

    def __init__(self, api: str, path: str, access: Access) -> None:
        headers = {"PRIVATE-TOKEN": access.password} if access.password else {}
        self._rest = Rest(api, headers, access.ca_file)
        self._requests = f"projects/{quote(path, safe='')}/merge_requests"

    @staticmethod
    def api_of(server: str) -> str:
        """The API of the server."""
        return f"{server}/api/v4"

    def find(self, branch: str, base: str) -> Review | None:
        """The open merge request from `branch` to `base`."""
        query = {"state": "opened", "source_branch": branch, "target_branch": base, "per_page": "100"}
        for request in self._rest.pages(self._requests, **query):
            if request.get("source_project_id") == request.get("target_project_id"):
                return _review(request)
        return None

    def create(self, branch: str, base: str, title: str, body: str) -> Review:
        """Open one; ConflictError (409) when there is one."""
        words = {"source_branch": branch, "target_branch": base, "title": title, "description": body}
        return _review(self._rest.call("POST", self._requests, words))

    def update(self, number: int, title: str, body: str) -> Review:
        """Change its words."""
        return _review(self._rest.call("PUT", f"{self._requests}/{number}", {"title": title, "description": body}))

    def get(self, number: int) -> Review:
        """As it is now."""
        return _review(self._rest.call("GET", f"{self._requests}/{number}"))

    def merge(self, number: int, head: str) -> None:
        """Merge it; ConflictError when its head has moved (409) or it cannot be merged (405, 406, 422)."""
        self._rest.call("PUT", f"{self._requests}/{number}/merge", {"sha": head})


def _review(request: dict[str, Any]) -> Review:
    state = _STATES.get(field(request, "state"), "open")
    head = field(request, "sha")
    # A fast-forward makes no commit of its own.
    commit = request.get("merge_commit_sha") or request.get("squash_commit_sha") or head
    return Review(field(request, "iid"), field(request, "web_url"), state, head, commit if state == "merged" else "")

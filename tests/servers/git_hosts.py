"""The review APIs of GitHub, GitLab and Gitea on loopback: their documented paths, fields, status codes and pages.

What is under review is a real bare repository: heads are read from it, and a merge moves its branch.
"""

import contextlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.servers.git_http import PASSWORD, git

Answer = tuple[int, dict[str, str], Any]
PAGE = 2


@dataclass
class Request:
    """A pull or merge request, in no host's words."""

    number: int
    head: str
    base: str
    title: str
    body: str
    state: str = "open"
    commit: str = ""
    fork: bool = False


@dataclass
class GitHost:
    """One repository's reviews; `faults` are answers that come before any other."""

    kind: str
    bare: Path
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    faults: list[Answer] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    lose_answers: bool = False
    # Whether it is in trouble now.
    trouble: Callable[[], bool] = lambda: False
    # How often a merge is put off, because the host is still checking whether it can be made.
    checking: int = 0
    # Whether a request is merged as soon as it is opened, as a rule of the host may have it.
    merges_at_once: bool = False

    def head(self, branch: str) -> str:
        with contextlib.suppress(Exception):
            return git("-C", str(self.bare), "rev-parse", "--verify", f"refs/heads/{branch}")
        return ""

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any], headers: Any) -> Answer:
        self.asked.append(f"{method} {path}")
        if self.trouble():
            return 503, {}, {"message": "later"}
        if self.faults:
            return self.faults.pop(0)
        if headers.get(*{"gitlab": ("PRIVATE-TOKEN", "")}.get(self.kind, ("Authorization", ""))) != self.secret:
            return 401, {}, {"message": "Bad credentials"}
        found = re.fullmatch(re.escape(self.prefix) + r"(?:/(\d+))?(/merge)?", path)
        if not found:
            return 404, {}, {"message": "Not Found"}
        return self._route(method, found[1], bool(found[2]), query, body)

    @property
    def secret(self) -> str:
        return {"gitlab": PASSWORD, "github": f"Bearer {PASSWORD}", "gitea": f"token {PASSWORD}"}[self.kind]

    @property
    def prefix(self) -> str:
        paths = {
            "github": "/api/v3/repos/stars/mlops-gitops/pulls",
            "gitea": "/api/v1/repos/stars/mlops-gitops/pulls",
            "gitlab": "/api/v4/projects/stars/mlops-gitops/merge_requests",
        }
        return paths[self.kind]

    def _route(
        self, method: str, number: str | None, merge: bool, query: dict[str, str], body: dict[str, Any]
    ) -> Answer:
        if number is None:
            return self._list(query) if method == "GET" else self._create(body)
        request = next((r for r in self.requests if r.number == int(number)), None)
        if not request:
            return 404, {}, {"message": "Not Found"}
        if merge:
            return self._merge(request, body)
        if method != "GET":
            assert method == {"gitlab": "PUT"}.get(self.kind, "PATCH")
            request.title = body["title"]
            request.body = body["description" if self.kind == "gitlab" else "body"]
        return (201 if (method, self.kind) == ("PATCH", "gitea") else 200), {}, self.show(request)

    def _list(self, query: dict[str, str]) -> Answer:
        assert query["state"] == ("opened" if self.kind == "gitlab" else "open")
        found = [r for r in reversed(self.requests) if r.state == "open"]
        if self.kind == "gitlab":
            found = [r for r in found if (r.head, r.base) == (query["source_branch"], query["target_branch"])]
        if self.kind == "github" and "head" in query:
            found = [r for r in found if f"{'other' if r.fork else 'stars'}:{r.head}" == query["head"]]
        page = int(query.get("page", 1))
        shown = [self.show(r) for r in found[(page - 1) * PAGE : page * PAGE]]
        more = "&".join(f"{key}={value}" for key, value in {**query, "page": str(page + 1)}.items())
        path = self.prefix.replace("stars/mlops", "stars%2Fmlops") if self.kind == "gitlab" else self.prefix
        link = {"Link": f'<{self.url}{path}?{more}>; rel="next", <{self.url}/last>; rel="last"'}
        return 200, link if page * PAGE < len(found) else {}, shown

    def _create(self, body: dict[str, Any]) -> Answer:
        words = ("source_branch", "target_branch", "description") if self.kind == "gitlab" else ("head", "base", "body")
        head, base, text = (body[word] for word in words)
        if any((r.head, r.base, r.state, r.fork) == (head, base, "open", False) for r in self.requests):
            return self._duplicate(head)
        if not self.head(head) or self.head(head) == self.head(base):
            return 422, {}, {"message": "Validation Failed", "errors": [{"code": "custom", "message": "No commits"}]}
        request = Request(len(self.requests) + 1, head, base, body["title"], text)
        self.requests.append(request)
        if self.merges_at_once:
            self._merge(request, dict.fromkeys(("sha", "head_commit_id"), self.head(head)))
        if self.lose_answers:
            self.lose_answers = False
            return 502, {}, "<html>Bad Gateway</html>"
        return 201, {}, self.show(request)

    def _duplicate(self, head: str) -> Answer:
        if self.kind == "github":
            said = f"A pull request already exists for stars:{head}."
            errors = [{"resource": "PullRequest", "code": "custom", "message": said}]
            return 422, {}, {"message": "Validation Failed", "errors": errors}
        if self.kind == "gitlab":
            return 409, {}, {"message": ["Another open merge request already exists for this source branch: !1"]}
        return 409, {}, {"message": "pull request already exists for these targets", "url": f"{self.url}/api/swagger"}

    def _merge(self, request: Request, body: dict[str, Any]) -> Answer:
        pinned = body["head_commit_id" if self.kind == "gitea" else "sha"]
        if request.state != "open":
            return 405, {}, {"message": "Method Not Allowed"}
        if self.checking:
            self.checking -= 1
            return 405, {}, {"message": "Please try again later"}
        if pinned != self.head(request.head):
            return 409, {}, {"message": "Head branch was modified. Review and try the merge again."}
        git("-C", str(self.bare), "update-ref", f"refs/heads/{request.base}", pinned)
        request.state, request.commit = "merged", pinned
        return 200, {}, {"merged": True, "sha": pinned} if self.kind == "github" else self.show(request)

    def show(self, request: Request) -> dict[str, Any]:
        """The request as this host shows it, with fields that no client has heard of."""
        sha = self.head(request.head)
        url = f"{self.url}/stars/mlops-gitops/{request.number}"
        if self.kind == "gitlab":
            state = {"open": "opened"}.get(request.state, request.state)
            made = {"merge_commit_sha": None, "squash_commit_sha": None, "sha": request.commit or sha}
            ids = {"id": 1000 + request.number, "iid": request.number, "target_project_id": 7}
            ids["source_project_id"] = 8 if request.fork else 7
            names = {"source_branch": request.head, "target_branch": request.base, "a_new_field": {"x": [1]}}
            return {**ids, **names, **made, "web_url": url, "state": state, "title": request.title}
        merged = request.state == "merged"
        head = {
            "ref": request.head,
            "sha": request.commit or sha,
            "label": f"stars:{request.head}",
            "a_new_field": None,
        }
        base = {"ref": request.base, "sha": self.head(request.base)}
        if self.kind == "gitea":
            head["repo_id"], base["repo_id"] = (8, 7) if request.fork else (7, 7)  # type: ignore[assignment]
        shown = {"id": 1000 + request.number, "number": request.number, "html_url": url, "head": head, "base": base}
        shown |= {"state": "open" if request.state == "open" else "closed", "title": request.title, "a_new_field": 1}
        shown |= {"merged": merged, "merged_at": "2026-01-01T00:00:00Z" if merged else None}
        # GitHub shows the commit of a trial merge here while the request is open.
        return {**shown, "merge_commit_sha": request.commit or ("f" * 40 if self.kind == "github" else None)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: GitHost

    def _serve(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else {}
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        status, headers, content = self.host.answer(self.command, unquote(url.path), query, body, self.headers)
        data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET: Callable[[], None] = _serve
    do_POST: Callable[[], None] = _serve
    do_PUT: Callable[[], None] = _serve
    do_PATCH: Callable[[], None] = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet; `asked` keeps what was asked."""


@contextlib.contextmanager
def serving(kind: str, bare: Path) -> Iterator[GitHost]:
    """Serve the reviews of the repository at `bare` until the block ends."""
    host = GitHost(kind, bare)
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"host": host})) as server:
        server.daemon_threads = True
        host.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield host
        finally:
            server.shutdown()
            thread.join()

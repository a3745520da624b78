"""Which host's adapter a repository's URL asks for."""

import re
from urllib.parse import quote, urlsplit

from roadie.errors import UsageError
from roadie.gitops.access import Access
from roadie.gitops.reviews.gitea import Gitea
from roadie.gitops.reviews.github import GitHub
from roadie.gitops.reviews.gitlab import GitLab
from roadie.gitops.reviews.review import Host


def host_for(repo: str, access: Access, *, kind: str = "", api_url: str = "") -> Host:
    """The adapter for `repo`; `kind` (github, gitlab, gitea) and `api_url` override what its URL suggests.

    Raises:
        UsageError: the URL does not tell the host, or no repository on one.
    """
    server, path = _parts(repo)
    host = (urlsplit(server).hostname or "").lower()
    kind = (kind or _guess(host)).lower()
    adapters: dict[str, type[GitHub] | type[GitLab] | type[Gitea]]
    adapters = {"github": GitHub, "gitlab": GitLab, "gitea": Gitea, "forgejo": Gitea}
    if kind not in adapters:
        raise UsageError(f"what kind of Git host {host} is cannot be told; say so with --host github, gitlab or gitea")
    if api_url and urlsplit(api_url).scheme not in ("http", "https"):
        raise UsageError(f"{api_url[:80]!r} is not the address of an API; give one that starts with https://")
    adapter = adapters[kind]
    access.check(api_url or adapter.api_of(server))
    return adapter(api_url or adapter.api_of(server), quote(path, safe="/"), access)


def _guess(host: str) -> str:
    known = (
        ("github", "github"),
        ("gitlab", "gitlab"),
        ("gitea", "gitea"),
        ("forgejo", "gitea"),
        ("codeberg.org", "gitea"),
    )
    return next((kind for word, kind in known if word in host), "")


def _parts(repo: str) -> tuple[str, str]:
    """The server's web address and the repository's path on it."""
    scp = re.fullmatch(r"[^/@]+@([^/:]+):(.+)", repo)
    url = urlsplit(f"ssh://{scp[1]}/{scp[2]}" if scp else repo)
    path = url.path.strip("/").removesuffix(".git")
    if url.scheme not in ("http", "https", "ssh") or not url.hostname or "/" not in path:
        raise UsageError(f"{repo[:80]!r} is not on a Git host that has reviews; give its https or ssh URL")
    if url.scheme == "ssh":
        return f"https://{url.hostname}", path
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}", path

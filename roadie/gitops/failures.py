"""What git says on stderr, as one sentence that names the remedy."""

import re

from roadie.errors import GitOpsError


class LostRaceError(GitOpsError):
    """Someone else pushed first; fetch, edit and push again."""


class UnreachableError(GitOpsError):
    """The server did not answer, or is in trouble; a later try may work."""


class RefusedError(GitOpsError):
    """The server said no for good; the same request again is in vain."""


# The words are those of git 2.31 to 2.47 under LC_ALL=C, and of the hosts' pre-receive hooks.
_LOST = re.compile("fetch first|non-fast-forward|cannot lock ref|incorrect old value|stale info|failed to update ref")
_AWAY = re.compile(
    r"Could not resolve|Failed to connect|Connection (refused|reset|timed out)|timed out|too slow|Empty reply"
    r"|error: 5\d\d|hung up|early EOF|RPC failed|unexpected disconnect|SSL_|handshake|Could not read from remote"
)
# The server's own rule, not a race: only a review's branch is ever replaced.
_NO_FORCE = re.compile(r"remote rejected\].*\(non-fast-forward\)|force.push.*protected branch")
# First match wins.
_REFUSALS = [
    (
        "protected branch|GH006|GH013|not allowed to push|branch is protected",
        "{repo} protects the branch from pushes; let this user push, or open a review instead (--review)",
    ),
    (
        "Host key verification failed|HOST IDENTIFICATION HAS CHANGED",
        "the SSH host key of {repo} is not known; add it to the file that GIT_SSH_KNOWN_HOSTS_FILE names",
    ),
    (
        r"Permission denied \(|invalid format|error in libcrypto|Load key",
        "{repo} does not accept the SSH key; check GIT_SSH_KEY_FILE, and that the key may write",
    ),
    (
        "Authentication failed|could not read (Username|Password)|Access denied|error: 401",
        "{repo} does not accept the credentials; set GIT_USERNAME and GIT_PASSWORD (or GIT_TOKEN)",
    ),
    (
        r"error: 30\d",
        "{repo} redirects, and a token is not sent on; give the final address, often the same with .git at its end",
    ),
    (
        "error: 403|Permission to .* denied|insufficient permission|WRITE access",
        "{repo} knows the credentials but forbids this; give them the right to write contents",
    ),
    (
        "certificate|SSL peer",
        "the certificate of {repo} is not trusted; name its CA's file in GIT_CA_FILE",
    ),
    (
        "[Cc]ouldn't find remote ref",
        "{repo} has no such branch; create it, or name another with --branch",
    ),
    (
        "not found|does not appear to be a git repository|does not exist|error: 404",
        "there is no repository at {repo}, or the credentials may not see it; check both",
    ),
    (
        "hook declined|remote rejected",
        "{repo} refused the push; its rules or a hook forbid it",
    ),
    (
        "gpg failed|failed to sign|signing failed|Couldn't load|No secret key|ssh-keygen|[Ss]igning key",
        "the commit cannot be signed; check the signing key, and that gpg or ssh-keygen is installed",
    ),
]


def translate(output: str, repo: str) -> GitOpsError:
    """The error that git's words amount to; `output` must have been redacted."""
    if _NO_FORCE.search(output):
        return RefusedError(f"{repo} forbids replacing a branch; allow it for the reviews' branches, roadie/*")
    if _LOST.search(output):
        return LostRaceError(f"others pushed to {repo} first; run this again")
    for pattern, sentence in _REFUSALS:
        if re.search(pattern, output):
            return RefusedError(sentence.format(repo=repo) + _said(output))
    if _AWAY.search(output):
        return UnreachableError(
            f"{repo} cannot be reached; check the address, the network and the proxy" + _said(output)
        )
    return GitOpsError(f"git failed on {repo}; see what it said" + _said(output))


def _said(output: str) -> str:
    """The line of git's output that says most, cut short."""
    lines = [re.sub(r"^std(err|out): '|'$", "", line.strip()) for line in output.splitlines()]
    lines = [line for line in lines if line]
    telling = [line for line in lines if re.match(r"(remote: )?(fatal|error|ERROR|! |GH\d|GitLab|gpg)", line)]
    chosen = (telling or lines or [""])[0]
    return f" (git said: {chosen[:300]})" if chosen else ""

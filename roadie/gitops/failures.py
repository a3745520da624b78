"""What git and the server say, as one sentence that names the remedy and has the server's own words in it."""

import re

from roadie.errors import GitOpsError


class ToldError(GitOpsError):
    """What git said was understood; asking in plainer words would not help."""


class LostRaceError(ToldError):
    """Someone else pushed first; fetch, edit and push again."""


class UnreachableError(ToldError):
    """The server did not answer, or is in trouble; a later try may work."""


class RefusedError(ToldError):
    """The server said no for good; the same request again is in vain."""


# The words are those of git 2.31 to 2.47 under LC_ALL=C, and of the hosts' pre-receive hooks. Git's own words about a
# ref stand in the status line (git-push(1), --porcelain); what a hook or a host says comes in lines of `remote:`.
_STATUS = re.compile(r"\s*!\s.*?\[(?P<kind>remote rejected|rejected|remote failure)\][^(]*\((?P<why>.*?)\)?$")
_LOST = re.compile("fetch first|non-fast-forward|stale info|incorrect old value|failed to update ref|cannot lock ref")
_LOCKED = re.compile(r"^(?:remote: error:|\s*!).*Unable to create '.*\.lock", re.MULTILINE)
_BUSY = r"(?:error:|HTTP) (?:408|425|429|5\d\d)"
_AWAY = re.compile(
    r"Could not resolve|Failed to connect|Connection (refused|reset|timed out|closed)|timed out|too slow|Empty reply"
    rf"|{_BUSY}|hung up|early EOF|RPC failed|unexpected disconnect|SSL_"
    r"|handshake|Could not read from remote|Proxy CONNECT aborted|CONNECT tunnel failed, response (407|5\d\d)"
)
# First match wins; these are looked for in all that was said.
_REFUSALS = [
    (
        r"^(?!remote:).*(No space left on device|Disk quota exceeded)",
        "there is no room for git's files on this machine; make room, or set TMPDIR to another folder",
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
        "not found|does not appear to be a git repository|does not exist|error: 404",
        "there is no repository at {repo}, or the credentials may not see it; check both",
    ),
    (
        "gpg failed|failed to sign|signing failed|Couldn't load|No secret key|ssh-keygen|[Ss]igning key",
        "the commit cannot be signed; check the signing key, and that gpg or ssh-keygen is installed",
    ),
]
_PROTECTED = re.compile(
    "protected branch|GH006|GH013|rule violations|not allowed to push|branch is protected", re.IGNORECASE
)
# What says nothing, or what we say better.
_NOISE = re.compile(
    r"hint:|To |Done|Pushing to|error: failed to push some refs|Please make sure you have the correct access"
    r"|and the repository exists|fatal: Could not read from remote|fatal: [Tt]he remote end hung up"
    r"|(remote: )?(Enumerating|Counting|Compressing|Resolving|Writing|Total)\b|warning:"
)
_LONGEST = 800


def translate(output: str, repo: str) -> GitOpsError:
    """The error that git's words amount to; `output` must have been redacted."""
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", output) if line.strip()]
    own = "\n".join(line for line in lines if not line.startswith("remote:"))
    status = next((found for found in map(_STATUS.match, lines) if found), None)
    missing = re.search(r"[Cc]ouldn't find remote ref (?:refs/heads/)?(\S+)", own)
    if missing:
        return RefusedError(
            f"{repo} has no branch {missing[1]}; create it, or name another (--branch, in a run gitops.branch)"
        )
    if status or _PROTECTED.search(output):
        return _rejected(status["kind"] if status else "", status["why"] if status else "", output, _said(lines), repo)
    refused = next((sentence for pattern, sentence in _REFUSALS if re.search(pattern, output, re.MULTILINE)), "")
    if refused and not re.search(_BUSY, own):
        return RefusedError(refused.format(repo=repo) + _said(lines))
    if _AWAY.search(own):
        sentence = f"{repo} cannot be reached; check the address, the network and the proxy"
        return UnreachableError(sentence + _said(lines))
    return GitOpsError(f"git failed on {repo}; see what it said" + _said(lines))


def _rejected(kind: str, why: str, output: str, said: str, repo: str) -> ToldError:
    """What the status of the ref that was pushed amounts to: `why` is git's own word, `said` tells the server's."""
    ruled = kind != "rejected" and "non-fast-forward" in why
    if _LOCKED.search(output):
        return UnreachableError(
            f"{repo} cannot move the branch now; where nobody else pushes, remove the stale lock on the server{said}"
        )
    if _LOST.search(why) and not ruled:
        return LostRaceError(f"others pushed to {repo} first; run this again")
    if ruled or re.search("force.push.*protected branch", output):
        # The server's own rule, not a race: only a review's branch is ever replaced.
        sentence = f"{repo} forbids replacing a branch; allow it for the reviews' branches, roadie/*"
    elif "GH013" in output or "rule violations" in output:
        sentence = (
            f"rules of {repo} refuse the commit; give what they ask for (GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL,"
            " GIT_SIGNING_KEY, GIT_SIGN_OFF, GIT_COMMIT_SUBJECT), or let this user pass them"
        )
    elif _PROTECTED.search(output):
        sentence = f"{repo} protects the branch from pushes; let this user push, or open a review instead (--review)"
    else:
        sentence = f"{repo} refused the push; its rules or a hook forbid it"
    return RefusedError(sentence + said)


def _said(lines: list[str]) -> str:
    """The words of the server where it said any, else git's own, and the reason in the ref's status."""
    reasons = [found["why"] for found in map(_STATUS.match, lines) if found]
    told = [line for line in lines if not _NOISE.match(line) and not _STATUS.match(line)]
    remote = [line.removeprefix("remote:").strip() for line in told if line.startswith("remote:")]
    own = [] if reasons else [line.strip() for line in told]
    words = " ".join([*(remote or own), *reasons])
    words = re.sub(r"[-=*#]{3,}", " ", words)
    who = "it said" if remote or reasons else "git said"
    return f" ({who}: {' '.join(words.split())[:_LONGEST]})" if words.strip() else ""

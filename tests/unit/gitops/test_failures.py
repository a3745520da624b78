"""git's words become one sentence that names the remedy, and the right kind of error."""

import pytest

from roadie.errors import GitOpsError
from roadie.gitops.failures import LostRaceError, RefusedError, UnreachableError, translate

MAIN = "refs/heads/main"
LOCKED = (
    f"remote: error: cannot lock ref '{MAIN}': Unable to create '/x/./refs/heads/main.lock': File exists.        \n"
    f"remote: Another git process seems to be running\n!\tabc:{MAIN}\t[remote rejected] (failed to update ref)"
)
AZURE = "TF402455: Pushes to this branch are not permitted; you must use a pull request"
# As git and the hosts write them.
WORDS = [
    (LostRaceError, "run this again", " ! [rejected] abc -> main (fetch first)\nerror: failed to push some refs"),
    (LostRaceError, "run this again", "!\tabc:main\t[remote rejected] (cannot lock ref 'refs/heads/main': is at 1)"),
    (LostRaceError, "run this again", "!\tabc:refs/heads/main\t[rejected] (stale info)"),
    (LostRaceError, "run this again", "!\tabc:refs/heads/main\t[remote rejected] (incorrect old value provided)"),
    (RefusedError, "roadie/*", "!\tabc:refs/heads/roadie/x\t[remote rejected] (non-fast-forward)"),
    (RefusedError, "open a review", "remote: error: GH006: Protected branch update failed for refs/heads/main."),
    (RefusedError, "GIT_AUTHOR_EMAIL", "remote: error: GH013: Repository rule violations found for refs/heads/main."),
    (RefusedError, "open a review", "remote: GitLab: You are not allowed to push code to protected branches."),
    (RefusedError, "open a review", "remote: Gitea: Not allowed to push to protected branch main"),
    (RefusedError, "GIT_USERNAME", "fatal: could not read Username for 'https://x': terminal prompts disabled"),
    (RefusedError, "GIT_USERNAME", "remote: HTTP Basic: Access denied\nfatal: Authentication failed for 'https://x/'"),
    (RefusedError, "right to write", "fatal: unable to access 'https://x/': The requested URL returned error: 403"),
    (RefusedError, "right to write", "remote: Permission to a/b.git denied to c.\nfatal: unable to access 'https://x/'"),
    (RefusedError, "final address", "fatal: unable to access 'https://x/': The requested URL returned error: 301"),
    (RefusedError, "GIT_SSH_KNOWN_HOSTS_FILE", "Host key verification failed.\nfatal: Could not read from remote"),
    (RefusedError, "GIT_SSH_KEY_FILE", "git@x: Permission denied (publickey).\nfatal: Could not read from remote"),
    (RefusedError, "GIT_SSH_KEY_FILE", 'Load key "/k": error in libcrypto\ngit@x: Permission denied (publickey).'),
    (RefusedError, "GIT_CA_FILE", "fatal: unable to access 'x': server certificate verification failed. CAfile: none"),
    (RefusedError, "GIT_CA_FILE", "fatal: unable to access 'x': SSL certificate problem: self-signed certificate"),
    (RefusedError, "no branch nope; create it, or name another (--branch, in a run gitops.branch)",
     "fatal: couldn't find remote ref refs/heads/nope"),
    (RefusedError, "no repository", "remote: Repository not found.\nfatal: repository 'https://x/' not found"),
    (RefusedError, "no repository", "fatal: '/x' does not appear to be a git repository"),
    (RefusedError, "no pre-receive hook", f"remote: no\n!\tabc:{MAIN}\t[remote rejected] (pre-receive hook declined)"),
    (RefusedError, "signed", "error: gpg failed to sign the data\nfatal: failed to write commit object"),
    (UnreachableError, "cannot be reached", "fatal: unable to access 'https://x/': Could not resolve host: x"),
    (UnreachableError, "cannot be reached", "fatal: unable to access 'https://x/': Failed to connect to x port 443"),
    (UnreachableError, "cannot be reached", "fatal: unable to access 'x': The requested URL returned error: 502"),
    (UnreachableError, "cannot be reached", "error: RPC failed; curl 56 Recv failure: Connection reset by peer"),
    (UnreachableError, "cannot be reached", "ssh: connect to host x port 22: Connection refused"),
    (UnreachableError, "remove the stale lock", LOCKED),
    (LostRaceError, "run this again", LOCKED.replace("Unable to create '/x/./refs/heads/main.lock'", "is at 1 but")),
    (UnreachableError, "cannot be reached", "error: RPC failed; HTTP 429 curl 22 requested URL returned error: 429"),
    (UnreachableError, "Could not resolve hostname x", "ssh: Could not resolve hostname x: Name or service not known\n"
     "fatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights"),
    (RefusedError, AZURE, f"!\tabc:{MAIN}\t[remote rejected] ({AZURE})"),
    (RefusedError, "main is protected by policy: open a merge request",
     f"remote: main is protected by policy: open a merge request\n!\tabc:{MAIN}\t[remote rejected] (hook declined)"),
    (RefusedError, "policy: non-fast-forward pushes are timed out",
     f"remote: policy: non-fast-forward pushes are timed out\n!\tabc:{MAIN}\t[remote rejected] (hook declined)"),
    (RefusedError, "there is no room", "fatal: write error: No space left on device"),
    (GitOpsError, "see what it said", "fatal: the remote end is confused"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "remedy", "words"), WORDS)
def test_a_failure_is_told_in_one_sentence(kind: type[GitOpsError], remedy: str, words: str) -> None:
    error = translate(f"{words}\n", "https://git.example.com/a.git")
    assert type(error) is kind
    assert remedy in str(error)
    assert "https://git.example.com/a.git" in str(error) or kind is RefusedError
    assert "\n" not in str(error)

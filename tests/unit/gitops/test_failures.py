"""git's words become one sentence that names the remedy, and the right kind of error."""

import pytest

from roadie.errors import GitOpsError
from roadie.gitops.failures import LostRaceError, RefusedError, UnreachableError, translate

# As git and the hosts write them.
WORDS = [
    (LostRaceError, "run this again", " ! [rejected] abc -> main (fetch first)\nerror: failed to push some refs"),
    (LostRaceError, "run this again", "!\tabc:main\t[remote rejected] (cannot lock ref 'refs/heads/main': is at 1)"),
    (LostRaceError, "run this again", "!\tabc:refs/heads/main\t[rejected] (stale info)"),
    (LostRaceError, "run this again", "!\tabc:refs/heads/main\t[remote rejected] (incorrect old value provided)"),
    (RefusedError, "roadie/*", "!\tabc:refs/heads/roadie/x\t[remote rejected] (non-fast-forward)"),
    (RefusedError, "open a review", "remote: error: GH006: Protected branch update failed for refs/heads/main."),
    (RefusedError, "open a review", "remote: error: GH013: Repository rule violations found for refs/heads/main."),
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
    (RefusedError, "no such branch", "fatal: couldn't find remote ref refs/heads/nope"),
    (RefusedError, "no repository", "remote: Repository not found.\nfatal: repository 'https://x/' not found"),
    (RefusedError, "no repository", "fatal: '/x' does not appear to be a git repository"),
    (RefusedError, "hook", "remote: no\n!\tabc:refs/heads/main\t[remote rejected] (pre-receive hook declined)"),
    (RefusedError, "signed", "error: gpg failed to sign the data\nfatal: failed to write commit object"),
    (UnreachableError, "cannot be reached", "fatal: unable to access 'https://x/': Could not resolve host: x"),
    (UnreachableError, "cannot be reached", "fatal: unable to access 'https://x/': Failed to connect to x port 443"),
    (UnreachableError, "cannot be reached", "fatal: unable to access 'x': The requested URL returned error: 502"),
    (UnreachableError, "cannot be reached", "error: RPC failed; curl 56 Recv failure: Connection reset by peer"),
    (UnreachableError, "cannot be reached", "ssh: connect to host x port 22: Connection refused"),
    (GitOpsError, "see what it said", "fatal: the remote end is confused"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "remedy", "words"), WORDS)
def test_a_failure_is_told_in_one_sentence(kind: type[GitOpsError], remedy: str, words: str) -> None:
    error = translate(f"\n  stderr: '{words}'\n", "https://git.example.com/a.git")
    assert type(error) is kind
    assert remedy in str(error)
    assert "https://git.example.com/a.git" in str(error) or kind is RefusedError
    assert "\n" not in str(error)

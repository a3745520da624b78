"""Commits are signed when asked, by GPG or SSH, and are not made when they cannot be."""

import subprocess
from pathlib import Path

import pytest

from roadie.errors import GitOpsError, UsageError
from roadie.gitops import Edit, bump, create_bare
from tests.servers.git_http import git
from tests.servers.process import require

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mlops-gitops"
EDITS = [Edit("test/values.yaml", "applications.jukebox.values.version", "1.2.0")]


@pytest.fixture
def repo(tmp_path: Path) -> str:
    create_bare(EXAMPLE, tmp_path / "x.git")
    return str(tmp_path / "x.git")


@pytest.fixture
def ssh_key(tmp_path: Path) -> Path:
    keygen = require("ssh-keygen", "apt-get install openssh-client")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    return tmp_path / "key"


def test_an_ssh_key_signs(repo: str, ssh_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a secret is mounted: readable by all, and without the final line break that ssh wants.
    ssh_key.write_text(ssh_key.read_text().rstrip("\n"))
    ssh_key.chmod(0o644)
    monkeypatch.setenv("GIT_SIGNING_KEY", str(ssh_key))
    done = bump(repo, EDITS, author="Roadie <roadie@example.com>")
    allowed = tmp_path / "allowed"
    allowed.write_text(f"roadie@example.com {ssh_key.with_suffix('.pub').read_text()}")
    options = ["-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed}"]
    assert git("-C", repo, *options, "log", "-1", "--format=%G? %GS", done.commit) == "G roadie@example.com"


def test_a_gpg_key_signs(repo: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpg = require("gpg", "apt-get install gnupg")
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    make = [gpg, "--batch", "--passphrase", "", "--quick-generate-key", "Roadie <roadie@example.com>", "ed25519"]
    subprocess.run(make, check=True, capture_output=True)
    done = bump(repo, EDITS, signing_key="roadie@example.com")
    checked = subprocess.run(
        ["git", "-C", repo, "verify-commit", done.commit], capture_output=True, text=True, check=True
    )
    assert "Good signature" in checked.stderr
    subprocess.run(["gpgconf", "--kill", "all"], check=False)


def test_the_users_own_wish_to_sign_is_heeded(
    repo: str, ssh_key: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "gitconfig"
    config.write_text(f"[commit]\n gpgsign = true\n[gpg]\n format = ssh\n[user]\n signingkey = {ssh_key}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    done = bump(repo, EDITS)
    assert "BEGIN SSH SIGNATURE" in git("-C", repo, "cat-file", "commit", done.commit)


@pytest.mark.parametrize("key", ["nobody@example.com", "README.md"])
def test_what_cannot_be_signed_is_not_committed(
    repo: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "README.md").write_text("no key\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GNUPGHOME", str(tmp_path))
    with pytest.raises(GitOpsError, match="cannot be signed; check the signing key"):
        bump(repo, EDITS, signing_key=key)
    assert git("-C", repo, "rev-list", "--count", "main") == "1"


RULES = """#!/bin/sh
# As hosts have them: whose mail, which subject, signed off, signed.
read old new ref
commit=$(git cat-file commit "$new")
case "$commit" in *"committer Robot <robot@example.com>"*) ;; *) echo "email must be verified" >&2; exit 1;; esac
case "$commit" in *"
chore(deploy): Set "*) ;; *) echo "GH013: Repository rule violations: subject must match ^chore" >&2; exit 1;; esac
case "$commit" in *"Signed-off-by: Robot <robot@example.com>"*) ;; *) echo "DCO: sign off is missing" >&2; exit 1;; esac
case "$commit" in *"BEGIN SSH SIGNATURE"*) ;; *) echo "commits must be signed" >&2; exit 1;; esac
"""


def test_what_push_rules_ask_for_comes_from_the_environment_and_violations_are_told_word_for_word(
    repo: str, ssh_key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = Path(repo) / "hooks" / "pre-receive"
    hook.write_text(RULES)
    hook.chmod(0o755)
    steps = [
        ("email must be verified", {"GIT_AUTHOR_NAME": "Robot", "GIT_AUTHOR_EMAIL": "robot@example.com"}),
        (r"GIT_COMMIT_SUBJECT.*subject must match \^chore", {"GIT_COMMIT_SUBJECT": "chore(deploy): {subject}"}),
        ("DCO: sign off is missing", {"GIT_SIGN_OFF": "true"}),
        ("commits must be signed", {"GIT_SIGNING_KEY": str(ssh_key)}),
    ]
    for violation, remedy in steps:
        with pytest.raises(GitOpsError, match=violation):
            bump(repo, EDITS)
        for name, value in remedy.items():
            monkeypatch.setenv(name, value)
    done = bump(repo, EDITS)
    lines = git("-C", repo, "show", "-s", "--format=%B", done.commit).splitlines()
    assert lines[0] == f"chore(deploy): Set {EDITS[0].key} to {EDITS[0].value} in {EDITS[0].file}"
    assert lines[-1] == "Signed-off-by: Robot <robot@example.com>"


@pytest.mark.parametrize(("name", "value"), [("GIT_SIGN_OFF", "perhaps"), ("GIT_COMMIT_SUBJECT", "Deploy")])
def test_what_cannot_be_meant_is_refused(repo: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=name):
        bump(repo, EDITS)

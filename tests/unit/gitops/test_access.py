"""Credentials come from the environment or mounted files, go to one server only, and are never shown."""

from pathlib import Path

import pytest

from roadie.errors import GitOpsError, UsageError
from roadie.gitops import Access

REPO = "https://git.example.com/a/b.git"


def settings(access: Access, repo: str, private: Path) -> dict[str, str]:
    found = access.environment(repo, repo, private)
    count = int(found["GIT_CONFIG_COUNT"])
    return {found[f"GIT_CONFIG_KEY_{n}"]: found[f"GIT_CONFIG_VALUE_{n}"] for n in range(count)}


def test_a_token_needs_no_user_and_a_password_has_its_own(tmp_path: Path) -> None:
    token = settings(Access.from_environment({"GIT_TOKEN": "t"}), REPO, tmp_path)
    assert token["http.https://git.example.com/.extraHeader"] == "Authorization: Basic eC1hY2Nlc3MtdG9rZW46dA=="
    both = Access.from_environment({"GIT_USERNAME": "u", "GIT_PASSWORD": "p", "GIT_TOKEN": "t"})
    assert (both.username, both.password) == ("u", "p")


@pytest.mark.parametrize("repo", ["/srv/a.git", "ssh://git@git.example.com/a.git", "git@git.example.com:a.git"])
def test_only_http_servers_get_the_password(repo: str, tmp_path: Path) -> None:
    assert "p4ss" not in str(Access("u", "p4ss").environment(repo, repo, tmp_path))


def test_without_credentials_the_users_own_helper_is_left_alone(tmp_path: Path) -> None:
    assert "credential.helper" not in settings(Access(), REPO, tmp_path)
    assert settings(Access("u", "p"), REPO, tmp_path)["credential.helper"] == ""


def test_what_the_caller_configures_by_variables_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    found = Access("u", "p").environment(REPO, REPO, tmp_path)
    assert "GIT_CONFIG_KEY_0" not in found and "GIT_CONFIG_KEY_2" in found


def test_a_key_is_copied_as_ssh_wants_it(tmp_path: Path) -> None:
    mounted = tmp_path / "it's mounted"
    mounted.write_text("-----BEGIN-----\r\nx\r\n-----END-----")
    private = tmp_path / "private"
    private.mkdir()
    access = Access.from_environment({"GIT_SSH_KEY_FILE": str(mounted)})
    command = access.environment("git@git.example.com:a.git", "", private)["GIT_SSH_COMMAND"]
    copy = private / "ssh-key"
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == ("-----BEGIN-----\nx\n-----END-----\n", 0o600)
    for word in (str(copy), "BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes"):
        assert word in command


def test_a_secret_that_is_not_mounted_is_named() -> None:
    for name in ("GIT_PASSWORD_FILE", "GIT_TOKEN_FILE", "GIT_SSH_KEY_FILE", "GIT_CA_FILE"):
        with pytest.raises(GitOpsError, match=f"{name} names /nowhere"):
            Access.from_environment({name: "/nowhere"})


def test_a_password_is_redacted_in_every_form() -> None:
    access = Access("u", "p/%ä word")
    for form in ("p/%ä word", "p%2F%25%C3%A4%20word", "dTpwLyXDpCB3b3Jk"):
        assert access.redact(f"error: {form}.") == "error: ***."
    assert access.redact("https://me:it@host/x") == "https://***@host/x"
    assert "p/%ä" not in repr(access)


@pytest.mark.parametrize("host", ["git.example.com", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com"])
def test_no_password_goes_over_plain_http_but_to_this_machine(host: str) -> None:
    access = Access("u", "s3cret")
    with pytest.raises(UsageError, match="plain HTTP") as refused:
        access.check(f"http://{host}:8080/x.git")
    assert "s3cret" not in str(refused.value)
    access.check(f"https://{host}/x.git")
    Access().check(f"http://{host}/x.git")
    for here in ("127.0.0.1", "127.8.0.1", "localhost", "[::1]"):
        access.check(f"http://{here}:8080/x.git")

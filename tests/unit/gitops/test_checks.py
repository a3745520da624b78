"""Hostile files, branches, URLs, versions, messages and trailers are refused before anything is tried."""

import pytest

from roadie.errors import UsageError
from roadie.gitops import Edit, bump
from roadie.gitops.checks import (
    check_branch,
    check_file,
    check_message,
    check_repository,
    check_trailers,
    check_value,
    is_local,
)


@pytest.mark.parametrize("file", ["values.yaml", "test/values.yaml", "a/b/größe.yml", "a..b/c", ".github/x.yaml"])
def test_a_path_inside_the_repository_is_accepted(file: str) -> None:
    assert check_file(file) == file


@pytest.mark.parametrize(
    "file",
    ["", "/etc/passwd", "../x", "a/../b", "a/./b", "a//b", "a/", ".git/config", "a/.GIT/x", "a/.git /x", "a\\..\\b",
     "-x", "--output=x", ":(glob)*", "a\nb", "a\0b", "\u202ea"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(file: str) -> None:
    with pytest.raises(UsageError, match="the file"):
        check_file(file)


@pytest.mark.parametrize("branch", ["main", "release/test", "roadie/test/jukebox", "v1.0"])
def test_a_branch_is_accepted(branch: str) -> None:
    assert check_branch(branch) == branch


@pytest.mark.parametrize(
    "branch",
    ["", "-x", "--force", "+main", "a b", "a..b", "a~1", "a^", "a:b", "main:refs/heads/x", "a?", "a*", "a[", "a\\b",
     "/a", "a/", "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "@", "a@{1}", "HEAD", "refs/heads/main",
     "a\nb", "a\x7fb", "x" * 201],
)  # fmt: skip
def test_what_is_no_branch_is_refused(branch: str) -> None:
    with pytest.raises(UsageError, match="not a branch name"):
        check_branch(branch)


@pytest.mark.parametrize(
    ("repo", "local"),
    [
        ("https://git.example.com/stars/mlops-gitops.git", False),
        ("http://gitea.gitea.svc:3000/a/b", False),
        ("https://me@git.example.com/a/b.git", False),
        ("ssh://git@git.example.com:2222/a/b.git", False),
        ("git@git.example.com:a/b.git", False),
        ("file:///srv/git/a.git", False),
        ("/srv/git/a.git", True),
        ("relative/a.git", True),
    ],
)
def test_a_repository_is_a_path_or_a_url(repo: str, local: bool) -> None:
    assert check_repository(repo) == repo
    assert is_local(repo) is local


@pytest.mark.parametrize(
    "repo",
    ["", "-oProxyCommand=x", "--upload-pack=x", "ext::sh -c x", "fd::17", "ext://x", "ftp://x/y", "git://x/y", "https://",
     "ssh://-oProxyCommand=x/y", "https://x/a b", "https://x/a\nb", "a\nb", "transport::https://x/y"],
)  # fmt: skip
def test_what_git_could_execute_is_no_repository(repo: str) -> None:
    with pytest.raises(UsageError, match="not a repository"):
        check_repository(repo)


@pytest.mark.parametrize(
    "token",
    ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "glpat-abc", "github_pat_1", "0123456789abcdef" * 2, "g%68p_x"],
)
def test_a_token_as_a_urls_user_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(UsageError, match="looks like a token.*set GIT_TOKEN") as refused:
        check_repository(f"https://{token}@git.example.com/x.git")
    assert token not in str(refused.value)


@pytest.mark.parametrize("user", ["roadie", "x-access-token", "me%40example.com", "project_12_bot", "oauth2"])
def test_a_users_name_in_a_url_is_none(user: str) -> None:
    assert check_repository(f"https://{user}@git.example.com/x.git")


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="set GIT_USERNAME and GIT_PASSWORD") as refused:
        check_repository("https://me:hunter2@git.example.com/a.git")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["", "a b", "-x", ".x", "a/b", "a:b", "a\nb", "x" * 129, "{{ .x }}", 'a"b', "sha256:abc", "é"]
)
def test_a_version_that_no_image_can_have_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="not a version"):
        check_value("a.version", value)


@pytest.mark.parametrize("value", ["1.2.0", "latest", "_x", "4562a17c17-0123456789ab", "sha256:" + "0" * 64, "x" * 128])
def test_a_tag_or_a_digest_is_a_version(value: str) -> None:
    assert check_value("a.version", value) == value


def test_other_keys_take_one_line_of_text_and_digest_takes_a_digest() -> None:
    assert check_value("a.image_repository", "registry.example.com:5000/stars/jukebox")
    for key, value in (("a.name", "x\ny"), ("a.name", "{{x}}"), ("a.name", ""), ("a.name", "a=b"), ("a.digest", "1.0")):
        with pytest.raises(UsageError):
            check_value(key, value)


@pytest.mark.parametrize(
    ("key", "value"),
    [("Roadie-Run", "x\nSigned-off-by: eve"), ("Roadie-Run", "x\ry"), ("Roadie-Run", "x" * 1001), ("A: b\nC", "x"),
     ("", "x"),
     ("Roadie Run", "x"), ("-x", "x"), ("Roadie-Run", "a\u2028b"), ("Roadie-Started", "yesterday")],
)  # fmt: skip
def test_a_trailer_that_could_bring_in_another_is_refused(key: str, value: str) -> None:
    with pytest.raises(UsageError):
        check_trailers({key: value})


@pytest.mark.parametrize("message", ["", " \n", "a\0b", "a\rb", "a\x1b[2Jb"])
def test_a_message_with_control_characters_is_refused(message: str) -> None:
    with pytest.raises(UsageError, match="message"):
        check_message(message)


def test_a_bump_checks_before_it_tries() -> None:
    edit = Edit("test/values.yaml", "a.version", "1")
    for arguments in ({"branch": "-x"}, {"author": "nobody"}, {"trailers": {"a": "x\ny"}}):
        with pytest.raises(UsageError):
            bump("/nowhere", [edit], **arguments)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        bump("ext::sh", [edit])
    with pytest.raises(UsageError, match="nothing to set"):
        bump("/nowhere", [])
    with pytest.raises(UsageError):
        Edit("../x", "a.version", "1")
    with pytest.raises(UsageError):
        Edit("x", "a.version", "1 2")

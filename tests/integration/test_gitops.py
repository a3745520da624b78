"""A bump over HTTP against a real Git server: what lands, what is refused, what is kept secret."""

from pathlib import Path

import pytest

from roadie.errors import GitOpsError
from roadie.gitops import Edit, bump, read_value
from tests.servers.git_http import GitServer, git

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILE, KEY = "test/values.yaml", "applications.jukebox.values.version"


@pytest.fixture
def repo(git_server: GitServer) -> str:
    return git_server.create("mlops-gitops.git", EXAMPLES / "mlops-gitops")


def test_a_bump_changes_one_scalar_and_says_so_in_its_trailers(git_server: GitServer, repo: str) -> None:
    done = bump(repo, [Edit(FILE, KEY, "1.2.0")], trailers={"Roadie-Model": "jukebox", "Roadie-Run": "run-1"})

    bare = str(git_server.root / "mlops-gitops.git")
    assert (done.changed, done.files, done.commit) == (True, (FILE,), git("-C", bare, "rev-parse", "main"))
    assert git("-C", bare, "diff", "--numstat", "main^", "main") == f"1\t1\t{FILE}"
    assert '-        version: latest\n+        version: "1.2.0"\n' in git("-C", bare, "show", "main") + "\n"
    trailers = git("-C", bare, "show", "-s", "--format=%(trailers)", "main").splitlines()
    assert trailers == ["Roadie-Model: jukebox", "Roadie-Run: run-1", f"Roadie-Set: {FILE}:{KEY}=1.2.0"]
    assert read_value(repo, FILE, KEY).value == "1.2.0"


def test_the_same_version_twice_makes_no_commit(repo: str) -> None:
    first = bump(repo, [Edit(FILE, KEY, "1.2.0")])
    second = bump(repo, [Edit(FILE, KEY, "1.2.0")])
    assert (second.changed, second.commit, second.files, second.diff) == (False, first.commit, (), "")


def test_several_files_change_in_one_commit_or_none_does(git_server: GitServer, repo: str) -> None:
    both = [Edit(FILE, KEY, "1.2.0"), Edit("stage/values.yaml", KEY, "1.2.0")]
    done = bump(repo, both)
    assert done.files == ("stage/values.yaml", FILE)
    with pytest.raises(GitOpsError, match=r"stage/values.yaml: .*no such key"):
        bump(repo, [Edit(FILE, KEY, "2"), Edit("stage/values.yaml", KEY + "s", "2")])
    assert git("-C", str(git_server.root / "mlops-gitops.git"), "rev-parse", "main") == done.commit


def test_a_digest_is_set_only_where_its_key_stands(repo: str) -> None:
    key = "applications.jukebox.values.digest"
    digest = "sha256:" + "0" * 64
    done = bump(repo, [Edit(FILE, KEY, "2"), Edit(FILE, key, digest, only_if_present=True)])
    assert (digest in done.diff, read_value(repo, FILE, key).value) == (False, None)
    bump(repo, [Edit(FILE, key, digest, create_missing=True)])
    other = digest.replace("0", "1")
    bump(repo, [Edit(FILE, KEY, "3"), Edit(FILE, key, other, only_if_present=True)])
    assert read_value(repo, FILE, key).value == other


@pytest.mark.parametrize("old", [False, True], ids=["protocol 2", "protocol 0 without single blobs"])
@pytest.mark.parametrize("filters", ["true", "false"])
def test_a_server_that_refuses_filters_gets_plainer_requests(git_server: GitServer, old: bool, filters: str) -> None:
    repo = git_server.create("x.git", EXAMPLES / "mlops-gitops", uploadpack_allowFilter=filters)
    git_server.old = old
    assert bump(repo, [Edit(FILE, KEY, "1.2.0")]).changed
    assert read_value(repo, FILE, KEY).value == "1.2.0"


def test_wrong_credentials_fail_at_once_and_are_not_repeated(
    git_server: GitServer, repo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_PASSWORD", "another-secret")
    with pytest.raises(GitOpsError, match="does not accept the credentials; set GIT_USERNAME") as refused:
        bump(repo, [Edit(FILE, KEY, "1.2.0")])
    assert "another-secret" not in str(refused.value)
    assert len(git_server.requests) <= 2


def test_a_server_in_trouble_is_tried_again(git_server: GitServer, repo: str) -> None:
    git_server.failures = 2
    assert bump(repo, [Edit(FILE, KEY, "1.2.0")]).changed


def test_what_is_not_there_is_named(git_server: GitServer, repo: str) -> None:
    with pytest.raises(GitOpsError, match="no such branch"):
        bump(repo, [Edit(FILE, KEY, "1")], branch="nope")
    with pytest.raises(GitOpsError, match="no repository at"):
        bump(f"{git_server.url}/nope.git", [Edit(FILE, KEY, "1")])
    with pytest.raises(GitOpsError, match=r"has no nope.yaml on main"):
        bump(repo, [Edit("nope.yaml", KEY, "1")])
    with pytest.raises(GitOpsError, match=r"has no nope\.yaml on main; check the path"):
        read_value(repo, "nope.yaml", KEY)

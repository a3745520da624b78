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
    key = "applications.jukebox.digest"
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


def test_a_push_whose_answer_was_lost_makes_one_commit(git_server: GitServer, repo: str) -> None:
    git_server.lost_answers = 1
    done = bump(repo, [Edit(FILE, KEY, "1.2.0")])
    bare = str(git_server.root / "mlops-gitops.git")
    assert (done.changed, done.commit) == (True, git("-C", bare, "rev-parse", "main"))
    assert git("-C", bare, "rev-list", "--count", "main") == "2"


def test_a_server_that_stays_away_is_named(git_server: GitServer, repo: str) -> None:
    git_server.failures = 1000
    with pytest.raises(GitOpsError, match="cannot be reached; check the address"):
        read_value(repo, FILE, KEY, budget=0.5)


def test_an_edit_may_name_the_value_that_it_replaces(repo: str) -> None:
    run = {"Roadie-Run": "1"}
    first = bump(repo, [Edit(FILE, KEY, "2", expected="latest")], trailers=run)
    assert not bump(repo, [Edit(FILE, KEY, "2", expected="latest")], trailers=run).changed
    with pytest.raises(GitOpsError, match=r"is 2 by now, not latest; nothing was changed"):
        bump(repo, [Edit(FILE, KEY, "3", expected="latest")])
    # A killed run's second try finds its commit, even though others have gone on from it.
    bump(repo, [Edit(FILE, KEY, "3", expected="2")])
    again = bump(repo, [Edit(FILE, KEY, "2", expected="latest")], trailers=run)
    assert (again.changed, again.commit) == (False, first.commit)


def test_what_is_not_there_is_named(git_server: GitServer, repo: str) -> None:
    with pytest.raises(GitOpsError, match="has no branch nope"):
        bump(repo, [Edit(FILE, KEY, "1")], branch="nope")
    with pytest.raises(GitOpsError, match="no repository at"):
        bump(f"{git_server.url}/nope.git", [Edit(FILE, KEY, "1")])
    with pytest.raises(GitOpsError, match=r"has no nope.yaml on main"):
        bump(repo, [Edit("nope.yaml", KEY, "1")])
    with pytest.raises(GitOpsError, match=r"has no nope\.yaml on main; check the path"):
        read_value(repo, "nope.yaml", KEY)


def test_this_machines_git_configuration_does_not_get_in_the_way(
    repo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-push").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-push").chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[core]\n hooksPath = {hooks}\n autocrlf = true\n[log]\n showSignature = true\n decorate = full\n"
        "[i18n]\n commitEncoding = latin1\n[diff]\n noprefix = true\n external = false\n[color]\n ui = always\n"
        "[fetch]\n prune = true\n[push]\n followTags = true\n default = nothing\n"
        f"[credential]\n helper = !touch {tmp_path}/asked; false\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE"):
        monkeypatch.setenv(name, str(tmp_path / "another"))
    done = bump(repo, [Edit(FILE, KEY, "1.2.0")], message="Größer {value}")
    assert '+        version: "1.2.0"' in done.diff and "\x1b" not in done.diff
    again = bump(repo, [Edit(FILE, KEY, "1.3.0")])
    assert again.changed
    assert not (tmp_path / "asked").exists()
    assert not (tmp_path / "another").exists()


def test_commits_of_others_are_read_however_odd(git_server: GitServer, repo: str, tmp_path: Path) -> None:
    work = str(tmp_path / "work")
    git("clone", "--quiet", str(git_server.root / "mlops-gitops.git"), work)
    odd = ["", "\n\n", "Roadie-Set: x", "subject\n\nRoadie-Started: soon\nRoadie-Set: no-equals\nRoadie-Run:", "é 🎉"]
    for message in odd:
        git("-C", work, "commit", "--quiet", "--allow-empty", "--allow-empty-message", "-m", message)
    git("-C", work, "push", "--quiet")
    done = bump(repo, [Edit(FILE, KEY, "1.2.0")], trailers={"Roadie-Started": "2026-01-01", "Roadie-Run": "1"})
    assert done.changed


def test_symlinks_and_folders_are_not_followed(git_server: GitServer, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "test").mkdir(parents=True)
    (source / "test" / "values.yaml").write_text("version: a\n")
    (source / "link.yaml").symlink_to("/etc/passwd")
    (source / "folder").symlink_to("test")
    repo = git_server.create("links.git", source)
    for file in ("link.yaml", "test"):
        with pytest.raises(GitOpsError, match="is a folder or a symlink"):
            bump(repo, [Edit(file, "version", "1")])
    with pytest.raises(GitOpsError, match="has no folder/values.yaml"):
        bump(repo, [Edit("folder/values.yaml", "version", "1")])


def test_a_file_keeps_its_mode_and_its_neighbours(git_server: GitServer, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "a" / "b").mkdir(parents=True)
    for name in ("a/größe.yaml", "a/b/v.yaml", "a/b/other.yaml", "top.yaml"):
        (source / name).write_text("version: a\n")
    (source / "a" / "b" / "v.yaml").chmod(0o755)
    repo, bare = git_server.create("modes.git", source), str(git_server.root / "modes.git")
    bump(repo, [Edit("a/b/v.yaml", "version", "1"), Edit("a/größe.yaml", "version", "1")])
    changed = git("-C", bare, "-c", "core.quotePath=false", "diff", "--raw", "--abbrev=1", "main^", "main").splitlines()
    assert [line.split("\t")[1] for line in changed] == ["a/b/v.yaml", "a/größe.yaml"]
    assert changed[0].startswith(":100755 100755")

"""`roadie gitops` as people and CI jobs type it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from roadie.cli.gitops import gitops
from roadie.errors import GitOpsError, RoadieError, UsageError
from roadie.gitops import create_bare, read_value
from tests.servers import git_hosts
from tests.servers.git_http import GitServer
from tests.servers.git_work import Work

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mlops-gitops"
FILE, KEY = "test/values.yaml", "applications.jukebox.values.version"


@pytest.fixture
def repo(tmp_path: Path) -> str:
    create_bare(EXAMPLE, tmp_path / "x.git")
    return str(tmp_path / "x.git")


def roadie(*arguments: str) -> Result:
    done = CliRunner().invoke(gitops, list(arguments))
    if isinstance(done.exception, RoadieError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def test_a_bump_prints_the_difference_or_json(repo: str) -> None:
    done = roadie("bump", "--repo", repo, "--set", f"{FILE}:{KEY}=1.0", "--trailer", "Roadie-Run=7")
    assert '+        version: "1.0"' in done.output
    again = json.loads(roadie("bump", "--repo", repo, "--set", f"{FILE}:{KEY}=1.0", "--json").output)
    assert {"changed", "commit", "branch", "files", "review"} <= set(again)
    assert again["changed"] is False
    said = roadie("bump", "--repo", repo, "--set", f"{FILE}:{KEY}=1.0").output
    assert said.startswith("nothing changed: the values are there already")


def test_promote_rollback_and_status_tell_one_story(repo: str) -> None:
    for version in ("1.0", "2.0"):
        roadie("bump", "--repo", repo, "--set", f"{FILE}:{KEY}={version}")
    roadie("promote", "--repo", repo, "--model", "jukebox", "--from", "test", "--to", "stage")
    roadie("rollback", "--repo", repo, "--model", "jukebox", "--environment", "test", "--reason", "slow")
    rows = json.loads(roadie("status", "--repo", repo, "--json").output)
    assert [(row["environment"], row["version"]) for row in rows] == [("test", "1.0"), ("stage", "2.0")]
    table = roadie("status", "--repo", repo).output
    assert "jukebox" in table and "0 h 0 min" in table


@pytest.mark.parametrize(
    "arguments",
    [("--set", "no-colon=1"), ("--set", "x:y"), ("--set", f"{FILE}:{KEY}=1", "--trailer", "x"),
     ("--set", f"{FILE}:{KEY}=1", "--merge")],
)  # fmt: skip
def test_bad_usage_is_told_as_such(repo: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        roadie("bump", "--repo", repo, *arguments)


def test_a_review_is_opened_and_merged(git_server: GitServer) -> None:
    (git_server.root / "stars").mkdir()
    repo = git_server.create("stars/mlops-gitops.git", EXAMPLE)
    with git_hosts.serving("gitea", git_server.root / "stars" / "mlops-gitops.git") as host:
        review = ["--review", "--host", "gitea", "--api-url", f"{host.url}/api/v1"]
        bump = ["bump", "--repo", repo, "--set", f"{FILE}:{KEY}=1.0", *review]
        opened = json.loads(roadie(*bump, "--json").output)
        assert (opened["state"], opened["review"]) == ("open", f"{host.url}/stars/mlops-gitops/1")
        with pytest.raises(GitOpsError, match="is still open after 0 s"):
            roadie(*bump, "--wait", "0.01")
        assert json.loads(roadie(*bump, "--merge", "--json").output)["state"] == "merged"
    assert read_value(repo, FILE, KEY).value == "1.0"


def test_init_lays_out_both_repositories_for_a_team(tmp_path: Path) -> None:
    said = roadie("init", str(tmp_path / "new"), "--git-server", "git.example.com", "--team", "stars").output
    assert "fill in <REGISTRY>" in said
    values = (tmp_path / "new" / "mlops-gitops" / FILE).read_text()
    assert "source: https://git.example.com/stars/mlops-helmcharts.git" in values
    assert (tmp_path / "new" / "mlops-helmcharts" / "charts" / "model-deployment" / "simple" / "Chart.yaml").is_file()
    with pytest.raises(GitOpsError, match="is there already"):
        roadie("init", str(tmp_path / "new"))


def test_the_table_cuts_no_version_off_and_can_be_searched(repo: str) -> None:
    version = "995878ca7f-0123456789ab"
    roadie("bump", "--repo", repo, "--set", f"{FILE}:{KEY}={version}")
    line = next(line for line in roadie("status", "--repo", repo).output.splitlines() if " test " in line)
    assert version in line and f"Set {KEY} to {version} in {FILE}" in line


@pytest.mark.parametrize("command", [["status"], ["rollback", "--model", "jukebox"], ["promote", "--model", "jukebox"]])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, command: list[str]) -> None:
    work = Work.create(tmp_path)
    (work.folder / FILE).write_text("a: [\n")
    work.commit()
    work.push()
    with pytest.raises(GitOpsError, match=r"test/values.yaml: .*not plain YAML"):
        roadie(command[0], "--repo", work.url, *command[1:])


def test_where_nothing_can_be_laid_out_that_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("a file\n")
    for place in ("/proc/x", str(tmp_path / "README.md" / "x")):
        with pytest.raises(GitOpsError, match=f"{place} cannot be written to .*; name a folder that can"):
            roadie("init", place)

"""Versions walk from test to stage with their digest, and back when they are bad."""

from pathlib import Path

import pytest

from roadie.errors import GitOpsError, UsageError
from roadie.gitops import (
    Bumped,
    Edit,
    Layout,
    Revision,
    bump,
    bump_version,
    look_at,
    promote,
    read_file,
    read_value,
    rollback,
    status,
)
from tests.servers.git_http import GitServer, git

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "mlops-gitops"
KEY = "applications.jukebox.values"
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
def repo(git_server: GitServer) -> str:
    return git_server.create("x.git", EXAMPLE)


def deploy(repo: str, version: str, digest: str = "", environment: str = "test") -> Bumped:
    place = f"{environment}/values.yaml"
    return bump_version(
        repo, place, KEY, version=version, digest=digest, model_name="jukebox", environment=environment,
        run=f"run-{version}", provenance={"data": "sha256:abc", "started": "2026-01-01T00:00:00Z"},
    )  # fmt: skip


def test_a_deployment_says_in_its_trailers_what_it_came_from(git_server: GitServer, repo: str) -> None:
    deploy(repo, "1.0", ONE)
    shown = git("-C", str(git_server.root / "x.git"), "show", "-s", "--format=%s%n%(trailers)", "main").splitlines()
    assert shown == [
        "Deploy jukebox 1.0 to test",
        "Roadie-Model: jukebox",
        "Roadie-Environment: test",
        "Roadie-Version: 1.0",
        f"Roadie-Digest: {ONE}",
        "Roadie-Run: run-1.0",
        "Roadie-Data: sha256:abc",
        "Roadie-Started: 2026-01-01T00:00:00Z",
        f"Roadie-Set: test/values.yaml:{KEY}.version=1.0",
        f"Roadie-Set: test/values.yaml:{KEY}.digest={ONE}",
    ]


def test_an_environment_without_a_values_file_is_not_deployed_to() -> None:
    done = bump_version("/nowhere", "", KEY, version="1", model_name="jukebox", environment="stage")
    assert (done.changed, done.reason) == (False, "no values file is given for it")


def test_a_version_without_a_digest_takes_away_the_digest_of_the_one_before(repo: str) -> None:
    bump(repo, [Edit("test/values.yaml", f"{KEY}.digest", ONE, create_missing=True)])
    deploy(repo, "2.0")
    assert read_value(repo, "test/values.yaml", f"{KEY}.digest").value == ""


def test_a_promotion_carries_exactly_what_test_holds(repo: str) -> None:
    held = deploy(repo, "1.0", ONE)
    done = promote(repo, "jukebox", resolve={"1.0": ONE}.get)
    assert done.changed and done.files == ("stage/values.yaml",)
    (stage,) = status(repo, ["stage"])
    assert (stage.version, stage.digest, stage.commit) == ("1.0", ONE, done.commit)
    assert stage.trailers["Roadie-Promoted-From"] == [f"test@{held.commit}"]
    assert stage.trailers["Roadie-Data"] == ["sha256:abc"]
    assert "Roadie-Run" not in stage.trailers
    assert not promote(repo, "jukebox").changed


def test_a_promotion_sets_the_digest_where_stage_has_a_key_for_it(repo: str) -> None:
    deploy(repo, "1.0", ONE)
    bump(repo, [Edit("stage/values.yaml", f"{KEY}.digest", TWO, create_missing=True)])
    promote(repo, "jukebox")
    assert read_value(repo, "stage/values.yaml", f"{KEY}.digest").value == ONE


@pytest.mark.parametrize(
    ("registry", "sentence"), [({}, "registry has no image of jukebox 1.0"), ({"1.0": TWO}, "the tag was moved")]
)
def test_what_the_registry_does_not_have_is_not_promoted(repo: str, registry: dict[str, str], sentence: str) -> None:
    deploy(repo, "1.0", ONE)
    with pytest.raises(GitOpsError, match=sentence):
        promote(repo, "jukebox", resolve=registry.get)
    assert read_value(repo, "stage/values.yaml", f"{KEY}.version").value == "latest"


def test_what_is_not_there_cannot_be_promoted(repo: str) -> None:
    with pytest.raises(GitOpsError, match="test/values.yaml|holds no version of gramophone"):
        promote(repo, "gramophone")
    with pytest.raises(GitOpsError, match="no-such/values.yaml|holds no version"):
        promote(repo, "jukebox", source="no-such")
    with pytest.raises(UsageError, match="to itself"):
        promote(repo, "jukebox", source="test", target="test")


def test_a_rollback_goes_forward_to_the_last_good_version_and_says_why(git_server: GitServer, repo: str) -> None:
    deploy(repo, "1.0", ONE)
    deploy(repo, "2.0", TWO)
    done = rollback(repo, "jukebox", "test", bad="2.0", reason="not ready after 10 min")
    assert read_value(repo, "test/values.yaml", f"{KEY}.version").value == "1.0"
    log = git("-C", str(git_server.root / "x.git"), "log", "-1", "--format=%s%n%(trailers)", done.commit)
    assert "Roll jukebox in test back from 2.0 to 1.0" in log
    assert f"Roadie-Rolled-Back: test/values.yaml:{KEY}.version=2.0" in log
    assert "Roadie-Reason: not ready after 10 min" in log


def test_a_rollback_restores_the_digest_as_well(repo: str) -> None:
    bump(repo, [Edit("test/values.yaml", f"{KEY}.digest", ONE, create_missing=True)])
    deploy(repo, "1.0", ONE)
    deploy(repo, "2.0", TWO)
    rollback(repo, "jukebox", "test")
    assert read_value(repo, "test/values.yaml", f"{KEY}.digest").value == ONE


def test_a_time_when_the_file_was_broken_is_passed_over(git_server: GitServer, repo: str, tmp_path: Path) -> None:
    deploy(repo, "1.0")
    work = tmp_path / "work"
    git("clone", "--quiet", str(git_server.root / "x.git"), str(work))
    whole = (work / "test" / "values.yaml").read_text()
    for text in ("a: [\n", whole.replace('"1.0"', '"2.0"')):
        (work / "test" / "values.yaml").write_text(text)
        git("-C", str(work), "commit", "--quiet", "--all", "-m", "by hand")
    git("-C", str(work), "push", "--quiet")
    rollback(repo, "jukebox", "test")
    assert read_value(repo, "test/values.yaml", f"{KEY}.version").value == "1.0"


def test_the_bad_version_is_not_deployed_again_by_itself(repo: str) -> None:
    deploy(repo, "1.0")
    deploy(repo, "2.0")
    rollback(repo, "jukebox", "test")
    edit = Edit("test/values.yaml", f"{KEY}.version", "2.0")
    with pytest.raises(GitOpsError, match="2.0 was rolled back"):
        bump(repo, [edit])
    assert bump(repo, [edit], again=True).changed


def test_a_rollback_is_only_made_while_the_bad_version_is_current(repo: str) -> None:
    for version in ("1.0", "2.0", "3.0"):
        deploy(repo, version)
    done = rollback(repo, "jukebox", "test", bad="2.0")
    assert (done.changed, done.reason) == (False, "test holds 3.0 by now, not 2.0")


def test_a_rollback_is_never_rolled_back(repo: str) -> None:
    deploy(repo, "1.0")
    deploy(repo, "2.0")
    rollback(repo, "jukebox", "test")
    with pytest.raises(GitOpsError, match="test was rolled back to 1.0"):
        rollback(repo, "jukebox", "test")
    deploy(repo, "3.0")
    rollback(repo, "jukebox", "test")
    assert read_value(repo, "test/values.yaml", f"{KEY}.version").value == "1.0"


def test_there_must_be_something_to_go_back_to(git_server: GitServer, repo: str, tmp_path: Path) -> None:
    with pytest.raises(GitOpsError, match="no version before latest"):
        rollback(repo, "jukebox", "test")
    with pytest.raises(GitOpsError, match="gramophone"):
        rollback(repo, "gramophone", "test")


def test_the_status_shows_each_model_in_each_environment(repo: str) -> None:
    done = deploy(repo, "1.0", ONE)
    bump(repo, [Edit("test/values.yaml", "applications.jukebox.source_ref", "v2")])
    rows = [(d.environment, d.model, d.version, d.digest, d.subject) for d in status(repo)]
    assert rows == [
        ("test", "jukebox", "1.0", ONE, "Deploy jukebox 1.0 to test"),
        ("stage", "jukebox", "latest", "", "Lay out mlops-gitops"),
    ]
    assert status(repo)[0].commit == done.commit
    with pytest.raises(GitOpsError, match="has no prod/values.yaml"):
        status(repo, ["prod"])


def test_a_long_history_costs_no_request_per_commit(git_server: GitServer, tmp_path: Path) -> None:
    values = tmp_path / "work" / "test" / "values.yaml"
    values.parent.mkdir(parents=True)
    repo = git_server.create("long.git")
    work = str(tmp_path / "work")
    git("init", "--quiet", "--initial-branch=main", work)
    for number in range(30):
        values.write_text(
            f"applications:\n  old.one:\n    values: {{version: v0}}\n  busy: {{values: {{version: {number}}}}}\n"
        )
        git("-C", work, "add", ".")
        git("-C", work, "commit", "--quiet", "-m", f"number {number}")
    git("-C", work, "push", "--quiet", str(git_server.root / "long.git"), "main")
    rows = [(d.model, d.version, d.subject) for d in status(repo, ["test"])]
    assert rows == [("old.one", "v0", "number 0"), ("busy", "29", "number 29")]
    assert len(git_server.requests) < 15


def test_another_layout_is_described_by_its_patterns(git_server: GitServer, tmp_path: Path) -> None:
    config = tmp_path / "source" / "model-deployments" / "test" / "apps.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("apps:\n- name: jukebox\n  version: '1.0'\n- name: radio\n  version: 3\n")
    repo = git_server.create("y.git", tmp_path / "source")
    layout = Layout("model-deployments/{environment}/apps.yaml", "apps", "apps[name={model}]")
    assert [(d.model, d.version) for d in status(repo, ["test"], layout=layout)] == [("jukebox", "1.0"), ("radio", "3")]


def test_a_revision_tells_its_version_and_whether_it_has_a_commit_in_it(repo: str) -> None:
    first, second = deploy(repo, "1.0"), deploy(repo, "2.0")
    later = bump(repo, [Edit("stage/values.yaml", f"{KEY}.version", "0.9")])

    def seen(revision: str) -> Revision | None:
        return look_at(repo, revision, "test/values.yaml", KEY, commit=second.commit)

    assert seen(first.commit) == Revision("1.0", contains=False)
    assert seen(second.commit) == seen(later.commit) == Revision("2.0", contains=True)
    assert seen("0" * 40) is None


def test_a_file_is_read_as_a_commit_of_the_branch_has_it(repo: str) -> None:
    first, second = deploy(repo, "1.0"), deploy(repo, "2.0")
    assert b'"1.0"' in read_file(repo, "test/values.yaml", revision=first.commit).content
    tip = read_file(repo, "test/values.yaml")
    assert (b'"2.0"' in tip.content, tip.commit) == (True, second.commit)
    with pytest.raises(GitOpsError, match="has no commit 0000000000 among the newest of main"):
        read_file(repo, "test/values.yaml", revision="0" * 40)
    with pytest.raises(GitOpsError, match="has no compiled/x.yaml in"):
        read_file(repo, "compiled/x.yaml")


def promote_by_the_pipeline(repo: str, **options: str) -> Bumped:
    return bump_version(
        repo, "stage/values.yaml", KEY, model_name="jukebox", environment="stage", run="run-7", source="test",
        source_file="test/values.yaml", provenance={"started": "2026-01-02T00:00:00Z"}, **options
    )  # fmt: skip


def test_the_pipeline_promotes_what_test_holds_under_its_own_run(repo: str) -> None:
    deploy(repo, "1.0", ONE)
    done = promote_by_the_pipeline(repo, version="1.0", digest=ONE)
    (stage,) = status(repo, ["stage"])
    assert (stage.version, stage.digest, stage.commit) == ("1.0", ONE, done.commit)
    assert (done.version, done.digest, done.in_place) == ("1.0", ONE, True)
    assert stage.trailers["Roadie-Run"] == ["run-7"]
    assert stage.trailers["Roadie-Started"] == ["2026-01-02T00:00:00Z"]
    assert stage.trailers["Roadie-Data"] == ["sha256:abc"]


def test_a_version_that_test_does_not_hold_any_more_is_not_promoted(repo: str) -> None:
    deploy(repo, "2.0")
    done = promote_by_the_pipeline(repo, version="1.0")
    assert (done.changed, done.reason) == (False, "test holds 2.0 by now, not 1.0")
    assert read_value(repo, "stage/values.yaml", f"{KEY}.version").value == "latest"


def test_a_promotion_over_a_version_that_was_not_compared_with_is_refused(repo: str) -> None:
    deploy(repo, "1.0")
    with pytest.raises(GitOpsError, match="is latest by now, not 0.9"):
        promote_by_the_pipeline(repo, replacing="0.9")


def test_without_a_version_and_without_a_source_there_is_nothing_to_deploy() -> None:
    with pytest.raises(UsageError, match="no version is given for stage"):
        bump_version("/nowhere", "stage/values.yaml", KEY, model_name="jukebox", environment="stage")

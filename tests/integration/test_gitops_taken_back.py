"""What was taken back does not come back by itself, and messages are believed where the file bears them out."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from components.bump_version import bump_version as step
from roadie.cli import roadie
from roadie.errors import GitOpsError
from roadie.gitops import Edit, bump, promote, read_value, rollback
from tests.servers.git_work import FILE, Work, deploy, key_of

KEY = f"{key_of('jukebox')}.version"
PLACE = f"{FILE}:{KEY}"
FAR = {"Roadie-Started": "2026-01-01T00:00:00Z"}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    work = Work.create(tmp_path)
    deploy(work.url, "v1")
    deploy(work.url, "v2")
    work.pull()
    return work


def by_git_revert(work: Work) -> None:
    work.git("revert", "--no-edit", "HEAD")


def by_a_hosts_button(work: Work) -> None:
    work.edit("jukebox", '"v1"', 'Revert "Deploy jukebox v2 to test (#12)"\n\nReverts team/repo#12')


def by_a_short_id(work: Work) -> None:
    head = work.git("rev-parse", "--short", "HEAD")
    work.edit("jukebox", '"v1"', f"Undo\n\nThis reverts commit {head}.")


def by_hand(work: Work) -> None:
    work.edit("jukebox", '"v1"', "back to what worked")


def by_reverting_a_merge(work: Work) -> None:
    by_git_revert(work)
    work.git("checkout", "--quiet", "-b", "review", "HEAD~1")
    work.set("wine", "w1")
    work.commit("another")
    work.git("checkout", "--quiet", "main")
    work.git("merge", "--quiet", "--no-ff", "--no-edit", "review")


def by_a_rollback(work: Work) -> None:
    rollback(work.url, "jukebox", "test")
    work.pull()


def by_a_rollback_with_a_paragraph_after_it(work: Work) -> None:
    trailers = f"Roadie-Rolled-Back: {PLACE}=v2\nRoadie-Set: {PLACE}=v1"
    work.edit("jukebox", '"v1"', f"Back (#3)\n\n{trailers}\n\n---------\n\nCo-authored-by: A <a@example.com>")


def by_a_rollback_squashed_with_another_deployment(work: Work) -> None:
    back = f"* Roll back\n\nRoadie-Rolled-Back: {PLACE}=v2\nRoadie-Version: v1\nRoadie-Set: {PLACE}=v1"
    work.edit("jukebox", '"v3"', f"Both (#4)\n\n{back}\n\n* Deploy\n\nRoadie-Version: v3\nRoadie-Set: {PLACE}=v3")


def by_a_merged_review(work: Work) -> None:
    work.git("checkout", "--quiet", "-b", "review")
    by_a_rollback_with_a_paragraph_after_it(work)
    work.git("checkout", "--quiet", "main")
    work.edit("wine", "w1")
    work.git("merge", "--quiet", "--no-ff", "--no-edit", "review")


def long_ago(work: Work) -> None:
    by_hand(work)
    work.noise(205)


WAYS = [
    by_git_revert, by_a_hosts_button, by_a_short_id, by_hand, by_reverting_a_merge, by_a_rollback,
    by_a_rollback_with_a_paragraph_after_it, by_a_rollback_squashed_with_another_deployment, by_a_merged_review,
    long_ago,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_was_taken_back_does_not_come_back_by_itself(work: Work, way: Callable[[Work], None]) -> None:
    way(work)
    tip = work.push()
    with pytest.raises(GitOpsError, match=r"v2 was rolled back by a commit since; .* \(roadie gitops bump --again\)"):
        deploy(work.url, "v2")
    work.pull()
    assert work.git("rev-parse", "main") == tip
    assert bump(work.url, [Edit(FILE, KEY, "v2")], again=True).changed


@pytest.mark.parametrize("way", [by_git_revert, by_hand, by_a_hosts_button], ids=lambda way: way.__name__)
def test_a_rollback_does_not_go_back_to_what_was_taken_back(work: Work, way: Callable[[Work], None]) -> None:
    way(work)
    work.push()
    with pytest.raises(GitOpsError, match="test has had no version before v1"):
        rollback(work.url, "jukebox", "test")
    deploy(work.url, "v3")
    rollback(work.url, "jukebox", "test")
    assert read_value(work.url, FILE, KEY).value == "v1"


def test_a_revert_that_was_itself_reverted_forbids_nothing(work: Work) -> None:
    work.git("revert", "--no-edit", "HEAD")
    work.git("revert", "--no-edit", "HEAD")
    work.push()
    deploy(work.url, "v3")
    rollback(work.url, "jukebox", "test")
    assert read_value(work.url, FILE, KEY).value == "v2"


LIES = [
    f"Docs\n\nRoadie-Set: {PLACE}=x\nRoadie-Started: 2999-01-01T00:00:00Z",
    f"Docs\n\nRoadie-Set: {PLACE}=x\nRoadie-Started: 2026-11-01T00:00:00Z",
    f"Docs\n\nRoadie-Rolled-Back: {PLACE}=v3\nRoadie-Set: {PLACE}=v2",
    f"Docs\n\nRoadie-Run: run-v3\nRoadie-Set: {PLACE}=v3",
]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("other", ["README.md", FILE])
def test_a_message_about_a_key_that_its_commit_left_alone_freezes_nothing(
    work: Work, lie: str, merged: bool, other: str
) -> None:
    work.git("checkout", "--quiet", "-b", "docs")
    if other == FILE:
        work.edit("wine", "w1", lie)
    else:
        (work.folder / other).write_text("words\n")
        work.git("add", ".")
        work.commit(lie)
    work.git("checkout", "--quiet", "main")
    if merged:
        work.git("merge", "--quiet", "--no-ff", "-m", lie, "docs")
    else:
        work.git("merge", "--quiet", "--ff-only", "docs")
    work.push()
    done = deploy(work.url, "v3", provenance={"started": "2026-01-01T00:00:00Z"})
    assert (done.changed, done.withheld) == (True, False)


def test_a_start_in_the_future_freezes_nothing_where_the_commit_did_set_the_key(work: Work) -> None:
    work.edit("jukebox", '"vx"', f"Deploy\n\nRoadie-Set: {PLACE}=vx\nRoadie-Started: 2999-01-01T00:00:00Z")
    work.push()
    assert deploy(work.url, "v3", provenance={"started": "2026-01-01T00:00:00Z"}).changed


def test_an_older_run_is_withheld_also_when_the_newer_one_came_by_a_merge(work: Work) -> None:
    work.git("checkout", "--quiet", "-b", "review")
    work.edit("jukebox", '"v5"', f"Deploy\n\nRoadie-Set: {PLACE}=v5\nRoadie-Started: 2026-02-01T00:00:00Z")
    work.git("checkout", "--quiet", "main")
    work.edit("wine", "w1")
    work.git("merge", "--quiet", "--no-ff", "--no-edit", "review")
    work.push()
    done = deploy(work.url, "v3", provenance={"started": "2026-01-01T00:00:00Z"})
    assert (done.changed, done.withheld) == (False, True)


def test_a_promoted_version_that_is_not_deployed_fails_the_step_and_the_command(work: Work) -> None:
    deploy(work.url, "v5", provenance={"started": "2026-02-01T00:00:00Z"})
    settings = {"environment": "test", "model_name": "jukebox", "started": "2026-01-01T00:00:00Z"}
    with pytest.raises(GitOpsError, match="test does not get jukebox v3: a run that started later has set"):
        step.function(work.url, version="v3", **settings)
    with pytest.raises(GitOpsError, match="stage does not get jukebox v3: test holds v5 by now, not v3"):
        step.function(work.url, version="v3", source="test", **{**settings, "environment": "stage"})
    command = ["gitops", "bump", "--repo", work.url, "--set", f"{PLACE}=v3", "--trailer", "Roadie-Started=2026-01-01"]
    told = CliRunner().invoke(roadie, command)
    assert isinstance(told.exception, GitOpsError) and "a run that started later" in str(told.exception)


def test_a_retry_of_a_run_whose_version_was_replaced_since_is_no_failure(work: Work) -> None:
    deploy(work.url, "v3")
    deploy(work.url, "v4")
    again = deploy(work.url, "v3")
    assert (again.changed, again.withheld) == (False, False)


def test_stage_keeps_what_was_taken_back_there_out(work: Work) -> None:
    promote(work.url, "jukebox")
    deploy(work.url, "v3")
    promote(work.url, "jukebox")
    rollback(work.url, "jukebox", "stage")
    with pytest.raises(GitOpsError, match="v3 was rolled back"):
        promote(work.url, "jukebox")


def test_a_digest_that_went_when_a_version_without_one_came_may_return(work: Work) -> None:
    one = "sha256:" + "1" * 64
    work.set("jukebox", 'latest\n      digest: ""', "source_ref")
    work.commit()
    work.push()
    deploy(work.url, "v3", digest=one)
    deploy(work.url, "v4")
    bump(work.url, [Edit(FILE, KEY, "v5"), Edit(FILE, KEY.replace("version", "digest"), one, only_if_present=True)])
    assert read_value(work.url, FILE, KEY.replace("version", "digest")).value == one

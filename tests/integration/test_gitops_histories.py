"""What is deployed is what the branch's tip says, and its history is that of the branch, however it was merged."""

from collections.abc import Callable
from pathlib import Path

import pytest

from roadie.errors import GitOpsError
from roadie.gitops import Edit, bump, deployed, promote, rollback, status
from tests.servers.git_http import git
from tests.servers.git_work import FILE, Work, deploy, key_of

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
PLACE = f"{FILE}:{key_of('jukebox')}.version"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work.create(tmp_path)


def merge(work: Work, *branches: str, strategy: str = "", resolved: str = "") -> None:
    """Merge into main by a merge commit, with a conflict resolved."""
    work.git("checkout", "--quiet", "main")
    options = [f"--strategy-option={strategy}"] if strategy else []
    work.git("merge", "--quiet", "--no-ff", "--no-commit", *options, *branches)
    if resolved:
        work.set("jukebox", resolved)
    work.commit("Merge")


def a_review_merged_after_another_model(work: Work) -> None:
    work.edit("jukebox", "v3")
    work.git("checkout", "--quiet", "main")
    work.edit("wine", "w1")
    merge(work, "side")


def a_review_younger_than_another_model(work: Work) -> None:
    work.git("checkout", "--quiet", "main")
    work.edit("wine", "w1")
    work.git("checkout", "--quiet", "side")
    work.edit("jukebox", "v3")
    merge(work, "side")


def a_branch_that_changed_another_key(work: Work) -> None:
    work.set("wine", "other", "source_ref")
    work.commit()
    work.git("checkout", "--quiet", "main")
    work.edit("jukebox", "v3")
    merge(work, "side")


def a_branch_of_another_model(work: Work) -> None:
    work.edit("wine", "w1")
    work.git("checkout", "--quiet", "main")
    work.edit("jukebox", "v3")
    merge(work, "side")


def a_conflict_in_which_ours_stays(work: Work) -> None:
    work.edit("jukebox", "v9")
    work.git("checkout", "--quiet", "main")
    work.edit("jukebox", "v3")
    merge(work, "side", strategy="ours")


def a_conflict_resolved_by_hand(work: Work) -> None:
    work.edit("jukebox", "v9")
    work.git("checkout", "--quiet", "main")
    work.edit("wine", "w1")
    merge(work, "side", strategy="ours", resolved="v3")


def an_octopus(work: Work) -> None:
    work.edit("jukebox", "v3")
    work.git("checkout", "--quiet", "-b", "other", "main")
    work.edit("wine", "w1")
    work.git("checkout", "--quiet", "main")
    (work.folder / "README.md").write_text("a commit of main's own\n")
    work.git("add", ".")
    work.commit()
    work.git("merge", "--quiet", "--no-ff", "side", "other")


def a_squash(work: Work) -> None:
    work.edit("jukebox", "v9")
    work.edit("jukebox", "v3")
    work.git("checkout", "--quiet", "main")
    work.edit("wine", "w1")
    work.git("merge", "--quiet", "--squash", "side")
    work.git("commit", "--quiet", "--no-edit")


def a_rebase(work: Work) -> None:
    work.edit("jukebox", "v3")
    work.git("checkout", "--quiet", "main")
    work.edit("wine", "w1")
    work.git("checkout", "--quiet", "side")
    work.git("rebase", "--quiet", "main")
    work.git("checkout", "--quiet", "main")
    work.git("merge", "--quiet", "--ff-only", "side")


def a_merge_that_was_reverted_and_another_version_since(work: Work) -> None:
    work.edit("jukebox", "v9")
    work.git("checkout", "--quiet", "main")
    work.edit("wine", "w1")
    merge(work, "side")
    work.git("revert", "--no-edit", "-m1", "HEAD")
    work.edit("jukebox", "v3")


SHAPES = [
    a_review_merged_after_another_model,
    a_review_younger_than_another_model,
    a_branch_that_changed_another_key,
    a_branch_of_another_model,
    a_conflict_in_which_ours_stays,
    a_conflict_resolved_by_hand,
    an_octopus,
    a_squash,
    a_rebase,
    a_merge_that_was_reverted_and_another_version_since,
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_every_shape_of_history_goes_from_v2_to_v3(work: Work, shape: Callable[[Work], None]) -> None:
    for version in ("v1", "v2"):
        work.edit("jukebox", version)
    work.git("checkout", "--quiet", "-b", "side")
    shape(work)
    work.push()

    assert {d.model: d.version for d in status(work.url, ["test"])}["jukebox"] == "v3"
    promote(work.url, "jukebox")
    for environment in ("test", "stage"):
        now = deployed(work.url, environment, "jukebox")
        assert now and now.version == "v3"
    done = rollback(work.url, "jukebox", "test", bad="v3")
    assert "back from v3 to v2" in subject(work, done.commit)
    with pytest.raises(GitOpsError, match="v3 was rolled back"):
        bump(work.url, [Edit(FILE, f"{key_of('jukebox')}.version", "v3")])


def subject(work: Work, commit: str) -> str:
    work.pull()
    return work.git("show", "-s", "--format=%s", commit)


def test_a_merge_tells_what_the_commit_that_it_brought_in_tells(work: Work) -> None:
    deploy(work.url, "v1", digest=ONE)
    work.pull()
    work.git("checkout", "--quiet", "-b", "review")
    work.edit("jukebox", "v2", f"Deploy\n\nRoadie-Version: v2\nRoadie-Digest: {TWO}\nRoadie-Set: {PLACE}=v2")
    work.git("checkout", "--quiet", "main")
    work.edit("wine", "w1")
    work.git("merge", "--quiet", "--no-ff", "review")
    tip = work.push()
    now = deployed(work.url, "test", "jukebox")
    assert now and (now.version, now.digest, now.commit) == ("v2", TWO, tip)


def test_a_rollback_carries_what_the_version_is_made_of_and_a_promotion_takes_it_on(work: Work) -> None:
    made = {"manifests": f"{ONE} {TWO}", "data": "sha256:abc", "started": "2026-01-01T00:00:00Z"}
    for version, digest in (("v1", ONE), ("v2", TWO)):
        deploy(work.url, version, digest=digest, provenance=made)
    done = rollback(work.url, "jukebox", "test", reason="not ready")
    for environment in ("test", "stage"):
        now = deployed(work.url, environment, "jukebox")
        assert now and (now.version, now.digest) == ("v1", ONE)
        assert now.trailers["Roadie-Digest"] == [ONE]
        assert now.trailers["Roadie-Manifests"] == [f"{ONE} {TWO}"]
        assert now.trailers["Roadie-Data"] == ["sha256:abc"]
        promote(work.url, "jukebox")
    work.pull()
    said = work.git("show", "-s", "--format=%B", done.commit)
    assert f"Roadie-Digest: {ONE}" in said and "Roadie-Started" not in said and "Roadie-Run" not in said
    # And again, from a version that was only ever gone back to since.
    deploy(work.url, "v3", digest=TWO)
    assert "back from v3 to v1" in subject(work, rollback(work.url, "jukebox", "test").commit)
    now = deployed(work.url, "test", "jukebox")
    assert now and (now.version, now.digest) == ("v1", ONE)


def test_a_version_that_an_older_rollback_left_without_a_digest_has_that_of_its_first_commit(work: Work) -> None:
    deploy(work.url, "v1", digest=ONE, provenance={"manifests": TWO})
    deploy(work.url, "v2", digest=TWO)
    work.pull()
    work.edit("jukebox", '"v1"', f"Roll back\n\nRoadie-Version: v1\nRoadie-Rolled-Back: {PLACE}=v2")
    work.push()
    promote(work.url, "jukebox")
    for environment in ("test", "stage"):
        now = deployed(work.url, environment, "jukebox")
        assert now and (now.version, now.digest) == ("v1", ONE)
        assert now.trailers["Roadie-Manifests"] == [TWO]


def test_a_digest_given_by_hand_is_told(work: Work) -> None:
    edit = Edit(FILE, f"{key_of('jukebox')}.version", "v1")
    bump(work.url, [edit], trailers={"Roadie-Digest": ONE})
    now = deployed(work.url, "test", "jukebox")
    assert now and now.digest == ONE


@pytest.mark.parametrize("first", ["latest", '""', ""])
def test_a_first_version_has_nothing_to_go_back_to(work: Work, first: str) -> None:
    work.edit("jukebox", first)
    tip = work.push()
    deploy(work.url, "v1")
    with pytest.raises(GitOpsError, match="test has had no version before v1 that jukebox could go back to; deploy"):
        rollback(work.url, "jukebox", "test")
    work.pull()
    assert work.git("rev-parse", "main^") == tip


@pytest.mark.parametrize("filters", ["true", "false"])
def test_a_version_of_long_ago_is_found_with_its_commit_and_the_one_before(work: Work, filters: str) -> None:
    git("-C", work.url, "config", "uploadpack.allowFilter", filters)
    deploy(work.url, "v1", digest=ONE)
    work.pull()
    work.noise(230)
    work.push()
    set_by = deploy(work.url, "v2", digest=TWO).commit
    work.pull()
    work.noise(230)
    work.push()
    now = deployed(work.url, "test", "jukebox")
    assert now and (now.version, now.digest, now.commit) == ("v2", TWO, set_by)
    rollback(work.url, "jukebox", "test")
    now = deployed(work.url, "test", "jukebox")
    assert now and (now.version, now.digest) == ("v1", ONE)

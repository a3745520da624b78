from typing import Any

from roadie.rollout import Target, Wanted
from roadie.rollout.course import Course
from roadie.rollout.look import BLOCKED, DEGRADED, HEALTHY, Look, Snapshot
from tests.rollouts import load, merged

BASE, MOVES = load("base"), load("moves")
WANTED = Wanted("1.1.0", f"sha256:{'2' * 64}", commit="1" * 40)
GONE: dict[str, Any] = {}


def course(**options: Any) -> Course:
    target = Target("jukebox", "music", "test", gitops_repo="https://git.example.com/mlops/mlops-gitops.git")
    return Course(target, WANTED, 100.0, **{"timeout": 60.0, "soak": 0.0, "grace": 6.0, **options})


def done(name: str, *moves: str) -> Any:
    found = merged(BASE[name], {"metadata": {"generation": 1}})
    for move in moves:
        found = merged(found, MOVES[move].get(name, {}))
    return found


OLD = Snapshot(done("application"), done("service"), [done("deployment")], [done("old-pod")])
NEW = Snapshot(
    done("application", "synced"),
    done("service", "asked", "deploying"),
    [done("deployment", "deploying", "ready", "replaced")],
    [done("new-pod", "pulled", "ready")],
)


def with_service(snapshot: Snapshot, patch: Any) -> Snapshot:
    return Snapshot(snapshot.application, merged(snapshot.service, patch), snapshot.deployments, snapshot.pods)


UNREADY = with_service(NEW, {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Flaps"}]}})
FAILED = with_service(
    NEW, {"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "RevisionFailed"}]}}
)
THIRD = with_service(NEW, {"spec": {"predictor": {"model": {"storageUri": "oci://r/jukebox:9"}}}})


def test_a_version_that_nobody_tried_is_blocked_when_the_time_is_up() -> None:
    run = course()
    run.see(OLD, 101.0)
    assert run.outcome(159.9) == ""
    assert run.left(159.0) == 1.0
    assert run.outcome(160.0) == "blocked"


COMING = Snapshot(
    NEW.application,
    done("service", "asked", "deploying"),
    [done("deployment", "deploying")],
    [done("new-pod", "pulled")],
)


def test_a_version_that_never_gets_ready_is_timed_out() -> None:
    run = course()
    run.see(COMING, 101.0)
    assert (run.outcome(159.9), run.outcome(160.0)) == ("", "timed-out")


def test_a_version_that_has_only_just_come_has_its_graces_before_it_is_timed_out() -> None:
    run = course()
    run.see(OLD, 101.0)
    run.see(COMING, 150.0)
    assert (run.outcome(179.9), run.left(179.0), run.outcome(180.0)) == ("", 1.0, "timed-out")


def test_what_others_do_about_a_version_that_serves_is_a_remark_and_begins_no_soak_anew() -> None:
    run = course(soak=10.0)
    run.see(NEW, 101.0)
    heals = {"sync": {"autoHealAttemptsCount": 2}}
    differs = merged(NEW.application, {"operation": heals, "status": {"sync": {"status": "OutOfSync"}}})
    run.see(Snapshot(differs, NEW.service, NEW.deployments, NEW.pods), 105.0)
    assert run.outcome(111.0) == "healthy"
    assert "(Application argocd/test: its sync at 111111111111 is running" in run.look.reason


def test_what_git_holds_in_its_place_supersedes_it_at_once() -> None:
    run = course()
    run.see(OLD, 101.0)
    run.hear("main holds 1.2.0", 101.0)
    assert (run.outcome(101.0), run.look.reason) == ("superseded", "main holds 1.2.0")


def test_a_third_version_while_git_holds_ours_is_what_somebody_did_by_hand() -> None:
    run = course()
    run.see(NEW, 101.0)
    run.see(THIRD, 102.0)
    assert run.doubts
    run.hear("", 102.0)
    assert (run.outcome(102.0), run.outcome(160.0)) == ("", "blocked")
    assert run.look.reason.endswith("which is neither ours nor what it was, while Git holds 1.1.0")


def test_healthy_counts_when_it_has_lasted() -> None:
    run = course(soak=10.0)
    run.see(NEW, 101.0)
    assert (run.outcome(110.9), run.left(110.0), run.outcome(111.0)) == ("", 1.0, "healthy")


def test_a_soak_that_began_in_time_may_end_after_it_and_a_relapse_then_is_late() -> None:
    run = course(soak=10.0)
    run.see(NEW, 155.0)
    assert (run.outcome(160.0), run.left(160.0)) == ("", 5.0)
    run.see(COMING, 161.0)
    assert run.outcome(161.0) == "timed-out"


def test_a_relapse_begins_the_soak_anew_and_another_reason_does_not() -> None:
    run = course(soak=10.0)
    run.see(NEW, 101.0)
    run.see(UNREADY, 105.0)
    run.see(NEW, 106.0)
    assert run.outcome(112.0) == ""
    run.see(with_service(NEW, {"metadata": {"labels": {"a": "b"}}}), 114.0)
    assert run.outcome(116.0) == "healthy"


def test_a_failure_counts_when_it_has_lasted_its_grace() -> None:
    run = course()
    run.see(FAILED, 101.0)
    assert (run.look.state, run.outcome(106.9), run.left(106.0), run.outcome(107.0)) == (DEGRADED, "", 1.0, "degraded")


def test_a_failure_that_passes_is_forgotten() -> None:
    run = course()
    run.see(FAILED, 101.0)
    run.see(UNREADY, 104.0)
    run.see(FAILED, 105.0)
    assert run.outcome(108.0) == ""


def test_a_failure_at_the_end_is_a_failure() -> None:
    run = course()
    run.see(COMING, 101.0)
    run.see(FAILED, 159.0)
    assert run.outcome(160.0) == "degraded"


def test_what_had_our_version_and_has_another_is_superseded_at_once() -> None:
    run = course()
    run.see(NEW, 101.0)
    run.see(THIRD, 102.0)
    assert run.outcome(102.0) == "superseded"


def test_back_at_the_version_before_is_superseded_as_well() -> None:
    run = course()
    run.see(OLD, 101.0)
    run.see(UNREADY, 102.0)
    run.see(Snapshot(NEW.application, OLD.service, OLD.deployments, OLD.pods), 103.0)
    assert run.outcome(103.0) == "superseded"


def test_a_third_version_means_nothing_while_argo_cd_is_before_our_commit() -> None:
    run = course()
    run.see(OLD, 101.0)
    run.see(Snapshot(OLD.application, THIRD.service, OLD.deployments, OLD.pods), 102.0)
    assert run.outcome(150.0) == ""


def test_a_revision_that_git_does_not_know_has_time_although_ours_was_there() -> None:
    run = course(contains=lambda revision: False, newer=lambda revision: False)
    run.see(NEW, 101.0)
    unknown = merged(NEW.application, {"status": {"sync": {"revision": "4" * 40}}})
    run.see(Snapshot(unknown, NEW.service, NEW.deployments, NEW.pods), 102.0)
    assert run.outcome(120.0) == ""
    assert run.outcome(132.0) == "superseded"


def test_what_is_gone_has_time_to_come_back_and_is_no_failure_of_the_version() -> None:
    run = course(timeout=600.0)
    run.see(OLD, 101.0)
    run.see(Snapshot(OLD.application, GONE), 102.0)
    assert run.look.reason.startswith("Application argocd/test: it is at 000000000000")
    run.see(Snapshot(NEW.application, GONE), 103.0)
    assert (run.look.state, run.outcome(132.9), run.outcome(133.0)) == (BLOCKED, "", "blocked")
    run.see(NEW, 108.0)
    assert run.outcome(108.0) == "healthy"


def test_a_failing_pod_is_told_before_what_argo_cd_makes_of_it() -> None:
    run = course()
    degraded = merged(NEW.application, {"status": {"health": {"status": "Degraded"}}})
    run.see(Snapshot(degraded, FAILED.service, NEW.deployments, NEW.pods), 101.0)
    assert run.look.reason.startswith("InferenceService music/jukebox: ")


def test_one_of_the_two_is_enough() -> None:
    run = course()
    run.see(Snapshot(application=NEW.application), 101.0)
    assert run.look == Look(HEALTHY, "Application argocd/test: it is Synced at 111111111111 and Healthy")

from collections.abc import Collection
from typing import Any

import pytest

from roadie.rollout import Wanted
from roadie.rollout.application import Beside, judge_application, revision
from roadie.rollout.look import (
    BLOCKED,
    DEGRADED,
    GRACE,
    HEALTHY,
    LONG,
    PROGRESS,
    SUPERSEDED,
    UNREADY,
    WAITING,
    Look,
)
from tests.rollouts import load, merged

OURS, OLD, LATER = "1" * 40, "0" * 40, "3" * 40
DIGEST = f"sha256:{'2' * 64}"
WANTED = Wanted("1.1.0", DIGEST, commit=OURS)
GIT = "https://git.example.com/mlops/mlops-gitops.git"
CHARTS = {"repoURL": "https://charts.example.com"}
BASE, MOVES = load("base"), load("moves")
SYNCED = merged(BASE["application"], MOVES["synced"]["application"])


def judged(
    now: Any,
    *,
    first: Any = BASE["application"],
    wanted: Wanted = WANTED,
    repository: str = GIT,
    holds: Collection[str] = (OURS,),
    newer: Collection[str] = (),
    watched: bool = True,
    arrived: bool = False,
) -> Look:
    return judge_application(
        now, first, wanted, repository, holds.__contains__, newer.__contains__, Beside(watched, arrived)
    )


def status(**changes: Any) -> Any:
    return merged(SYNCED, {"status": changes})


def test_the_old_revision_is_waited_out_and_ours_is_healthy() -> None:
    assert judged(BASE["application"]).state == WAITING
    assert judged(SYNCED) == Look(HEALTHY, "it is Synced at 111111111111 and Healthy")


def test_a_later_revision_counts_by_what_it_holds() -> None:
    later = status(sync={"revision": LATER})
    assert judged(later, holds=[OURS, LATER]).state == HEALTHY
    assert judged(later, newer=[LATER]).state == SUPERSEDED
    assert judged(later).state == WAITING


def test_without_a_commit_only_its_health_counts() -> None:
    assert judged(BASE["application"], wanted=Wanted("1.1.0", DIGEST)).state == HEALTHY


@pytest.mark.parametrize(
    "address",
    [
        "https://git.example.com/mlops/mlops-gitops",
        "https://user:secret@git.example.com/mlops/mlops-gitops.git/",
        "git@git.example.com:mlops/mlops-gitops.git",
        "ssh://git@git.example.com/mlops/mlops-gitops.git",
        "https://GIT.example.com/mlops/mlops-gitops.git",
    ],
)
def test_one_repository_has_many_addresses(address: str) -> None:
    elsewhere = {
        "source": None,
        "sources": [{"repoURL": "https://charts.example.com"}, {"repoURL": address, "ref": "v"}],
    }
    sync = {"revision": None, "revisions": ["1.2.3", OURS]}
    assert judged(merged(SYNCED, {"spec": elsewhere, "status": {"sync": sync}})).state == HEALTHY


def test_with_several_sources_that_of_the_repository_counts() -> None:
    sources = {
        "source": None,
        "sources": [{"repoURL": "https://charts.example.com"}, {"repoURL": GIT, "ref": "values"}],
    }
    sync = {"revision": None, "revisions": ["1.2.3", OLD]}
    now = merged(SYNCED, {"spec": sources, "status": {"sync": sync}})
    assert judged(now, holds=[OURS, "1.2.3"]).state == WAITING
    assert revision(now) == f"1.2.3,{OLD}"


@pytest.mark.parametrize(
    "helm",
    [
        {"valuesObject": {"name": "jukebox", "version": "1.1.0"}},
        {"valuesObject": {"models": [{"digest": DIGEST}]}},
        {"values": "name: jukebox\nversion: '1.1.0'\n"},
        {"parameters": [{"name": "name", "value": "jukebox"}, {"name": "model.version", "value": "1.1.0"}]},
    ],
    ids=["object", "digest in a list", "text", "parameters"],
)
def test_a_child_of_an_app_of_apps_has_the_version_in_its_values(helm: Any) -> None:
    source = {"helm": {"valuesObject": None, **helm}}
    asked = merged(BASE["child"], {"spec": {"source": source}})
    compared = merged(asked, {"status": {"sync": {"comparedTo": {"source": source}}}})
    assert judged(asked, first=BASE["child"]).state == PROGRESS
    assert judged(compared, first=BASE["child"]).state == HEALTHY


def test_a_child_with_a_third_version_is_another_ones() -> None:
    third = merged(BASE["child"], {"spec": {"source": {"helm": {"valuesObject": {"version": "1.2.0"}}}}})
    assert judged(BASE["child"], first=BASE["child"]) == Look(WAITING, "its values have version 1.0.0")
    assert (judged(third, first=BASE["child"]).state, judged(third, first=BASE["child"]).patience) == (SUPERSEDED, LONG)


def test_the_version_of_another_model_beside_ours_is_no_sign() -> None:
    both = {"valuesObject": {"version": None, "jukebox": {"version": "1.0.0"}, "other": {"version": "7"}}}
    first = merged(BASE["child"], {"spec": {"source": {"helm": both}}})
    now = merged(first, {"spec": {"source": {"helm": {"valuesObject": {"other": {"version": "8"}}}}}})
    assert judged(now, first=first).state == WAITING


def test_values_that_are_no_yaml_hold_nothing() -> None:
    broken = merged(BASE["child"], {"spec": {"source": {"helm": {"values": "a: [", "valuesObject": None}}}})
    assert judged(broken, first=broken).state == WAITING


@pytest.mark.parametrize("phase", ["Running", "Terminating"])
def test_an_operation_that_is_under_way_is_progress(phase: str) -> None:
    assert judged(status(operationState={"phase": phase, "message": "hook"})) == Look(
        PROGRESS, "its sync at 111111111111 is running: hook"
    )
    assert judged({**SYNCED, "operation": {"sync": {}}}).state == PROGRESS


@pytest.mark.parametrize("phase", ["Failed", "Error"])
def test_an_operation_that_failed_on_our_revision_blocks_it_after_a_grace(phase: str) -> None:
    look = judged(status(operationState={"phase": phase, "message": "denied"}))
    assert look == Look(BLOCKED, "its sync at 111111111111 failed: denied", GRACE, aside=True)
    assert judged(status(operationState={"phase": phase, "syncResult": {"revision": OLD}})).state == HEALTHY


def test_a_sync_that_is_tried_again_and_again_blocks_it_and_names_what_is_refused() -> None:
    failed = {"kind": "InferenceService", "name": "jukebox", "status": "SyncFailed", "message": "denied"}
    result = {"revision": OURS, "resources": [{"kind": "Service", "name": "a", "status": "Synced"}, failed]}
    look = judged(status(operationState={"phase": "Running", "retryCount": 2, "syncResult": result}))
    assert (look.state, look.patience) == (BLOCKED, GRACE)
    assert look.reason.endswith("is refused, and tried again (attempt 2): InferenceService jukebox: denied")


def test_a_sync_of_the_version_before_that_failed_is_not_held_against_ours() -> None:
    child = merged(merged(BASE["child"], MOVES["child-asked"]["child"]), MOVES["child-synced"]["child"])
    failed = {"phase": "Failed", "message": "denied", "syncResult": {"source": BASE["child"]["spec"]["source"]}}
    now = merged(child, {"status": {"operationState": failed}})
    assert judged(now, first=BASE["child"]).state == HEALTHY
    ours = merged(now, {"status": {"operationState": {"syncResult": {"source": child["spec"]["source"]}}}})
    assert judged(ours, first=BASE["child"]).state == BLOCKED


def test_healing_what_differs_is_a_remark_and_a_sync_of_ours_is_not() -> None:
    heals = {"operation": {"sync": {"autoHealAttemptsCount": 3}}}
    assert judged({**SYNCED, **heals}).aside
    assert not judged({**SYNCED, "operation": {"sync": {}}}).aside


def test_out_of_sync_names_what_differs_and_is_a_remark_beside_an_inference_service() -> None:
    resources = [{"kind": "HorizontalPodAutoscaler", "name": "a", "status": "OutOfSync"}]
    look = judged(status(sync={"status": "OutOfSync"}, resources=resources))
    assert look == Look(PROGRESS, "it is OutOfSync at 111111111111: HorizontalPodAutoscaler a", aside=True)
    assert judged(status(sync={"status": "OutOfSync"}, resources=resources), watched=False).state == HEALTHY
    undone = status(sync={"status": "OutOfSync"}, operationState={"syncResult": {"revision": OLD}})
    assert judged(undone, watched=False).state == PROGRESS


@pytest.mark.parametrize("automated", [None, {"enabled": False}])
def test_an_application_that_does_not_sync_by_itself_says_so(automated: Any) -> None:
    paused = merged(BASE["application"], {"spec": {"syncPolicy": {"automated": automated}}})
    assert judged(paused).reason == "it is at 000000000000, not yet at 111111111111: its automated sync is off"


def test_an_application_that_argo_cd_does_not_look_at_says_so() -> None:
    skipped = merged(BASE["application"], {"metadata": {"annotations": {"argocd.argoproj.io/skip-reconcile": "true"}}})
    assert "skip-reconcile keeps Argo CD from looking at it" in judged(skipped).reason


def test_a_comparison_that_fails_blocks_it_unless_the_inference_service_has_it() -> None:
    broken = status(sync={"status": "Unknown"}, conditions=[{"type": "ComparisonError", "message": "no chart"}])
    assert judged(broken) == Look(BLOCKED, "it is Unknown at 111111111111: no chart", GRACE, aside=True)
    assert judged(broken, arrived=True).state == PROGRESS


@pytest.mark.parametrize(
    ("health", "state"),
    [("Progressing", UNREADY), ("Missing", PROGRESS), ("Suspended", PROGRESS), ("Unknown", PROGRESS)],
)
def test_alone_its_health_is_the_versions_where_it_says_so_of_the_model(health: str, state: str) -> None:
    model = [{"kind": "InferenceService", "name": "jukebox", "health": {"status": health}}]
    look = judged(status(health={"status": health}, resources=model), watched=False)
    assert (look.state, look.reason) == (state, f"it is {health} at 111111111111: InferenceService jukebox")
    unnamed = judged(status(health={"status": health}), watched=False)
    assert (unnamed.state, unnamed.reason) == (PROGRESS, f"it is {health} at 111111111111")


def test_degraded_counts_alone_where_it_is_the_model_s_and_was_not_so_before() -> None:
    model = [{"kind": "InferenceService", "name": "jukebox", "health": {"status": "Degraded"}}]
    degraded = status(health={"status": "Degraded"})
    of_model = status(health={"status": "Degraded"}, resources=model)
    assert judged(degraded) == Look(PROGRESS, "it is Degraded at 111111111111", aside=True)
    assert judged(degraded, watched=False).state == BLOCKED
    assert judged(of_model, watched=False).state == DEGRADED
    assert judged(of_model, first=degraded, watched=False).state == BLOCKED
    others = [{"kind": "HorizontalPodAutoscaler", "name": "a", "health": {"status": "Degraded"}}]
    assert judged(status(health={"status": "Degraded"}, resources=others), watched=False).state == BLOCKED


def test_what_is_degraded_is_named() -> None:
    resources = [
        {"kind": "Service", "name": "a", "health": {"status": "Healthy"}},
        {"kind": "InferenceService", "name": "jukebox", "health": {"status": "Degraded", "message": "Ready is False"}},
    ]
    look = judged(status(health={"status": "Degraded"}, resources=resources))
    assert look.reason == "it is Degraded at 111111111111: InferenceService jukebox: Ready is False"


def test_what_argo_cd_complains_of_is_said_while_it_is_waited_for() -> None:
    now = merged(
        BASE["application"], {"status": {"conditions": [{"type": "ComparisonError", "message": "no such path"}]}}
    )
    assert judged(now).reason == "it is at 000000000000, not yet at 111111111111: no such path"


def test_an_application_without_a_status_is_waited_for() -> None:
    assert judged({"spec": BASE["application"]["spec"]}).reason == "it is at no revision, not yet at 111111111111"
    assert revision(None) == ""

from typing import Any

import pytest

from roadie.rollout import Wanted
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
    Snapshot,
)
from roadie.rollout.pods import SOURCE
from roadie.rollout.service import judge_service, storage_uri
from tests.rollouts import load, merged

WANTED = Wanted("1.1.0", f"sha256:{'2' * 64}")
BASE, MOVES = load("base"), load("moves")
URI = "oci://registry.example.com/mlops/jukebox:1.1.0"


def done(name: str, *moves: str) -> Any:
    """An object of base.yaml after some moves."""
    found = BASE[name]
    for move in moves:
        found = merged(found, MOVES[move].get(name, {}))
    return found


SERVICE = merged(done("service", "asked", "deploying"), {"metadata": {"generation": 2}})
DEPLOYMENT = merged(done("deployment", "deploying", "ready", "replaced"), {"metadata": {"generation": 2}})
POD = done("new-pod", "pulled", "ready")


def judged(service: Any = SERVICE, deployment: Any = DEPLOYMENT, *pods: Any, wanted: Wanted = WANTED) -> Look:
    deployments = [deployment] if deployment else []
    return judge_service(Snapshot(None, service, deployments, pods or (POD,)), BASE["service"], wanted)


def changed(patch: Any, found: Any = SERVICE) -> Any:
    return merged(found, patch)


@pytest.mark.parametrize(
    "predictor",
    [
        {"model": {"storageUri": URI}},
        {"model": {"storage": {"uri": URI}}},
        {"onnx": {"storageUri": URI}},
        {"storageUris": [{"uri": URI, "mountPath": "/mnt/models"}]},
        {"minReplicas": 1, "containers": [{"name": "x"}], "model": {"storageUri": URI}},
    ],
)
def test_the_storage_uri_is_found_wherever_the_api_has_it(predictor: Any) -> None:
    assert storage_uri({"spec": {"predictor": predictor}}) == URI


def test_without_a_storage_uri_it_is_not_set() -> None:
    assert judge_service(Snapshot(service={"spec": {}}), {}, WANTED) == Look(WAITING, "its storageUri is not set")


def test_all_in_place_is_healthy() -> None:
    assert judged() == Look(HEALTHY, f"it serves {URI}")


def test_a_complete_deployment_is_not_enough_while_its_pods_were_not_seen() -> None:
    look = judge_service(Snapshot(None, SERVICE, [DEPLOYMENT], []), BASE["service"], WANTED)
    assert look == Look(PROGRESS, "0 of the 1 pods that its Deployment counts have been seen")


def test_the_old_version_is_waited_out_and_a_third_one_is_another_ones() -> None:
    third = changed({"spec": {"predictor": {"model": {"storageUri": "oci://r/jukebox:1.2.0"}}}})
    assert judged(BASE["service"]).state == WAITING
    assert (judged(third).state, judged(third).patience) == (SUPERSEDED, LONG)


@pytest.mark.parametrize("mode", ["RawDeployment", "Standard", None])
def test_a_raw_deployment_needs_its_deployment(mode: str | None) -> None:
    service = changed({"metadata": {"annotations": None}, "status": {"deploymentMode": mode}})
    assert judged(service, None).reason == "its predictor has no Deployment yet"
    assert judged(service).state == HEALTHY


def test_model_mesh_has_none() -> None:
    assert judged(changed({"status": {"deploymentMode": "ModelMesh"}}), None).state == HEALTHY


@pytest.mark.parametrize(
    ("seen", "state"),
    [(1, PROGRESS), (2, HEALTHY), (9, HEALTHY)],
    ids=["neither", "the Deployment's", "its own or newer"],
)
def test_the_observed_generation_is_its_own_or_the_deployments(seen: int, state: str) -> None:
    service = changed({"metadata": {"generation": 7}, "status": {"observedGeneration": seen}})
    assert judged(service).state == state


def test_a_deployment_that_has_not_been_changed_yet_is_progress() -> None:
    assert judged(SERVICE, BASE["deployment"]).reason == "Deployment jukebox-predictor still has the version before"


@pytest.mark.parametrize(
    ("status", "state", "words"),
    [
        ({"observedGeneration": 1}, PROGRESS, "its controller has not looked yet"),
        ({"updatedReplicas": 0}, UNREADY, "0 of 1 replicas updated, 1 old left, 1 available"),
        ({"replicas": 2}, UNREADY, "1 of 1 replicas updated, 1 old left"),
        ({"replicas": 2, "availableReplicas": 2}, PROGRESS, "1 of 1 replicas updated, 1 old left, 2 available"),
        ({"availableReplicas": None}, UNREADY, "1 of 1 replicas updated, 0 old left, 0 available"),
    ],
)
def test_an_incomplete_deployment_says_what_is_missing(status: Any, state: str, words: str) -> None:
    service = changed({"status": {"observedGeneration": 2}})
    look = judged(service, merged(DEPLOYMENT, {"status": status}))
    assert look.state == state
    assert words in look.reason


def test_a_deployment_scaled_to_zero_is_complete() -> None:
    zero = merged(DEPLOYMENT, {"spec": {"replicas": 0}, "status": dict.fromkeys(REPLICAS)})
    service = changed({})
    assert judge_service(Snapshot(None, service, [zero], []), BASE["service"], WANTED).state == HEALTHY


REPLICAS = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")


@pytest.mark.parametrize(
    ("condition", "state"),
    [
        ({"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}, DEGRADED),
        ({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}, BLOCKED),
    ],
)
def test_a_deployment_that_gives_up_counts_after_a_grace(condition: Any, state: str) -> None:
    """The condition may be the version before's, for some 100 ms after the controller has seen the new template."""
    look = judged(SERVICE, merged(DEPLOYMENT, {"status": {"conditions": [condition]}}))
    assert (look.state, look.patience) == (state, GRACE)
    assert condition["reason"] in look.reason


def test_what_was_wrong_with_the_version_before_is_not_held_against_ours() -> None:
    gave_up = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    deployment = merged(BASE["deployment"], {"status": {"conditions": [gave_up]}})
    waiting = {"name": "kserve-container", "restartCount": 9, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    old = merged(BASE["old-pod"], {"status": {"containerStatuses": [waiting]}})
    assert judged(SERVICE, deployment, old).state == PROGRESS


def test_pods_that_end_or_have_ended_do_not_count() -> None:
    ending = merged(BASE["old-pod"], {"metadata": {"deletionTimestamp": "2026-03-01T10:00:00Z"}})
    evicted = merged(BASE["new-pod"], {"status": {"phase": "Failed", "reason": "Evicted"}})
    assert judged(SERVICE, DEPLOYMENT, ending, evicted, POD).state == HEALTHY


NOT_READY = {"type": "Ready", "status": "False", "reason": "MinimumReplicasUnavailable", "message": "no replica"}


def test_unready_is_progress_while_its_reason_may_pass() -> None:
    assert judged(changed({"status": {"conditions": [NOT_READY]}})) == Look(
        PROGRESS, "it is not Ready: MinimumReplicasUnavailable: no replica"
    )


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("ProgressDeadlineExceeded", DEGRADED),
        ("RevisionFailed", DEGRADED),
        ("ReconcileFailed", BLOCKED),
        ("Stopped", BLOCKED),
    ],
)
def test_unready_for_good_counts_after_a_grace(reason: str, state: str) -> None:
    terminal = {"type": "PredictorReady", "status": "False", "reason": reason, "message": "so"}
    look = judged(changed({"status": {"conditions": [NOT_READY, terminal]}}))
    assert look == Look(state, f"PredictorReady is False: {reason}: so", GRACE)


@pytest.mark.parametrize(
    ("transition", "state", "patience"), [("BlockedByFailedLoad", DEGRADED, LONG), ("InvalidSpec", BLOCKED, GRACE)]
)
def test_a_model_that_kserve_calls_failed_fails_unless_it_is_ready_by_now(
    transition: str, state: str, patience: float
) -> None:
    model = {"transitionStatus": transition, "lastFailureInfo": {"reason": "ModelLoadFailed", "message": "bad"}}
    look = judged(changed({"status": {"conditions": [NOT_READY], "modelStatus": model}}))
    assert look == Look(state, f"{transition}: ModelLoadFailed: bad", patience)
    assert judged(changed({"status": {"modelStatus": model}})).state == HEALTHY


def test_another_repository_needs_a_digest_that_shows_it_is_the_same_image() -> None:
    mirrored = Wanted("1.1.0", WANTED.digest, image="other.example.com/jukebox")
    unseen = merged(POD, {"status": {"initContainerStatuses": [], "containerStatuses": []}})
    assert judged(wanted=mirrored).state == HEALTHY
    assert judged(SERVICE, DEPLOYMENT, unseen, wanted=mirrored).state == PROGRESS
    assert (
        judged(SERVICE, DEPLOYMENT, unseen, wanted=Wanted("1.1.0", "", "registry.example.com/mlops/jukebox")).state
        == HEALTHY
    )


CANARY = {"predictor": {"name": "next", "model": {"storageUri": URI}}, "trafficPercent": 20}


def canary(status: Any, *, deployed: int = 1) -> Look:
    """Our version as the canary `next` beside the old one."""
    template = {"metadata": {"annotations": {SOURCE: URI}}}
    own = merged(BASE["canary-deployment"], {"metadata": {"generation": 1}, "spec": {"template": template}})
    own = merged(own, {"status": {"availableReplicas": deployed}})
    labels = {"labels": BASE["canary-pod"]["metadata"]["labels"]}
    pod = merged(POD, {"metadata": labels})
    service = merged(BASE["service"], {"spec": {"canary": [CANARY]}, "status": {"canaryStatuses": status}})
    snapshot = Snapshot(None, service, [BASE["deployment"], own], [BASE["old-pod"], pod])
    return judge_service(snapshot, BASE["service"], WANTED, "next")


def test_a_canary_is_judged_by_its_own_deployment_its_pods_and_what_kserve_says_of_it() -> None:
    ready = {"name": "next", "ready": True, "trafficPercent": 20}
    assert canary([ready]) == Look(HEALTHY, f"its canary next serves {URI} at 20 %")
    assert canary([ready], deployed=0).state == UNREADY
    assert canary([{**ready, "ready": False}]) == Look(UNREADY, "its canary next is not ready")
    assert canary([]).reason == "KServe has yet to give its canary next 20 % of the traffic"
    assert canary([{**ready, "trafficPercent": 10}]).state == PROGRESS


def test_our_version_as_a_canary_is_not_the_stable_one() -> None:
    service = merged(BASE["service"], {"spec": {"canary": [CANARY]}})
    look = judge_service(Snapshot(None, service, [], []), BASE["service"], WANTED)
    assert look == Look(
        WAITING,
        "its storageUri is oci://registry.example.com/mlops/jukebox:1.0.0, and 1.1.0 is but its canary next",
    )


def test_a_canary_that_is_not_asked_for_is_waited_for() -> None:
    assert judge_service(Snapshot(None, SERVICE), BASE["service"], WANTED, "next").reason == "it has no canary next"

from typing import Any

import pytest

from roadie.rollout import Wanted
from roadie.rollout.look import AT_ONCE, BLOCKED, DEGRADED, GRACE, LONG, SHORT, UNREADY
from roadie.rollout.pods import SOURCE, failure, is_ours, progress, references, unproven
from tests.rollouts import load, merged

OLD, NEW = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
WANTED = Wanted("1.1.0", NEW)
BASE, MOVES = load("base"), load("moves")
READY = merged(merged(BASE["new-pod"], MOVES["pulled"]["new-pod"]), MOVES["ready"]["new-pod"])


def pod(**status: Any) -> Any:
    """A new pod of which the model server's container has this status."""
    container = {"name": "kserve-container", "ready": False, "restartCount": 0, **status}
    return merged(BASE["new-pod"], {"status": {"containerStatuses": [container]}})


def waiting(reason: str, message: str = "") -> Any:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def ended(code: int, reason: str = "Error", message: str = "") -> Any:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def test_a_pod_has_its_model_from_its_modelcars_its_image_volumes_or_what_the_webhook_will_make_of_it() -> None:
    assert references(BASE["old-pod"]) == [
        "registry.example.com/mlops/jukebox:1.0.0",
        "registry.example.com/mlops/jukebox:1.0.0",
        "oci://registry.example.com/mlops/jukebox:1.0.0",
    ]
    assert references({"spec": {"volumes": [{"image": {"reference": "r/jukebox:2"}}, {"emptyDir": {}}]}}) == [
        "r/jukebox:2"
    ]
    assert references({"metadata": {"annotations": {SOURCE: "oci://r/jukebox:2"}}}) == ["oci://r/jukebox:2"]


def test_a_pod_that_does_not_say_is_taken_for_ours() -> None:
    assert is_ours({"metadata": {"name": "a"}}, WANTED)
    assert not is_ours(BASE["old-pod"], WANTED)


@pytest.mark.parametrize(
    "status",
    [
        waiting("ContainerCreating"),
        waiting("PodInitializing"),
        {"state": {"running": {}}},
        {"state": {"running": {}}, "lastState": ended(1), "restartCount": 1},
        {"state": {"running": {}}, "lastState": ended(1), "restartCount": 5, "ready": True},
        {"state": ended(0, "Completed"), "ready": True},
    ],
    ids=["creating", "initializing", "running", "restarted once", "well again", "completed"],
)
def test_a_container_that_comes_up_does_not_fail(status: Any) -> None:
    assert failure(pod(**status)) is None


@pytest.mark.parametrize(
    ("status", "patience", "words"),
    [
        (waiting("InvalidImageName", "couldn't parse"), AT_ONCE, "InvalidImageName: couldn't parse"),
        (waiting("ErrImagePull", "not found"), SHORT, "ErrImagePull: not found"),
        (waiting("ImagePullBackOff", "Back-off pulling"), SHORT, "ImagePullBackOff: Back-off pulling"),
        ({"state": ended(1, message="bad model")}, SHORT, "Error with exit code 1 after 0 restarts: bad model"),
        (
            {**waiting("CrashLoopBackOff", "back-off 10s"), "lastState": ended(137, "OOMKilled"), "restartCount": 1},
            SHORT,
            "CrashLoopBackOff: OOMKilled with exit code 137 after 1 restarts: back-off 10s",
        ),
        ({**waiting("CrashLoopBackOff"), "lastState": ended(1), "restartCount": 3}, AT_ONCE, "after 3 restarts"),
        ({"state": {"running": {}}, "lastState": ended(1), "restartCount": 3}, AT_ONCE, "after 3 restarts"),
    ],
    ids=["name", "pull", "back-off", "crashed", "out of memory", "loop", "running between two crashes"],
)
def test_a_container_that_fails_says_how_and_how_long_that_may_last(status: Any, patience: float, words: str) -> None:
    look = failure(pod(**status))
    assert look
    assert (look.state, look.patience) == (DEGRADED, patience)
    assert words in look.reason
    assert look.failing == ("jukebox-predictor-7b4d9f6c4-new01", "kserve-container")


@pytest.mark.parametrize(
    "status",
    [
        waiting("CreateContainerConfigError", 'secret "s" not found'),
        waiting("ErrImagePull", 'failed to pull image "openvino/model_server:2025.1": 429 Too Many Requests'),
        waiting("ImagePullBackOff", 'Back-off pulling image "openvino/model_server:2025.1"'),
    ],
    ids=["secret", "the server's image", "the server's image again"],
)
def test_what_is_missing_beside_the_model_is_no_failure_of_the_version(status: Any) -> None:
    look = failure(pod(**status))
    assert look
    assert (look.state, look.patience) == (BLOCKED, LONG)


def test_a_pull_of_the_models_own_volume_is_a_failure_of_the_version() -> None:
    missing = waiting("ErrImagePull", 'failed to pull image "registry.example.com/mlops/jukebox:1.1.0": not found')
    look = failure(pod(**missing))
    assert look
    assert look.state == DEGRADED


def test_its_own_failure_is_told_before_that_of_what_is_beside_it() -> None:
    car = {"name": "modelcar", "ready": False, "restartCount": 0, **waiting("ErrImagePull", "not found")}
    server = {"name": "kserve-container", "restartCount": 0, **waiting("CreateContainerConfigError", "no secret")}
    look = failure(merged(BASE["new-pod"], {"status": {"containerStatuses": [server, car]}}))
    assert look
    assert (look.state, look.failing[1]) == (DEGRADED, "modelcar")


def test_a_message_of_many_lines_stays_one_line_of_some_length() -> None:
    look = failure(pod(**waiting("ErrImagePull", "a\n\nb\t" + "x" * 1_000)))
    assert look
    assert "a b xxx" in look.reason
    assert len(look.reason) <= 400


def test_a_long_message_keeps_its_end_where_helm_and_the_kubelet_say_what_is_wrong() -> None:
    look = failure(pod(**waiting("ErrImagePull", "rpc error: " * 100 + "manifest unknown")))
    assert look
    assert look.reason.startswith("container kserve-container of pod")
    assert look.reason.endswith("manifest unknown")


def test_a_pod_without_a_node_has_time() -> None:
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    look = failure(merged(BASE["new-pod"], {"status": {"conditions": [unscheduled]}}))
    assert look
    assert look.state == BLOCKED
    assert (look.patience, look.reason) == (LONG, "pod jukebox-predictor-7b4d9f6c4-new01 is Unschedulable: 0/3 nodes")


def test_a_ready_pod_with_our_digest_lacks_nothing() -> None:
    assert progress(READY, WANTED) is None


def test_an_old_pod_and_an_unready_one_are_progress() -> None:
    old, new = progress(BASE["old-pod"], WANTED), progress(BASE["new-pod"], WANTED)
    assert old
    assert old.reason.endswith("still runs registry.example.com/mlops/jukebox:1.0.0")
    assert new
    assert new.state == UNREADY
    assert "containers with unready status" in new.reason


@pytest.mark.parametrize(
    "seen",
    [
        f"registry.example.com/mlops/jukebox@{NEW}",
        f"docker-pullable://registry.example.com/mlops/jukebox@{NEW}",
        NEW,
    ],
)
def test_a_runtime_may_report_the_digest_in_its_own_way(seen: str) -> None:
    status = [{"name": "modelcar", "ready": True, "imageID": seen}]
    assert progress(merged(READY, {"status": {"containerStatuses": status}}), WANTED) is None


def with_platforms_digest(image: str) -> Any:
    status = {"initContainerStatuses": [], "containerStatuses": [{"name": "modelcar", "imageID": f"r/jukebox@{OLD}"}]}
    spec = {"initContainers": [], "containers": [{"name": "modelcar", "image": image}]}
    return merged(READY, {"spec": spec, "status": status})


def test_another_digest_under_the_tag_fails_after_a_grace() -> None:
    look = progress(with_platforms_digest("r/jukebox:1.1.0"), WANTED)
    assert look
    assert (look.state, look.patience) == (DEGRADED, GRACE)
    assert f"runs r/jukebox@{OLD}, not {NEW}" in look.reason


def test_the_platforms_manifest_is_proof_when_it_was_told_or_the_image_was_asked_for_by_digest() -> None:
    assert progress(with_platforms_digest("r/jukebox:1.1.0"), Wanted("1.1.0", NEW, digests=(OLD,))) is None
    assert progress(with_platforms_digest(f"r/jukebox@{NEW}"), WANTED) is None


@pytest.mark.parametrize("digests", [(), (f"sha256:{'3' * 64}",)])
def test_without_a_digest_none_is_compared_whatever_manifests_are_known(digests: tuple[str, ...]) -> None:
    wanted = Wanted("1.1.0", "", digests=digests)
    assert progress(with_platforms_digest("r/jukebox:1.1.0"), wanted) is None
    assert unproven([READY], "oci://r/jukebox:1.1.0", wanted) == "; its digest is not known, so none was compared"


def with_volume(reference: str, seen: str) -> Any:
    mount = {"name": "mnt-models", "mountPath": "/mnt/models"}
    if seen:
        mount = {**mount, "volumeStatus": {"image": {"imageRef": seen}}}
    server = {"name": "kserve-container", "ready": True, "restartCount": 0, "volumeMounts": [mount]}
    return {
        "metadata": {"name": "a"},
        "spec": {"volumes": [{"name": "mnt-models", "image": {"reference": reference}}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [server]},
    }


def test_the_digest_of_an_image_volume_is_compared_where_the_node_tells_it() -> None:
    other = progress(with_volume("r/jukebox:1.1.0", f"r/jukebox@{OLD}"), WANTED)
    assert other
    assert (other.state, other.reason) == (
        DEGRADED,
        f"pod a runs r/jukebox@{OLD}, not {NEW}: deploy by digest, tags can move",
    )
    assert progress(with_volume("r/jukebox:1.1.0", f"r/jukebox@{NEW}"), WANTED) is None
    assert unproven([with_volume("r/jukebox:1.1.0", f"r/jukebox@{NEW}")], "oci+native://r/jukebox:1.1.0", WANTED) == ""


def test_a_node_that_does_not_tell_the_digest_of_an_image_volume_is_told_of() -> None:
    silent = with_volume("r/jukebox:1.1.0", "")
    assert progress(silent, WANTED) is None
    assert "the tag is believed" in unproven([silent], "oci+native://r/jukebox:1.1.0", WANTED)
    assert unproven([silent], f"oci+native://r/jukebox@{NEW}", WANTED) == ""

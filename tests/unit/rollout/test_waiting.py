from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadie import rollout
from roadie.errors import RolloutError
from tests.servers.kubernetes_api import KubernetesApi, serve_kubernetes

DIGEST = f"sha256:{'a' * 64}"
PATH = "/apis/serving.kserve.io/v1beta1/namespaces/music/inferenceservices/jukebox"


def service(uri: str = "oci://r.example.com/jukebox:v2", ready: str = "True", seen: int = 2, **condition: str) -> Any:
    return {
        "metadata": {"name": "jukebox", "generation": 2},
        "spec": {"predictor": {"model": {"storageUri": uri}}},
        "status": {"observedGeneration": seen, "conditions": [{"type": "Ready", "status": ready, **condition}]},
    }


def judged(found: Any) -> rollout.Look:
    return rollout.judge(found, version="v2", digest=DIGEST)


@pytest.mark.parametrize("uri", ["oci://r.example.com/jukebox:v2", f"oci://r.example.com/jukebox@{DIGEST}"])
def test_a_service_that_names_the_tag_or_the_digest_and_is_ready_is_ready(uri: str) -> None:
    assert judged(service(uri)).ready


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (service("oci://r.example.com/jukebox:v1"), "its storageUri is oci://r.example.com/jukebox:v1"),
        (service("oci://r.example.com/jukebox:rv2"), "its storageUri is oci://r.example.com/jukebox:rv2"),
        (service(seen=1), "KServe has not seen the new storageUri yet"),
        (service(ready="False", message="image cannot be pulled"), "image cannot be pulled"),
        (service(ready="Unknown"), "the condition Ready is not True"),
        ({}, "its storageUri is not set"),
    ],
)
def test_a_service_that_is_not_ready_says_why(found: Any, reason: str) -> None:
    assert judged(found) == rollout.Look(False, reason)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    monkeypatch.setattr("roadie.rollout.waiting.INTERVAL", 0.01)
    with serve_kubernetes(tmp_path) as api:
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig))
        yield api


def wait(timeout: float = 10.0) -> str:
    return rollout.wait("jukebox", "music", version="v2", digest=DIGEST, timeout=timeout)


def test_each_change_is_told_until_the_service_is_ready(
    cluster: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    old, waiting = service("oci://r.example.com/jukebox:v1"), service(ready="False", message="pulling")
    cluster.answer(PATH, old, old, waiting, service())
    assert wait() == "ready"
    assert [line.partition(": ")[2] for line in capsys.readouterr().out.splitlines()] == [
        "its storageUri is oci://r.example.com/jukebox:v1",
        "pulling",
        "it serves oci://r.example.com/jukebox:v2",
    ]


def test_a_service_that_is_never_ready_fails_with_its_last_reason(cluster: KubernetesApi) -> None:
    cluster.answer(PATH, service(ready="False", message="no node has room"))
    with pytest.raises(RolloutError, match=r"music/jukebox did not serve v2 within 0 s: no node has room"):
        wait(timeout=0.05)


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "renew the credentials"), (403, "grant the service account"), (404, "check its name")]
)
def test_a_refusal_names_its_remedy(cluster: KubernetesApi, status: int, remedy: str) -> None:
    cluster.answer(PATH, {"kind": "Status", "code": status}, status=status)
    with pytest.raises(RolloutError, match=remedy):
        wait()


def test_a_cluster_that_is_not_there_is_told_in_one_sentence(cluster: KubernetesApi) -> None:
    cluster.kubeconfig.write_text("{}")
    with pytest.raises(RolloutError, match="there is no cluster to ask"):
        wait()


def test_without_an_inference_service_there_is_nothing_to_wait_for() -> None:
    assert rollout.wait("", "", version="v2", digest=DIGEST, timeout=1) == "skipped"

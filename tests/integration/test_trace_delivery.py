"""From a commit to what serves it: the joint between git, the cluster and the served model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from roadie import gitops, rollout, trace
from roadie.errors import RolloutError
from roadie.evaluation import evaluate
from tests.scenarios.cluster import FollowingCluster
from tests.servers.inference import serve_model
from tests.servers.kubernetes_api import KubernetesApi, serve_kubernetes
from tests.unit.evaluation.models import BLUNT, SHARP, make_holdout, make_model

KEY = "applications.jukebox.values"
TARGET = rollout.Target("jukebox", "mlops-test", "jukebox-test")
ONE, OTHER, AMD64 = (f"sha256:{digit * 64}" for digit in "123")


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApi]:
    with serve_kubernetes(tmp_path) as server:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        yield server


@pytest.fixture
def cluster(tmp_path: Path) -> FollowingCluster:
    gitops.create_bare(gitops.examples() / "mlops-gitops", tmp_path / "gitops.git")
    return FollowingCluster(tmp_path / "gitops.git", f"oci:{tmp_path / 'registry'}")


def deploy(cluster: FollowingCluster, version: str, **options: Any) -> str:
    return gitops.bump_version(
        str(cluster.repository), "test/values.yaml", KEY, version=version, model_name="jukebox", environment="test",
        **options,
    ).commit  # fmt: skip


def see_through(
    cluster: FollowingCluster, api: KubernetesApi, version: str, commit: str = "", digest: str = "", **options: Any
) -> tuple[rollout.Verdict, rollout.Smoke | None]:
    place = trace.Place(str(cluster.repository), "main", "test/values.yaml", KEY, "jukebox", "test")
    with api.following(cluster.look):
        return trace.see_through(
            place,
            TARGET,
            rollout.Wanted(version, digest, commit=commit),
            **{"timeout": 3.0, "soak": 0.0, "say": lambda _: None, **options},
        )


def held(cluster: FollowingCluster) -> str | None:
    return gitops.read_value(str(cluster.repository), "test/values.yaml", f"{KEY}.version").value


def test_without_a_version_the_one_that_git_holds_is_waited_for(cluster: FollowingCluster, api: KubernetesApi) -> None:
    deploy(cluster, "1.0")
    verdict, shown = see_through(cluster, api, "")
    assert (verdict.outcome, shown) == ("healthy", None)
    assert "jukebox:1.0" in verdict.reason


@pytest.mark.parametrize("digest", ["", ONE], ids=["told by git", "told by the run"])
def test_a_node_may_call_the_image_by_the_manifest_of_its_platform(
    cluster: FollowingCluster, api: KubernetesApi, digest: str
) -> None:
    deploy(cluster, "1.0", digest=ONE, provenance={"manifests": f"{AMD64} {OTHER}"})
    cluster.digests = {"1.0": AMD64}
    assert see_through(cluster, api, "1.0" if digest else "", digest=digest)[0].outcome == "healthy"


def test_a_node_that_runs_another_image_under_the_version_is_found_out(
    cluster: FollowingCluster, api: KubernetesApi
) -> None:
    deploy(cluster, "1.0", digest=ONE)
    cluster.digests = {"1.0": OTHER}
    with pytest.raises(RolloutError, match="sha256:2222"):
        see_through(cluster, api, "1.0", digest=ONE, roll_back=False)


def test_a_version_that_fails_stays_where_nobody_asked_to_roll_back(
    cluster: FollowingCluster, api: KubernetesApi
) -> None:
    deploy(cluster, "1.0")
    cluster.fails = lambda *_: True
    with pytest.raises(RolloutError, match=r"test does not serve jukebox 1\.0: .*; roll it back, or deploy another"):
        see_through(cluster, api, "1.0", roll_back=False)
    assert held(cluster) == "1.0"


def test_a_version_that_somebody_replaced_meanwhile_is_nobody_s_failure(
    cluster: FollowingCluster, api: KubernetesApi
) -> None:
    deploy(cluster, "1.0")
    cluster.look(api)
    ours = deploy(cluster, "1.1")
    # Somebody is faster than the cluster: it never comes to see ours.
    deploy(cluster, "1.2")
    verdict, _ = see_through(cluster, api, "1.1", ours, timeout=60.0)
    assert verdict.outcome == "superseded", verdict
    assert verdict.reason == "another version took the place of 1.1: main holds 1.2 in test by now"
    assert held(cluster) == "1.2"


def test_a_version_that_was_replaced_before_the_first_look_is_so_at_once(
    cluster: FollowingCluster, api: KubernetesApi
) -> None:
    ours = deploy(cluster, "1.1")
    deploy(cluster, "1.2")
    cluster.look(api)
    verdict, _ = see_through(cluster, api, "1.1", ours, timeout=60.0)
    assert verdict.outcome == "superseded", verdict


def paused(cluster: FollowingCluster, api: KubernetesApi, version: str, **options: Any) -> None:
    """Wait for a version on a cluster in which Argo CD does nothing any more."""
    cluster.look(api)
    deploy(cluster, version)
    place = trace.Place(str(cluster.repository), "main", "test/values.yaml", KEY, "jukebox", "test")
    trace.see_through(place, TARGET, rollout.Wanted(version, ""), timeout=1.0, say=lambda _: None, **options)


def test_a_version_that_argo_cd_has_not_tried_is_an_error_and_stays(
    cluster: FollowingCluster, api: KubernetesApi
) -> None:
    deploy(cluster, "1.0")
    with pytest.raises(RolloutError, match=r"Is automated sync on, .*; nothing was rolled back, since that is not"):
        paused(cluster, api, "1.1")
    assert held(cluster) == "1.1"
    event = api.all("Event")[-1]
    assert (event["type"], event["reason"], event["involvedObject"]["name"]) == ("Warning", "RolloutBlocked", "jukebox")
    assert "test does not serve jukebox 1.1: Application argocd/jukebox-test: its values have" in event["message"]


def test_a_first_version_that_fails_has_none_to_go_back_to_and_stays(
    cluster: FollowingCluster, api: KubernetesApi
) -> None:
    deploy(cluster, "1.0")
    cluster.fails = lambda *_: True
    with pytest.raises(RolloutError, match=r"could not be rolled back either: test has had no version before 1\.0"):
        see_through(cluster, api, "1.0")
    assert held(cluster) == "1.0"


@pytest.mark.parametrize("reported", [ONE, AMD64], ids=["the index", "its platform"])
def test_a_version_that_was_gone_back_to_is_compared_by_the_digest_that_it_had(
    cluster: FollowingCluster, api: KubernetesApi, reported: str
) -> None:
    deploy(cluster, "1.0", digest=ONE, provenance={"manifests": AMD64})
    deploy(cluster, "1.1", digest=OTHER)
    gitops.rollback(str(cluster.repository), "jukebox", "test")
    cluster.digests = {"1.0": reported}
    verdict, _ = see_through(cluster, api, "")
    assert verdict.outcome == "healthy"
    assert "not known" not in verdict.reason
    cluster.digests = {"1.0": OTHER}
    cluster.forget()
    cluster.look(api)
    with pytest.raises(RolloutError, match="runs .*sha256:2222"):
        see_through(cluster, api, "1.0", roll_back=False)


def test_a_version_whose_digest_nobody_tells_is_not_compared_and_that_is_said(
    cluster: FollowingCluster, api: KubernetesApi
) -> None:
    deploy(cluster, "1.0", provenance={"manifests": AMD64})
    cluster.digests = {"1.0": ONE}
    verdict, _ = see_through(cluster, api, "1.0")
    assert verdict.outcome == "healthy"
    assert verdict.reason.endswith("its digest is not known, so none was compared")


def test_a_rollback_that_is_refused_is_told_beside_the_failure(cluster: FollowingCluster, api: KubernetesApi) -> None:
    deploy(cluster, "1.0")
    deploy(cluster, "1.1")
    gitops.rollback(str(cluster.repository), "jukebox", "test")
    cluster.fails = lambda *_: True
    with pytest.raises(RolloutError, match=r"it could not be rolled back either: test was rolled back to 1\.0"):
        see_through(cluster, api, "1.0")


def test_a_served_model_that_answers_as_the_gate_saw_it_is_tried_and_timed(
    cluster: FollowingCluster, api: KubernetesApi, tmp_path: Path
) -> None:
    deploy(cluster, "1.0")
    challenger = make_model(tmp_path / "model.onnx", SHARP)
    with serve_model(challenger) as served:
        _, shown = see_through(cluster, api, "1.0", trial=trace.Trial(served.url, samples_of(challenger, tmp_path)))
    assert shown and shown.ok
    assert shown.latency_ms["p99"] > 0


def test_a_served_model_that_answers_otherwise_is_taken_back(
    cluster: FollowingCluster, api: KubernetesApi, tmp_path: Path
) -> None:
    deploy(cluster, "1.0")
    deploy(cluster, "1.1")
    samples = samples_of(make_model(tmp_path / "model.onnx", SHARP), tmp_path)
    other = make_model(tmp_path / "other.onnx", BLUNT)
    with serve_model(other) as served, pytest.raises(RolloutError, match=r"does not agree .* rolled back by commit"):
        see_through(cluster, api, "1.1", trial=trace.Trial(served.url, samples))
    assert held(cluster) == "1.0"


def test_without_an_address_the_model_is_asked_where_kserve_says_that_it_answers(
    cluster: FollowingCluster, api: KubernetesApi, tmp_path: Path
) -> None:
    deploy(cluster, "1.0")
    deploy(cluster, "1.1")
    samples = samples_of(make_model(tmp_path / "model.onnx", SHARP), tmp_path)
    with serve_model(make_model(tmp_path / "other.onnx", BLUNT)) as served:
        cluster.address = served.url
        with pytest.raises(RolloutError, match=r"does not agree .* rolled back by commit"):
            see_through(cluster, api, "1.1", trial=trace.Trial("", samples))


def test_an_address_that_is_not_to_be_reached_says_nothing_of_the_version(
    cluster: FollowingCluster, api: KubernetesApi, tmp_path: Path
) -> None:
    deploy(cluster, "1.0")
    deploy(cluster, "1.1")
    samples, lines = samples_of(make_model(tmp_path / "model.onnx", SHARP), tmp_path), list[str]()
    verdict, shown = see_through(cluster, api, "1.1", trial=trace.Trial("", samples), say=lines.append)
    assert (verdict.outcome, shown) == ("healthy", None)
    assert lines[-1].startswith("the served model could not be asked from here: ")
    nowhere = trace.Trial("http://jukebox.invalid", samples)
    with pytest.raises(RolloutError, match="does not answer: .*; nothing was rolled back"):
        see_through(cluster, api, "1.1", trial=nowhere)
    assert held(cluster) == "1.1"


def samples_of(challenger: Path, folder: Path) -> Path:
    holdout = make_holdout(folder / "holdout.parquet")
    gate = {"metric": "log_loss", "resamples": 500}
    evaluate(challenger, None, holdout, gate=gate, report=folder / "r.html", samples=folder / "samples.json")
    return folder / "samples.json"

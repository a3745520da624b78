"""From the commit to what serves it: a version that comes up goes on to stage, one that does not is taken back."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roadie import gitops
from roadie.errors import GitOpsError
from tests.scenarios.cluster import FollowingCluster
from tests.scenarios.world import LENIENT
from tests.servers.kubernetes_api import KubernetesApi, Object, serve_kubernetes

ROOT = Path(__file__).resolve().parents[2]
ROLLOUT = {
    "inference_service": "jukebox",
    "namespaces": {"test": "mlops-test", "stage": "mlops-stage"},
    "application": "jukebox-{environment}",
    "soak_minutes": 0,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str], list[Object]]:
    """A folder with repository and registry after a first run, what that run said, and the Events that it left."""
    folder = tmp_path_factory.mktemp("trained")
    gitops.create_bare(gitops.examples() / "mlops-gitops", folder / "gitops.git")
    with serve_kubernetes(folder) as api:
        done = run(FollowingCluster(folder / "gitops.git", f"oci:{folder / 'registry'}"), api, "training")
        return folder, done, api.all("Event")


@pytest.fixture
def first(trained: tuple[Path, subprocess.CompletedProcess[str], list[Object]]) -> str:
    """The version that test and stage serve at first."""
    return str(json.loads(trained[1].stdout)["version"])


@pytest.fixture
def api(tmp_path: Path) -> Iterator[KubernetesApi]:
    with serve_kubernetes(tmp_path) as server:
        yield server


@pytest.fixture
def cluster(tmp_path: Path, trained: tuple[Path, subprocess.CompletedProcess[str], list[Object]]) -> FollowingCluster:
    """A cluster of the test's own, in which the first version is served."""
    for name in ("gitops.git", "registry"):
        shutil.copytree(trained[0] / name, tmp_path / name)
    return FollowingCluster(tmp_path / "gitops.git", f"oci:{tmp_path / 'registry'}")


def run(
    cluster: FollowingCluster, api: KubernetesApi, pipeline: str, minutes: float = 1.0, **parameters: str
) -> subprocess.CompletedProcess[str]:
    """Run a compiled pipeline, as a user does whose KUBECONFIG leads to the cluster."""
    rollout = json.dumps({**ROLLOUT, "minutes": minutes})
    given = {"rollout": rollout, "gitops_repo": str(cluster.repository), **parameters}
    if pipeline == "training":
        given = {"image": cluster.image, "gate": LENIENT, "trigger": "a scenario", **given}
    pairs = [word for name, value in given.items() for word in ("-p", f"{name}={value}")]
    state = cluster.repository.parent / "state"
    with api.following(cluster.look):
        return subprocess.run(
            [sys.executable, "-m", "roadie", "run", pipeline, "--json", "--state", str(state), *pairs],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={**os.environ, "KUBECONFIG": str(api.kubeconfig)},
        )


def history(cluster: FollowingCluster) -> list[str]:
    """The subjects of all commits, the oldest first, without the one that laid the repository out."""
    shown = subprocess.run(
        ["git", "-C", str(cluster.repository), "log", "--reverse", "--format=%s", "main"],
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.splitlines()[1:]


def log_of(done: subprocess.CompletedProcess[str], step: str) -> str:
    path = next(each["log"] for each in json.loads(done.stdout)["steps"] if each["name"] == step)
    return Path(path).read_text()


def test_a_version_that_serves_in_test_goes_on_to_stage(
    trained: tuple[Path, subprocess.CompletedProcess[str], list[Object]], cluster: FollowingCluster, first: str
) -> None:
    _, done, events = trained
    assert done.returncode == 0, done.stderr
    assert history(cluster) == [f"Deploy jukebox {first} to test", f"Promote jukebox {first} from test to stage"]
    for environment in ("test", "stage"):
        assert "healthy: " in log_of(done, f"wait-for-rollout-{environment}")
    (event,) = events
    assert (event["reason"], event["involvedObject"]["name"]) == ("RoadieRunSucceeded", "jukebox")
    assert "started by a scenario, ended SUCCE" in log_of(done, "report-run")


def test_a_version_that_does_not_come_up_in_test_is_taken_back_and_never_reaches_stage(
    cluster: FollowingCluster, api: KubernetesApi, first: str
) -> None:
    cluster.fails = lambda _environment, version: version != first
    done = run(cluster, api, "training", minutes=0.1, seed="7")
    assert done.returncode == 1
    bad = json.loads(done.stdout)["version"]
    assert history(cluster)[2:] == [
        f"Deploy jukebox {bad} to test",
        f"Roll jukebox in test back from {bad} to {first}",
    ]
    sentence = done.stderr.strip().splitlines()[-1]
    assert f"the step wait-for-rollout-test failed: test does not serve jukebox {bad}: " in sentence
    assert "ImagePullBackOff" in sentence
    tip = gitops.read_value(str(cluster.repository), "test/values.yaml", "environment").commit
    assert f"rolled back by commit {tip[:10]}" in sentence
    states = {each["name"]: each["state"] for each in json.loads(done.stdout)["steps"]}
    assert (states["bump-version-stage"], states["report-run"]) == ("skipped", "succeeded")
    assert api.all("Event")[-1]["reason"] == "RoadieRunFailed"
    with pytest.raises(GitOpsError, match=f"version={bad} was rolled back by a commit since"):
        deploy_to_test(cluster, bad)


def test_a_version_that_stage_does_not_come_to_serve_is_taken_back_there_alone(
    cluster: FollowingCluster, api: KubernetesApi, first: str
) -> None:
    deploy_to_test(cluster, "1.9")
    cluster.fails = lambda environment, version: (environment, version) == ("stage", "1.9")
    done = run(cluster, api, "promotion", minutes=0.1)
    assert done.returncode == 1
    assert history(cluster)[3:] == [
        "Promote jukebox 1.9 from test to stage",
        f"Roll jukebox in stage back from 1.9 to {first}",
    ]
    assert "stage does not serve jukebox 1.9: " in done.stderr.strip().splitlines()[-1]


def test_a_promotion_carries_to_stage_what_test_serves(cluster: FollowingCluster, api: KubernetesApi) -> None:
    deploy_to_test(cluster, "1.9")
    done = run(cluster, api, "promotion")
    assert done.returncode == 0, done.stderr
    assert history(cluster)[3:] == ["Promote jukebox 1.9 from test to stage"]
    assert "healthy: " in log_of(done, "wait-for-rollout-stage")


def test_a_version_that_test_does_not_serve_is_not_promoted(cluster: FollowingCluster, api: KubernetesApi) -> None:
    deploy_to_test(cluster, "1.9")
    cluster.fails = lambda _environment, version: version == "1.9"
    done = run(cluster, api, "promotion", minutes=0.1)
    assert "test does not serve jukebox 1.9: " in done.stderr.strip().splitlines()[-1]
    assert len(history(cluster)) == 3


def deploy_to_test(cluster: FollowingCluster, version: str) -> None:
    gitops.bump_version(
        str(cluster.repository), "test/values.yaml", "applications.jukebox.values",
        version=version, model_name="jukebox", environment="test",
    )  # fmt: skip

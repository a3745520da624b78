"""`roadie doctor --cluster --rollout FILE` on a real API server: what the steps' account may do, in its own words."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from roadie import rollout
from roadie.cli import roadie
from roadie.errors import RolloutError
from tests.rollouts import api
from tests.servers.kfp_api import serving
from tests.servers.kubernetes_api import USER, KubernetesApi

__all__ = ["api"]

SETTINGS = """
inference_service: jukebox
namespaces: {test: mlops-test, stage: mlops-stage}
application: jukebox-{environment}
"""
TARGET = rollout.Target("jukebox", "music", "test")
RIGHTS = [(each, verb) for each in rollout.PERMISSIONS for verb in each.verbs]


def found(tmp_path: Path, *options: str) -> list[dict[str, Any]]:
    (tmp_path / "rollout.yaml").write_text(SETTINGS)
    with serving() as kfp:
        where = ["--endpoint", kfp.url, "--rollout", str(tmp_path / "rollout.yaml")]
        done = CliRunner().invoke(roadie, ["doctor", "--cluster", "--json", *where, *options])
    return [each for each in json.loads(done.stdout) if each["name"].startswith("rollout")]


def as_administrator(api: KubernetesApi) -> None:
    api.kubeconfig.write_text(json.dumps(api.server.kubeconfig(api.server.admin)))


def test_the_account_of_the_steps_may_watch_with_deploy_rbac(api: KubernetesApi, tmp_path: Path) -> None:
    test, stage = found(tmp_path)
    assert test["ok"] and stage["ok"]
    assert test["found"] == f"{USER} may watch it in mlops-test and argocd"
    assert stage["found"] == f"{USER} may watch it in mlops-stage and argocd"


def test_an_administrator_asks_about_the_account_of_the_steps(api: KubernetesApi, tmp_path: Path) -> None:
    as_administrator(api)
    assert next(each["found"] for each in found(tmp_path)) == "admin may watch it in mlops-test and argocd"
    test, _ = found(tmp_path, "--service-account", "pipeline-runner")
    assert (test["ok"], test["found"]) == (True, f"{USER} may watch it in mlops-test and argocd")
    test, stage = found(tmp_path, "--service-account", "default-editor", "--namespace", "stars")
    assert not test["ok"] and not stage["ok"]
    assert test["found"].startswith(
        "system:serviceaccount:stars:default-editor may not list applications.argoproj.io, "
        "watch applications.argoproj.io in argocd; not list inferenceservices.serving.kserve.io, "
    )
    assert test["remedy"] == (
        "`kubectl apply --namespace argocd --filename deploy/rbac/rollout-argocd.yaml`, "
        "`kubectl apply --namespace mlops-test --filename deploy/rbac/rollout.yaml`"
    )


def test_only_an_administrator_may_ask_about_others(api: KubernetesApi, tmp_path: Path) -> None:
    test, _ = found(tmp_path, "--service-account", "default-editor")
    assert not test["ok"]
    assert test["found"] == "the cluster answered 403 to create subjectaccessreviews.authorization.k8s.io"
    assert test["remedy"] == f"grant that to {USER}"


@pytest.mark.parametrize(("permission", "verb"), RIGHTS, ids=lambda each: getattr(each, "resource", each))
def test_a_verb_that_is_missing_is_named(api: KubernetesApi, permission: rollout.Permission, verb: str) -> None:
    with api.without(permission.group, permission.resource, verb):
        rights = rollout.rights(TARGET)
    resource = ".".join(filter(None, (permission.resource, permission.group)))
    where = "argocd" if permission.group == "argoproj.io" else "music"
    assert (rights.who, rights.lacking) == (USER, {where: (f"{verb} {resource}",)})


def test_a_role_may_be_narrowed_to_the_names_that_are_watched(api: KubernetesApi) -> None:
    with api.narrowed({"applications": "test", "inferenceservices": "jukebox"}):
        assert rollout.rights(TARGET).lacking == {}
        assert set(rollout.rights(rollout.Target("another", "music")).lacking) == {"music"}


def test_only_what_is_watched_is_asked_about(api: KubernetesApi) -> None:
    assert rollout.rights(rollout.Target(application="test", application_namespace="nowhere")).lacking == {
        "nowhere": ("list applications.argoproj.io", "watch applications.argoproj.io")
    }


def test_without_a_cluster_there_is_nobody_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RolloutError, match="there is no cluster to ask"):
        rollout.rights(TARGET)
    test, _ = found(tmp_path)
    assert (test["found"], test["remedy"]) == ("there is no cluster to ask", "run inside one, or set KUBECONFIG")

"""The Roles in deploy/ grant what the calls need: nothing less, and nothing more."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadie import rollout
from roadie.runs import Cluster, load_pipeline
from tests.schemas.receiver import CHART
from tests.servers.helm import Helm, helm
from tests.servers.kfp_api import serving
from tests.unit.docs.pages import ROOT

__all__ = ["helm"]

RBAC = ROOT / "deploy" / "rbac"
ARGOCD = "argoproj.io"
Right = tuple[str, str, str]  # group, resource, verb


def manifests(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((RBAC / name).read_text(encoding="utf-8")))


def granted(role: dict[str, Any]) -> set[Right]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def needed() -> set[Right]:
    return {(each.group, each.resource, verb) for each in rollout.PERMISSIONS for verb in each.verbs}


@pytest.mark.parametrize(("file", "in_argocd"), [("rollout.yaml", False), ("rollout-argocd.yaml", True)])
def test_the_roles_for_the_rollout_grant_just_what_it_asks_for(file: str, in_argocd: bool) -> None:
    role, _ = manifests(file)
    assert granted(role) == {right for right in needed() if (right[0] == ARGOCD) is in_argocd}


@pytest.mark.parametrize("file", ["rollout.yaml", "rollout-argocd.yaml"])
def test_each_role_is_bound_to_the_account_of_the_runs(file: str) -> None:
    role, binding = manifests(file)
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": role["kind"],
        "name": role["metadata"]["name"],
    }
    # The account of Kubeflow Pipelines (common.DefaultPipelineRunnerServiceAccount); the page says which else.
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "pipeline-runner", "namespace": "kubeflow"}]
    # Without a namespace, so that one file does for each.
    assert "namespace" not in {**role["metadata"], **binding["metadata"]}


def roles() -> Iterator[dict[str, Any]]:
    for path in sorted(RBAC.glob("*.yaml")):
        yield from (each for each in manifests(path.name) if each["kind"] == "Role")


def test_no_role_grants_everything_or_any_secret() -> None:
    rights = {right for role in roles() for right in granted(role)}
    assert rights
    assert not {right for right in rights if "*" in right or right[1] == "secrets"}


# How Kubeflow Pipelines names a call when it asks Kubernetes whether it is allowed: kubeflow/pipelines,
# backend/src/apiserver/server/run_server.go and experiment_server.go.
CALLS = (
    (r"POST .*/runs", "runs", "create"),
    (r"GET .*/runs", "runs", "list"),
    (r"GET .*/runs/[\w-]+", "runs", "get"),
    (r"POST .*/runs/[\w-]+:terminate", "runs", "terminate"),
    (r"POST .*/experiments", "experiments", "create"),
    (r"GET .*/experiments", "experiments", "list"),
    (r"GET .*/experiments/[\w-]+", "experiments", "get"),
)


def rights_for(asked: Iterable[str]) -> set[Right]:
    found = set()
    for call in asked:
        resource, verb = next((resource, verb) for known, resource, verb in CALLS if re.fullmatch(known, call))
        found.add(("pipelines.kubeflow.org", resource, verb))
    return found


def test_the_receivers_role_grants_just_what_its_engine_asks_for(helm: Helm, tmp_path: Path) -> None:
    with serving(multi_user=True) as api:
        engine = Cluster(api.url, namespace="team-a", experiment="a new one")
        arguments = {"image": "registry.example.com/mlops/jukebox", "gitops_repo": "https://git.example.com/gitops.git"}
        arguments["step_image"] = "registry.example.com/mlops/steps@sha256:" + "a" * 64
        run = engine.start(load_pipeline("training"), "jukebox-alert-20250101T000000Z-abcdef012345", arguments)
        assert [found.id for found in engine.find(run.name)] == [run.id]
        assert engine.look(run.id)
        engine.stop(run.id)

    values = {
        "image": {"repository": "registry.example.com/mlops/roadie"},
        "config": {"hooks": {"alertmanager": {"secret": {"file": "/secret"}}}, "models": {"jukebox": {}}},
    }
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    rendered = helm.template(CHART, f"--values={tmp_path / 'values.yaml'}")
    (role,) = (each for each in rendered if each["kind"] == "Role")
    assert granted(role) == rights_for(api.asked)

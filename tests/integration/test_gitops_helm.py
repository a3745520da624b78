"""What Argo CD would render from the example repositories, before and after a bump, by the real helm."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from roadie.gitops import Edit, bump, bump_version, create_bare, init_repositories
from tests.rollouts import recorded
from tests.servers import kserve
from tests.servers.git_http import git
from tests.servers.helm import Helm, helm

__all__ = ["helm"]

DIGEST = "sha256:" + "ab" * 32
VALUES = "applications.jukebox.values"


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """The two repositories as `roadie gitops init` lays them out, mlops-gitops also as a bare repository."""
    replace = {"<GIT_SERVER>": "git.example.com", "<TEAM_NAME>": "stars", "<REGISTRY>": "registry.example.com"}
    init_repositories(tmp_path, replace=replace)
    create_bare(tmp_path / "mlops-gitops", tmp_path / "gitops.git")
    return tmp_path


def environment(helm: Helm, team: Path, name: str) -> dict[str, Any]:
    """The one Application of an environment, from what main holds now."""
    checkout = team / f"checkout-{name}"
    if checkout.exists():
        git("-C", str(checkout), "pull", "--quiet")
    else:
        git("clone", "--quiet", str(team / "gitops.git"), str(checkout))
    (application,) = helm.template(checkout, "--values", str(checkout / name / "values.yaml"))
    return application


def model(helm: Helm, team: Path, application: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the Application deploys, by kind."""
    source = application["spec"]["source"]
    chart = team / "mlops-helmcharts" / source["path"]
    values = json.dumps(source["helm"]["valuesObject"])
    return {m["kind"]: m for m in helm.template(chart, "--values", "-", stdin=values)}


def test_the_root_renders_one_application_for_each_enabled_environment(helm: Helm, team: Path) -> None:
    chart = team / "mlops-gitops"
    applications = helm.template(chart)
    assert [a["metadata"]["name"] for a in applications] == ["test", "stage"]
    assert [a["spec"]["source"]["helm"]["valueFiles"] for a in applications] == [
        ["test/values.yaml"],
        ["stage/values.yaml"],
    ]
    assert {a["spec"]["source"]["repoURL"] for a in applications} == {"https://git.example.com/stars/mlops-gitops.git"}

    values = chart / "values.yaml"
    values.write_text(values.read_text().replace("enabled: true", "enabled: false", 1))
    assert [a["metadata"]["name"] for a in helm.template(chart)] == ["stage"]


def test_applications_may_be_a_list_or_a_map(helm: Helm, team: Path) -> None:
    chart = team / "mlops-gitops"
    values = chart / "test" / "values.yaml"
    as_map = helm.template(chart, "--values", str(values))
    text = values.read_text()
    entry = text.partition("  jukebox:\n")[2]
    values.write_text(
        text.partition("applications:")[0] + "applications:\n- " + re.sub("^    ", "  ", entry, flags=re.M).strip()
    )
    assert helm.template(chart, "--values", str(values)) == as_map


def test_the_charts_pass_helm_lint(helm: Helm, team: Path) -> None:
    helm.lint(team / "mlops-gitops")
    for name in ("test", "stage"):
        helm.lint(team / "mlops-gitops", "--values", str(team / "mlops-gitops" / name / "values.yaml"))
    helm.lint(team / "mlops-helmcharts" / "charts" / "model-deployment" / "simple")


def test_a_bump_changes_the_version_that_is_rendered_and_nothing_else(helm: Helm, team: Path) -> None:
    before, stage = environment(helm, team, "test"), environment(helm, team, "stage")
    # A version of digits only: unquoted, helm would render 4.562e+09.
    bump(str(team / "gitops.git"), [Edit("test/values.yaml", f"{VALUES}.version", "4562117117")])
    after = environment(helm, team, "test")

    expected = copy.deepcopy(before)
    expected["spec"]["source"]["helm"]["valuesObject"]["version"] = "4562117117"
    assert after == expected
    assert environment(helm, team, "stage") == stage

    old, new = model(helm, team, before), model(helm, team, after)
    assert new["ServingRuntime"] == old["ServingRuntime"]
    predictor = new["InferenceService"]["spec"]["predictor"]["model"]
    assert predictor.pop("storageUri") == "oci://registry.example.com/stars/jukebox:4562117117"
    assert old["InferenceService"]["spec"]["predictor"]["model"].pop("storageUri").endswith("jukebox:latest")
    assert new["InferenceService"] == old["InferenceService"]


@pytest.mark.parametrize("version", ["1e10", "1.10", "0755", "yes", "6063e25", "a" * 128])
def test_every_version_reaches_the_storage_uri_as_it_was_written(helm: Helm, team: Path, version: str) -> None:
    bump(str(team / "gitops.git"), [Edit("test/values.yaml", f"{VALUES}.version", version)])
    service = model(helm, team, environment(helm, team, "test"))["InferenceService"]
    assert service["spec"]["predictor"]["model"]["storageUri"] == f"oci://registry.example.com/stars/jukebox:{version}"


def test_a_digest_is_deployed_rather_than_the_version(helm: Helm, team: Path) -> None:
    edits = [
        Edit("test/values.yaml", f"{VALUES}.version", "1.2.0"),
        Edit("test/values.yaml", f"{VALUES}.digest", DIGEST, create_missing=True),
    ]
    bump(str(team / "gitops.git"), edits)
    service = model(helm, team, environment(helm, team, "test"))["InferenceService"]
    assert service["spec"]["predictor"]["model"]["storageUri"] == f"oci://registry.example.com/stars/jukebox@{DIGEST}"


def test_nothing_is_left_to_sync_once_kserve_has_filled_in_its_defaults(helm: Helm, team: Path) -> None:
    deployed = model(helm, team, environment(helm, team, "test"))
    for kind, manifest in deployed.items():
        assert kserve.differences(manifest, kserve.admitted(manifest)) == [], kind


@pytest.mark.parametrize("mode", ["RawDeployment", "Serverless"])
def test_what_kserve_rewrites_is_left_to_sync_for_ever(helm: Helm, team: Path, mode: str) -> None:
    chart = team / "mlops-helmcharts" / "charts" / "model-deployment" / "simple"
    deployed = {each["kind"]: each for each in helm.template(chart, "--set", f"deployment_mode={mode}")}
    service = deployed["InferenceService"]
    assert kserve.differences(service, kserve.admitted(service)) == [
        "metadata.annotations.serving.kserve.io/deploymentMode"
    ]


@pytest.mark.parametrize("recording", ["first-deploy", "update-by-digest"])
def test_kserve_s_defaults_are_those_that_it_was_seen_to_fill_in(helm: Helm, team: Path, recording: str) -> None:
    seen = next(e.object for e in reversed(recorded.events(recording)) if e.kind == "InferenceService" and e.object)
    chart = team / "mlops-helmcharts" / "charts" / "model-deployment" / "simple"
    name, uri = seen["metadata"]["name"], seen["spec"]["predictor"]["model"]["storageUri"]
    _, at, digest = uri.partition("@")
    values = {
        "name": name,
        "repository": "registry.example.com/mlops",
        "version": "" if at else uri.rpartition(":")[2],
        "digest": digest,
        "resources": seen["spec"]["predictor"]["model"]["resources"],
    }
    rendered = helm.template(chart, "--values", "-", stdin=json.dumps(values))
    service = next(each for each in rendered if each["kind"] == "InferenceService")
    assert kserve.differences(service, seen) == []
    assert kserve.admitted(service)["spec"] == seen["spec"]
    annotations = {**seen["metadata"]["annotations"]}
    annotations.pop("argocd.argoproj.io/tracking-id")
    assert kserve.admitted(service)["metadata"]["annotations"] == annotations


def test_a_pod_is_ready_when_the_model_is_loaded_and_not_when_a_port_is_open(helm: Helm, team: Path) -> None:
    deployed = model(helm, team, environment(helm, team, "test"))
    (container,) = deployed["ServingRuntime"]["spec"]["containers"]
    asked = {"path": "/v2/models/jukebox/ready", "port": 8888}
    assert (container["startupProbe"]["httpGet"], container["readinessProbe"]["httpGet"]) == (asked, asked)
    assert container["startupProbe"]["failureThreshold"] * container["startupProbe"]["periodSeconds"] == 300


def test_the_first_bump_fills_in_the_digest_and_the_model_is_deployed_by_it(helm: Helm, team: Path) -> None:
    digest = f"sha256:{'a' * 64}"
    named = {"model_name": "jukebox", "environment": "test"}
    bump_version(str(team / "gitops.git"), "test/values.yaml", VALUES, version="1.1", digest=digest, **named)
    service = model(helm, team, environment(helm, team, "test"))["InferenceService"]
    assert service["spec"]["predictor"]["model"]["storageUri"].endswith(f"/jukebox@{digest}")

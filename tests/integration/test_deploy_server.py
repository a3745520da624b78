"""A real API server takes all that deploy/ and the example charts hold: a server-side dry run, strict about fields."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadie.gitops import init_repositories
from tests.integration.test_deploy_manifests import GITOPS, MODEL, SHOWN, plain_files
from tests.schemas import documents
from tests.schemas.receiver import CHART
from tests.servers.helm import Helm, helm
from tests.servers.kubernetes_api import clear
from tests.servers.kubernetes_server import ApiError, KubernetesServer, kubernetes_server
from tests.unit.docs.pages import ROOT

__all__ = ["helm"]

DRY = "?dryRun=All&fieldValidation=Strict"


@pytest.fixture(scope="module")
def server() -> KubernetesServer:
    """The process's own server, without what tests of another file left there."""
    found = kubernetes_server()
    clear(found)
    return found


def create(server: KubernetesServer, manifest: dict[str, Any]) -> dict[str, Any]:
    """What the server would make of a manifest; nothing is stored, but for its namespace."""
    version = manifest["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    kinds = server.ask("GET", root)["resources"]
    (known,) = (each for each in kinds if each["kind"] == manifest["kind"] and "/" not in each["name"])
    namespace = manifest["metadata"].get("namespace", "mlops")
    server.ensure_namespace(namespace)
    return dict(server.ask("POST", f"{root}/namespaces/{namespace}/{known['name']}{DRY}", manifest))


def refused(server: KubernetesServer, manifests: list[dict[str, Any]]) -> list[str]:
    def said() -> Iterator[str]:
        for each in manifests:
            try:
                create(server, each)
            except ApiError as error:
                yield f"{each['kind']} {each['metadata']['name']}: {error}"

    return list(said())


@pytest.mark.parametrize("path", plain_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_server_takes_a_plain_manifest(server: KubernetesServer, path: Path) -> None:
    assert refused(server, documents(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("values", SHOWN, ids=str)
def test_the_server_takes_the_receiver_with_every_value_that_the_page_shows(
    server: KubernetesServer, helm: Helm, tmp_path: Path, values: Any
) -> None:
    files = []
    for number, text in enumerate([SHOWN[0].text, values.text]):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(text)
    assert refused(server, helm.template(CHART, *(f"--values={file}" for file in files))) == []


def test_the_server_takes_the_example_repositories_as_argo_cd_renders_them(
    server: KubernetesServer, helm: Helm, tmp_path: Path
) -> None:
    replace = {"<GIT_SERVER>": "git.example.com", "<TEAM_NAME>": "stars", "<REGISTRY>": "registry.example.com"}
    init_repositories(tmp_path, replace=replace)
    gitops, charts = tmp_path / "mlops-gitops", tmp_path / "mlops-helmcharts"
    applications = helm.template(gitops)
    for each in list(applications):
        files = each["spec"]["source"]["helm"]["valueFiles"]
        applications += helm.template(gitops, *(f"--values={gitops / file}" for file in files))
    source = applications[2]["spec"]["source"]
    values = yaml.safe_dump(source["helm"]["valuesObject"])
    deployed = helm.template(charts / source["path"], "--values", "-", stdin=values)
    assert {each["kind"] for each in applications + deployed} == {"Application", "InferenceService", "ServingRuntime"}
    assert refused(server, applications + deployed) == []


def admitted(server: KubernetesServer, spec: dict[str, Any]) -> str:
    """What the admission of a namespace with the restricted profile says to a pod: nothing, or what is against it."""
    namespace = {"name": "restricted", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    server.ensure("/api/v1/namespaces", {"metadata": namespace})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "receiver", "namespace": "restricted"}, "spec": spec}
    return "".join(refused(server, [pod]))


@pytest.mark.parametrize(
    "context", [{}, {"podSecurityContext": {"fsGroup": None}}], ids=["as it is", "without fsGroup"]
)
def test_the_receivers_pod_passes_the_restricted_profile(
    server: KubernetesServer, helm: Helm, tmp_path: Path, context: dict[str, Any]
) -> None:
    (tmp_path / "shown.yaml").write_text(SHOWN[0].text)
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(context))
    rendered = helm.template(CHART, f"--values={tmp_path / 'shown.yaml'}", f"--values={tmp_path / 'values.yaml'}")
    (spec,) = (each["spec"]["template"]["spec"] for each in rendered if each["kind"] == "Deployment")
    assert admitted(server, spec) == ""
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    # And what the profile says to a pod that says nothing.
    said = admitted(server, {"containers": [{"name": "any", "image": "any"}]})
    assert 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false' in said


@pytest.mark.parametrize(
    ("chart", "kind", "path"),
    [
        (GITOPS, "Application", "spec.destination.sever"),
        (MODEL, "InferenceService", "spec.predictor.model.storageURI"),
        (MODEL, "ServingRuntime", "spec.suportedModelFormats"),
        (CHART, "Deployment", "spec.template.spec.restartpolicy"),
    ],
)
def test_the_server_refuses_a_misspelt_field(
    server: KubernetesServer, helm: Helm, tmp_path: Path, chart: Path, kind: str, path: str
) -> None:
    (tmp_path / "values.yaml").write_text(SHOWN[0].text if chart is CHART else "{}")
    rendered = helm.template(chart, f"--values={tmp_path / 'values.yaml'}")
    manifest = next(each for each in rendered if each["kind"] == kind)
    part = manifest
    *parents, field = path.split(".")
    for parent in parents:
        part = part[parent]
    part[field] = "x"
    (said,) = refused(server, [manifest])
    assert f'unknown field "{path}"' in said

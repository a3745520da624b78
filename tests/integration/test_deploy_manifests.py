"""Every manifest in deploy/ and examples/ is one that the cluster would take, those that charts render included."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from roadie.gitops import init_repositories
from tests.schemas import documents, problems
from tests.schemas.receiver import CHART
from tests.servers.helm import Helm, helm
from tests.unit.docs.pages import ROOT, blocks

__all__ = ["helm"]

GITOPS = ROOT / "examples" / "mlops-gitops"
MODEL = ROOT / "examples" / "mlops-helmcharts" / "charts" / "model-deployment" / "simple"
CHARTS = (CHART, GITOPS, MODEL)
# YAML that is no manifest.
OTHERS = {ROOT / "deploy" / "monitoring" / "alertmanager.yaml"}

# The values that the page on the receiver shows.
SHOWN = [block for block in blocks("yaml") if block.page.name == "install-the-receiver.md"]


def plain_files() -> list[Path]:
    found = [path for name in ("deploy", "examples") for path in (ROOT / name).rglob("*.y*ml")]
    return sorted({path for path in found if not any(chart in path.parents for chart in CHARTS)} - OTHERS)


def refused(manifests: list[dict[str, Any]]) -> list[str]:
    return [f"{each['kind']}: {problem}" for each in manifests for problem in problems(each)]


@pytest.mark.parametrize("path", plain_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_plain_manifest_is_valid(path: Path) -> None:
    found = documents(path.read_text(encoding="utf-8"))
    assert found
    assert refused(found) == []


@pytest.mark.parametrize("path", plain_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_misspelt_field_is_noticed_in_it(path: Path) -> None:
    for manifest in documents(path.read_text(encoding="utf-8")):
        assert problems({**manifest, "misspelt": 1})
        for part in {"metadata", "spec", "roleRef"} & manifest.keys():
            assert problems({**manifest, part: {**manifest[part], "misspelt": 1}}), f"{manifest['kind']}.{part}"


@pytest.mark.parametrize("values", SHOWN, ids=str)
def test_the_receiver_is_valid_with_every_value_that_the_page_shows(helm: Helm, tmp_path: Path, values: Any) -> None:
    files = []
    for number, text in enumerate([SHOWN[0].text, values.text]):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(text)
    rendered = helm.template(CHART, *(f"--values={file}" for file in files))
    assert {each["kind"] for each in rendered} >= {"Deployment", "NetworkPolicy", "PersistentVolumeClaim", "Ingress"}
    assert refused(rendered) == []


def test_the_receiver_is_valid_for_the_oldest_release_that_its_chart_allows(helm: Helm, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(SHOWN[0].text)
    oldest = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"].removeprefix(">=").removesuffix(".0-0")
    rendered = helm.template(CHART, "--values", str(tmp_path / "values.yaml"))
    assert [problem for each in rendered for problem in problems(each, oldest)] == []


def test_the_example_repositories_are_valid_as_argo_cd_renders_them(helm: Helm, tmp_path: Path) -> None:
    replace = {"<GIT_SERVER>": "git.example.com", "<TEAM_NAME>": "stars", "<REGISTRY>": "registry.example.com"}
    init_repositories(tmp_path, replace=replace)
    gitops, charts = tmp_path / "mlops-gitops", tmp_path / "mlops-helmcharts"
    applications = helm.template(gitops)
    for application in list(applications):
        files = application["spec"]["source"]["helm"]["valueFiles"]
        applications += helm.template(gitops, *(f"--values={gitops / file}" for file in files))
    assert [each["metadata"]["name"] for each in applications] == ["test", "stage", "jukebox-test", "jukebox-stage"]
    assert refused(applications) == []

    source = applications[2]["spec"]["source"]
    values = yaml.safe_dump(source["helm"]["valuesObject"])
    deployed = helm.template(charts / source["path"], "--values", "-", stdin=values)
    assert sorted(each["kind"] for each in deployed) == ["InferenceService", "ServingRuntime"]
    assert refused(deployed) == []


@pytest.mark.parametrize(
    ("chart", "kind", "path"),
    [
        (GITOPS, "Application", "spec.destination.sever"),
        (MODEL, "InferenceService", "spec.predictor.model.storageURI"),
        (MODEL, "ServingRuntime", "spec.containers.0.img"),
    ],
)
def test_a_misspelt_field_is_noticed_in_a_custom_resource(helm: Helm, chart: Path, kind: str, path: str) -> None:
    manifest = next(each for each in helm.template(chart) if each["kind"] == kind)
    assert problems(manifest) == []
    *parents, field = path.split(".")
    part: Any = manifest
    for parent in parents:
        part = part[int(parent) if parent.isdigit() else parent]
    part[field] = "x"
    assert any(f"'{field}' was unexpected" in problem for problem in problems(manifest))


def test_a_key_that_is_there_twice_and_a_kind_without_a_schema_are_noticed() -> None:
    with pytest.raises(yaml.YAMLError, match="verbs is there twice"):
        documents("rules:\n- verbs: [get]\n  verbs: [list]\n")
    assert problems({"apiVersion": "example.com/v1", "kind": "Jukebox"}) == [
        "there is no schema of example.com/v1 Jukebox"
    ]

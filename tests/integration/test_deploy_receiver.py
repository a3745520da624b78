"""The receiver's chart, by the real helm: what it renders, what it refuses, and what the receiver makes of it."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadie.triggers.loading import load
from tests.schemas import receiver as schema
from tests.schemas.receiver import CHART
from tests.servers.helm import Helm, helm
from tests.unit.docs.pages import ROOT, blocks

__all__ = ["helm"]

SECRETS = "/var/run/secrets/roadie"
# What docs/how-to/install-the-receiver.md shows first.
VALUES = next(block.text for block in blocks("yaml") if block.page.name == "install-the-receiver.md")


class Chart:
    """The chart with the values that the page shows, and others on top."""

    def __init__(self, helm: Helm, folder: Path) -> None:
        self.helm, self.folder = helm, folder

    def options(self, values: dict[str, Any]) -> list[str]:
        """Those of helm."""
        (self.folder / "shown.yaml").write_text(VALUES)
        (self.folder / "values.yaml").write_text(yaml.safe_dump(values))
        files = [f"--values={self.folder / name}" for name in ("shown.yaml", "values.yaml")]
        return ["--namespace=mlops", *files]

    def render(self, **values: Any) -> dict[str, dict[str, Any]]:
        """The manifests by kind."""
        return {each["kind"]: each for each in self.helm.template(CHART, *self.options(values))}

    def pod(self, **values: Any) -> dict[str, Any]:
        """The Deployment's pod."""
        pod: dict[str, Any] = self.render(**values)["Deployment"]["spec"]["template"]
        return pod

    def refusal(self, **values: Any) -> str:
        """What helm says to values that it refuses."""
        command = [str(self.helm.binary), "template", "release", str(CHART), *self.options(values)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        return done.stderr


@pytest.fixture
def chart(helm: Helm, tmp_path: Path) -> Chart:
    return Chart(helm, tmp_path)


def test_it_passes_helm_lint_with_and_without_values(chart: Chart) -> None:
    chart.helm.lint(CHART)
    chart.helm.lint(CHART, *chart.options({}))


def test_its_version_and_its_image_are_those_of_roadie(chart: Chart) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (about["version"], about["appVersion"]) == (version, version)
    assert image(chart.pod()) == f"registry.example.com/mlops/roadie:{version}"


def image(pod: dict[str, Any]) -> str:
    (container,) = pod["spec"]["containers"]
    return str(container["image"])


def test_a_digest_is_deployed_rather_than_a_tag_and_latest_never(chart: Chart) -> None:
    digest = "sha256:" + "ab" * 32
    assert image(chart.pod(image={"tag": "1.2.3", "digest": digest})) == f"registry.example.com/mlops/roadie@{digest}"
    assert image(chart.pod(image={"tag": "1.2.3"})) == "registry.example.com/mlops/roadie:1.2.3"
    assert "tag" in chart.refusal(image={"tag": "latest"})


def test_the_receiver_takes_the_configuration_that_the_page_shows(chart: Chart) -> None:
    secrets = chart.folder / "secrets"
    secrets.mkdir()
    for entry in yaml.safe_load(VALUES)["secrets"]:
        (secrets / entry).write_text("a secret of the test")
    text = chart.render()["ConfigMap"]["data"]["triggers.yaml"]
    (chart.folder / "triggers.yaml").write_text(text.replace(SECRETS, str(secrets)))
    config = load(chart.folder / "triggers.yaml")
    assert (config.listen.host, config.listen.port) == ("0.0.0.0", 8080)
    assert config.models["jukebox"].cool_down.total_seconds() == 6 * 3600

    pod = chart.pod()["spec"]
    mounts = {mount["mountPath"]: mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert "persistentVolumeClaim" in volumes[mounts[str(config.journal.parent)]]
    assert "persistentVolumeClaim" in volumes[mounts[str(config.runs.state)]]
    assert pod["containers"][0]["args"][-1] == "/etc/roadie/triggers.yaml"
    assert "configMap" in volumes[mounts["/etc/roadie"]]


def test_its_schema_takes_just_what_the_receiver_takes() -> None:
    shown = schema.SCHEMA.read_text()
    assert shown == schema.text(schema.schema()) + "\n", "write it anew with `python -m tests.schemas.receiver`"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"config": {"models": {"jukebox": {"cooldown": "6h"}}}}, "cooldown"),
        ({"config": {"journal": "/tmp/journal.db"}}, "journal"),
        ({"config": {"hooks": None}}, "config.hooks: name at least one sender"),
        ({"config": {"models": None}}, "config.models: name at least one model"),
        ({"image": {"repository": ""}}, "image.repository: name the repository"),
        ({"replicas": 2}, "replicas"),
        ({"secrets": {"github": {"value": "hunter2"}}}, "value"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name: name the account"),
    ],
)
def test_values_that_cannot_work_are_refused_with_their_key(chart: Chart, values: dict[str, Any], said: str) -> None:
    assert said in chart.refusal(**values)


def test_nothing_is_writable_but_the_journal_and_the_temporary_folder(chart: Chart) -> None:
    (container,) = chart.pod()["spec"]["containers"]
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/var/lib/roadie", "/tmp"}


def test_there_is_one_receiver_at_a_time_and_its_journal_outlives_it(chart: Chart) -> None:
    rendered = chart.render()
    deployment, claim = rendered["Deployment"]["spec"], rendered["PersistentVolumeClaim"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert claim["metadata"]["annotations"] == {
        "helm.sh/resource-policy": "keep",
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    }
    mine = chart.render(journal={"existingClaim": "mine"})
    assert "PersistentVolumeClaim" not in mine
    volumes = mine["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["persistentVolumeClaim"] == {"claimName": "mine"}


def test_a_changed_configuration_restarts_the_pod_and_nothing_else_does(chart: Chart) -> None:
    def annotations(**values: Any) -> Any:
        return chart.pod(**values)["metadata"]["annotations"]

    assert annotations() == annotations(service={"annotations": {"a": "b"}})
    assert annotations() != annotations(config={"models": {"jukebox": {"cool_down": "7h"}}})


def test_secrets_are_files_by_reference_and_in_no_other_place(chart: Chart) -> None:
    pod = chart.pod()["spec"]
    secrets = next(volume for volume in pod["volumes"] if volume["name"] == "secrets")
    items = {
        item["path"]: (source["secret"]["name"], item["key"])
        for source in secrets["projected"]["sources"]
        for item in source["secret"]["items"]
    }
    assert items == {"alertmanager": ("roadie-receiver", "alertmanager"), "github": ("roadie-receiver", "github")}
    (container,) = pod["containers"]
    assert "envFrom" not in container
    assert all("value" in each for each in container["env"])
    assert "Secret" not in chart.render()


def test_the_token_is_for_kubeflow_pipelines_and_not_for_kubernetes(chart: Chart) -> None:
    rendered = chart.render()
    pod = rendered["Deployment"]["spec"]["template"]["spec"]
    assert rendered["ServiceAccount"]["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is False
    token = next(volume for volume in pod["volumes"] if volume["name"] == "kubeflow-token")
    (source,) = token["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == "pipelines.kubeflow.org"
    (container,) = pod["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    mount = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "kubeflow-token")
    assert environment["KF_PIPELINES_SA_TOKEN_PATH"] == f"{mount}/{source['serviceAccountToken']['path']}"


def test_the_role_is_where_the_runs_are(chart: Chart) -> None:
    assert chart.render()["Role"]["metadata"]["namespace"] == "mlops"
    assert chart.render(config={"runs": None})["Role"]["metadata"]["namespace"] == "mlops"
    rendered = chart.render(config={"runs": {"namespace": "team-a"}})
    binding = rendered["RoleBinding"]
    assert {rendered["Role"]["metadata"]["namespace"], binding["metadata"]["namespace"]} == {"team-a"}
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": rendered["ServiceAccount"]["metadata"]["name"], "namespace": "mlops"}
    ]
    assert binding["roleRef"]["name"] == rendered["Role"]["metadata"]["name"]


def test_only_named_namespaces_get_in_and_only_named_places_are_reached(chart: Chart) -> None:
    policy = chart.render()["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    (rule,) = policy["ingress"]
    peers = [peer["namespaceSelector"]["matchLabels"] for peer in rule["from"]]
    assert [peer["kubernetes.io/metadata.name"] for peer in peers] == ["monitoring", "ingress-nginx"]
    anywhere = {port["port"] for rule in policy["egress"] if "to" not in rule for port in rule["ports"]}
    assert anywhere == {53, 5353, 443}
    assert all(rule.get("ports") for rule in policy["egress"]), "nowhere at every port"
    # An empty list lets nobody in; an empty rule would let everybody in.
    assert chart.render(networkPolicy={"from": []})["NetworkPolicy"]["spec"]["ingress"] == []


def test_only_the_hooks_are_reachable_from_outside(chart: Chart) -> None:
    (rule,) = chart.render()["Ingress"]["spec"]["rules"]
    assert [path["path"] for path in rule["http"]["paths"]] == ["/hooks"]


def test_selectors_select_the_pod_and_stay_the_same_over_releases(chart: Chart) -> None:
    rendered = chart.render(podLabels={"team": "stars"})
    pod = rendered["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        rendered["Deployment"]["spec"]["selector"]["matchLabels"],
        rendered["Service"]["spec"]["selector"],
        rendered["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= pod.items() for selector in selectors)
    assert rendered["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items() <= (
        rendered["Service"]["metadata"]["labels"].items()
    )
    # A Deployment's selector cannot be changed, so nothing of a version may be in it.
    assert selectors[0].keys() == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    assert pod["team"] == "stars"


def test_the_probes_and_the_monitor_ask_the_port_of_the_hooks(chart: Chart) -> None:
    rendered = chart.render()
    (port,) = rendered["Service"]["spec"]["ports"]
    (container,) = rendered["Deployment"]["spec"]["template"]["spec"]["containers"]
    (endpoint,) = rendered["ServiceMonitor"]["spec"]["endpoints"]
    probes = [container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
    assert [(probe["path"], probe["port"]) for probe in probes] == [
        (path, "hooks") for path in ("/healthz", "/healthz", "/readyz")
    ]
    (named,) = container["ports"]
    assert (port["name"], port["targetPort"], endpoint["port"], named["name"]) == ("http", "hooks", "http", "hooks")

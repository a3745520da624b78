"""The alerts by the real promtool, and the way to the receiver by the real amtool."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from roadie.triggers.metrics import Metrics
from tests.servers.process import require
from tests.unit.docs.pages import ROOT

MONITORING = ROOT / "deploy" / "monitoring"
TESTS = Path(__file__).parent / "rules"
RULES = ("drift", "serving", "receiver")
PLAIN = MONITORING / "alertmanager.yaml"


def spec(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((MONITORING / f"{name}.yaml").read_text(encoding="utf-8"))["spec"]
    return found


def alerts(name: str) -> list[dict[str, Any]]:
    return [rule for group in spec(name)["groups"] for rule in group["rules"] if "alert" in rule]


@pytest.fixture(params=RULES)
def rules(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A PrometheusRule as a rule file of Prometheus."""
    path = tmp_path / f"{request.param}.rules.yaml"
    path.write_text(yaml.safe_dump(spec(request.param)))
    return path


def promtool(*arguments: str | Path) -> None:
    program = require("promtool", "apt-get install prometheus")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules(rules: Path) -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", rules)


def test_the_rules_fire_when_they_should_and_only_then(rules: Path) -> None:
    # The tests name their rules by a path beside themselves.
    told = (TESTS / f"{rules.name.partition('.')[0]}.yaml").read_text(encoding="utf-8")
    (rules.parent / "tests.yaml").write_text(told)
    promtool("test", "rules", rules.parent / "tests.yaml")


@pytest.mark.parametrize("name", RULES)
def test_every_alert_is_tried(name: str) -> None:
    told = yaml.safe_load((TESTS / f"{name}.yaml").read_text(encoding="utf-8"))["tests"]
    tried = {each["alertname"] for test in told for each in test.get("alert_rule_test", []) if each["exp_alerts"]}
    assert {alert["alert"] for alert in alerts(name)} == tried


def test_drift_retrains_and_nothing_else_does() -> None:
    retraining = {alert["alert"] for name in RULES for alert in alerts(name) if "retrain" in alert["labels"]}
    assert retraining == {"ModelInputMeanDrift", "ModelInputDistributionDrift", "ModelInputJointDrift"}


def test_every_alert_says_what_is_wrong_and_how_bad_it_is() -> None:
    for alert in (each for name in RULES for each in alerts(name)):
        assert alert["labels"]["severity"] in {"warning", "critical"}
        assert alert["annotations"].keys() == {"summary", "description"}


def test_what_the_receivers_alerts_look_at_is_what_it_exports() -> None:
    metrics = Metrics()
    metrics.refused("github", 401)
    metrics.ended("jukebox", "failed")
    exported = set(re.findall(r"^(roadie_\w+)", metrics.render().decode(), flags=re.MULTILINE))
    used = {name for alert in alerts("receiver") for name in re.findall(r"roadie_\w+", alert["expr"])}
    assert used
    assert used <= exported


def test_the_page_names_every_alert_and_every_file() -> None:
    page = (ROOT / "docs" / "how-to" / "monitoring.md").read_text(encoding="utf-8")
    names = [alert["alert"] for name in RULES for alert in alerts(name)] + [path.name for path in MONITORING.iterdir()]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_alertmanager_takes_the_plain_configuration() -> None:
    program = require("amtool", "apt-get install prometheus-alertmanager")
    done = subprocess.run([program, "check-config", str(PLAIN)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        (["alertname=ModelInputMeanDrift", "model=jukebox", "retrain=true"], "roadie,people"),
        (["alertname=ModelServerErrors", "name=jukebox"], "people"),
        (["alertname=Any", "model=jukebox", "retrain=false"], "people"),
    ],
)
def test_only_what_retrains_is_told_to_the_receiver(labels: list[str], receivers: str) -> None:
    program = require("amtool", "apt-get install prometheus-alertmanager")
    command = [
        program,
        "config",
        "routes",
        "test",
        f"--config.file={PLAIN}",
        f"--verify.receivers={receivers}",
        *labels,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plain_configuration_says_what_the_operators_resource_says() -> None:
    resource = spec("alertmanagerconfig")
    plain = yaml.safe_load(PLAIN.read_text(encoding="utf-8"))
    route, *_ = plain["route"]["routes"]
    assert route == as_alertmanager(resource["route"])
    assert [each for each in plain["receivers"] if each["name"] == "roadie"] == as_alertmanager(resource["receivers"])


def as_alertmanager(node: Any) -> Any:
    """A part of an AlertmanagerConfig as the operator writes it into Alertmanager's configuration.

    Source: prometheus-operator, Documentation/api-reference. Its keys are in camel case, a matcher is an object, and a
    secret is a reference: here it is the file at which the operator mounts a Secret that Alertmanager's resource names.
    """
    if isinstance(node, list):
        return [as_alertmanager(each) for each in node]
    if not isinstance(node, dict):
        return node
    if "matchType" in node:
        return f'{node["name"]}{node["matchType"]}"{node["value"]}"'
    written = {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key): value for key, value in node.items()}
    if reference := written.pop("credentials", None):
        written["credentials_file"] = "/etc/alertmanager/secrets/{name}/{key}".format(**reference)
    return {key: as_alertmanager(value) for key, value in written.items()}


def test_a_message_of_the_most_alerts_is_one_that_the_receiver_reads() -> None:
    (receiver,) = spec("alertmanagerconfig")["receivers"]
    (webhook,) = receiver["webhookConfigs"]
    # 2,000 alerts were 857 KB; the receiver reads at least 2 MiB.
    assert 0 < webhook["maxAlerts"] * 857_000 / 2_000 < 2 << 20

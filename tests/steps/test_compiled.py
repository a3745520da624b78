"""The compiled YAML, looked at as a cluster would."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components import _cluster
from roadie import mounted
from roadie.errors import UsageError
from roadie.runs import within_budget
from tests.steps.compiled import COMPILED, COMPONENTS, PIPELINES, ROOT, containers, documents, tasks

EFFECTS = {
    "load-charts",
    "split-data",
    "find-champion",
    "push-modelcar",
    "bump-version",
    "wait-for-rollout",
    "report-run",
}


@pytest.fixture(scope="module")
def training() -> dict[str, Any]:
    return documents(COMPILED / "pipelines" / "training.yaml")[0]


IMAGE = "registry.example.com/mlops/roadie@sha256:" + "1" * 64
CLUSTER = """
all:
  run_as_user: 1000
  ca_config_map: company-ca
  pull_secrets: [registry]
  scratch: 2Gi
train:
  minutes: 90
  cpu: 2
  memory: 4Gi
  accelerator: nvidia.com/gpu
  node_selector: {disk: fast}
  tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
"""


def run_compile(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "roadie", "compile", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def with_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `roadie compile --image` wrote, and settings for a cluster in it."""
    folder = tmp_path_factory.mktemp("compiled")
    (folder / "cluster.yaml").write_text(CLUSTER)
    options = ("--image", IMAGE, "--settings", str(folder / "cluster.yaml"), "--output", str(folder))
    done = run_compile(*options)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_step_has_its_own_yaml() -> None:
    sources = {path.stem for path in (ROOT / "components").glob("[!_]*.py")}
    assert {path.stem for path in COMPONENTS} == sources


def test_the_committed_yaml_is_what_the_sources_compile_to_and_a_drift_is_shown_with_the_command_that_mends_it(
    tmp_path: Path,
) -> None:
    folder = shutil.copytree(COMPILED, tmp_path / "compiled")
    path = folder / "components" / "check_data.yaml"
    path.write_text(path.read_text().replace("- roadie.step", "- roadie.stop"))
    (folder / "components" / "gone.yaml").write_text("old: true\n")
    done = run_compile("--check", "--output", str(folder))
    assert done.returncode == 1
    # All else is what the sources compile to.
    changed = set(re.findall(r"^(?:---|\+\+\+) \S*?([a-z_]+\.yaml)", done.stdout, re.MULTILINE))
    assert changed == {"check_data.yaml", "gone.yaml"}, done.stdout
    assert re.search(r"^-.*roadie.stop$", done.stdout, re.MULTILINE)
    assert re.search(r"^\+.*roadie.step$", done.stdout, re.MULTILINE)
    assert "-old: true" in done.stdout
    assert "make compile" in done.stderr


def test_a_step_s_command_is_its_name_and_carries_no_code(training: dict[str, Any]) -> None:
    for path in (*COMPONENTS, *PIPELINES):
        for name, container in containers(documents(path)[0]).items():
            step = re.sub(r"-\d+$", "", name).replace("-", "_")
            assert container["command"] == ["python3", "-m", "roadie.step", f"components.{step}"], path
            assert container["args"] == ["{{$}}", "kfp.dsl.executor_main"], path
    assert all(len(json.dumps(each)) < 250 for each in containers(training).values())


def test_the_pipeline_s_parameter_names_the_image_of_every_step(training: dict[str, Any]) -> None:
    for path in PIPELINES:
        spec, _ = documents(path)
        for name, container in containers(spec).items():
            assert container["image"] == "{{$.inputs.parameters['pipelinechannel--step_image']}}", name
        assert spec["root"]["inputDefinitions"]["parameters"]["step_image"]["defaultValue"] == ""


def test_an_image_given_to_compile_is_the_parameter_s_default_and_that_of_components_alone(with_image: Path) -> None:
    spec, _ = documents(with_image / "pipelines" / "training.yaml")
    assert spec["root"]["inputDefinitions"]["parameters"]["step_image"]["defaultValue"] == IMAGE
    assert {each["image"] for each in containers(spec).values()} == {
        "{{$.inputs.parameters['pipelinechannel--step_image']}}"
    }
    (alone,) = containers(documents(with_image / "components" / "train.yaml")[0]).values()
    assert alone["image"] == IMAGE


def test_a_component_alone_without_an_image_says_what_to_do() -> None:
    (alone,) = containers(documents(COMPILED / "components" / "train.yaml")[0]).values()
    assert alone["image"] == "set-the-image-that-roadie-image-push-made"


def test_a_cluster_s_settings_reach_every_step_and_a_step_s_own_that_step(with_image: Path) -> None:
    spec, platform = documents(with_image / "pipelines" / "training.yaml")
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods.keys() == spec["deploymentSpec"]["executors"].keys()
    for name, pod in pods.items():
        # With what KFP adds to every step by itself, this is the restricted profile of the Pod Security Standards.
        assert pod["securityContext"] == {"runAsUser": "1000", "runAsNonRoot": True}, name
        assert [secret["secretName"] for secret in pod["imagePullSecret"]] == ["registry"], name
        (authorities,) = pod["configMapAsVolume"]
        assert (authorities["configMapName"], authorities["mountPath"]) == ("company-ca", mounted.CA.path), name
        (scratch,) = pod["emptyDirMounts"]
        assert (scratch["mountPath"], scratch["sizeLimit"]) == ("/tmp", "2Gi"), name
    for name, container in containers(spec).items():
        assert "env" not in container, name
    assert pods["exec-train"]["nodeSelector"] == {"labels": {"disk": "fast"}}
    assert pods["exec-train"]["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "nodeSelector" not in pods["exec-evaluate"]
    assert (pods["exec-train"]["activeDeadlineSeconds"], pods["exec-evaluate"]["activeDeadlineSeconds"]) == (
        "5400",
        "3600",
    )
    resources = containers(spec)["train"]["resources"]
    assert (resources["resourceCpuLimit"], resources["resourceMemoryLimit"]) == ("2", "4Gi")
    accelerator = resources["accelerator"]
    assert (accelerator["resourceType"], accelerator["resourceCount"]) == ("nvidia.com/gpu", "1")
    assert "resources" not in containers(spec)["evaluate"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("trian: {cpu: 2}", "there is no step trian to set anything for"),
        ("train: 2", "must name steps and what each asks for"),
        (
            "train: [",
            "settings.yaml is not readable as YAML (expected the node content, but found '<stream end>' in line 1)",
        ),
        ("train: {cpu: lots}", "the step train cannot have this cpu: 'lots' is none, write it like 2, 0.5 or 500m"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "settings.yaml").write_text(text)
    done = run_compile("--settings", str(tmp_path / "settings.yaml"), "--output", str(tmp_path))
    assert done.returncode == 2
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--image", "not an image!", "'not an image!' has no tag and no digest"),
        ("--image", "oci:steps:1", "is a folder of this machine, from which no cluster pulls"),
        ("--output", "README.md/there", "README.md/there cannot be made (Not a directory): name another"),
    ],
)
def test_what_cannot_be_compiled_for_or_written_to_is_refused_before_the_work(
    option: str, value: str, sentence: str
) -> None:
    done = run_compile(option, value)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "pods" not in done.stderr


@pytest.mark.parametrize("setting", [{"cpu": "0.5"}, {"cpu": 2}, {"cpu": "500m"}, {"memory": "4Gi", "scratch": "2G"}])
def test_amounts_are_taken_as_kubernetes_writes_them(setting: dict[str, Any]) -> None:
    assert (
        _cluster.read({"train": setting}, "train").model_dump().items()
        >= {k: str(v) for k, v in setting.items()}.items()
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"train": {"cpus": 2}}, "the step train has no setting 'cpus': use one of cpu, memory"),
        ({"train": {"tolerations": [{"operator": "Is"}]}}, "the step train cannot have this tolerations.0.operator"),
        ({"all": {"memory": "4 GB"}}, "the step train cannot have this memory: '4 GB' is none, write it like 4Gi"),
        ({"all": {"run_as_user": 0}}, "cannot have this run_as_user: Input should be greater than or equal to 1"),
    ],
)
def test_a_step_s_setting_that_cannot_be_is_named(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        _cluster.read(settings, "train")


@pytest.mark.parametrize(("name", "pods"), [("training", 27), ("promotion", 10)])
def test_a_run_stays_within_what_argo_keeps_of_it_and_takes_few_pods(name: str, pods: int) -> None:
    growth = within_budget(name, (COMPILED / "pipelines" / f"{name}.yaml").read_text())
    assert growth.share <= 0.65
    assert growth.pods == pods


def test_steps_with_effects_are_never_served_from_the_cache(training: dict[str, Any]) -> None:
    cached = {
        name
        for name, task in tasks(training).items()
        if "dag" not in training["components"][task["componentRef"]["name"]]
        and task.get("cachingOptions", {}).get("enableCache")
    }
    assert cached == {"check-data", "train", "evaluate"}
    assert EFFECTS & cached == set()


def test_every_parameter_carries_its_description_into_kfp_s_form(training: dict[str, Any]) -> None:
    parameters = training["root"]["inputDefinitions"]["parameters"]
    assert [name for name, body in parameters.items() if not body.get("description")] == []
    for path in COMPONENTS:
        spec, _ = documents(path)
        declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        assert [name for name, body in declared.items() if not body.get("description")] == [], path.name


def test_what_may_be_repeated_is_tried_again_and_what_keeps_no_time_of_its_own_is_ended(
    training: dict[str, Any],
) -> None:
    tried = {
        name: task["retryPolicy"]["maxRetryCount"] for name, task in tasks(training).items() if "retryPolicy" in task
    }
    assert tried == {"push-modelcar": 2, "bump-version": 2, "bump-version-2": 2}
    spec, platform = documents(COMPILED / "pipelines" / "training.yaml")
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    ended = {name.removeprefix("exec-") for name, pod in pods.items() if "activeDeadlineSeconds" in pod}
    endless = {re.sub(r"-\d+$", "", name) for name in containers(spec).keys() - ended}
    assert endless == {"train", "bump-version", "wait-for-rollout"}


def test_each_step_gets_the_secrets_that_it_needs_and_a_reading_one_those_for_reading() -> None:
    _, platform = documents(COMPILED / "pipelines" / "training.yaml")
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    named: dict[str, set[str]] = {}
    for name, body in executors.items():
        for secret in body.get("secretAsVolume", []):
            parameter = secret["secretNameParameter"]["componentInputParameter"]
            named.setdefault(re.sub(r"^exec-|-\d+$", "", name), set()).add(parameter.rpartition("--")[2])
    assert named == {
        "load-charts": {"s3_secret"},
        "split-data": {"s3_secret"},
        "find-champion": {"git_read_secret", "registry_pull_secret"},
        "push-modelcar": {"registry_secret"},
        "bump-version": {"git_secret"},
        "wait-for-rollout": {"git_secret"},
        "report-run": {"webhook_secret"},
    }


@pytest.mark.parametrize("path", sorted((ROOT / "components").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_step_s_file_imports_only_types_and_the_decorator(path: Path) -> None:
    modules = {node.module for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)}
    assert modules <= {"typing", "kfp.dsl", "components._step"}
    assert not [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import)]

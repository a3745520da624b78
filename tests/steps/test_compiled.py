"""The compiled YAML, looked at as a cluster would."""

import ast
import importlib
import importlib.metadata
import io
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import _archive, _lock
from components._step import PIPELINE_LIMIT, STEP_LIMIT, source_of

ROOT = Path(__file__).resolve().parents[2]
COMPILED = ROOT / "compiled"
COMPONENTS = sorted((COMPILED / "components").glob("*.yaml"))
EFFECTS = {
    "load-charts",
    "find-champion",
    "push-modelcar",
    "bump-version",
    "wait-for-rollout",
    "report-run",
}


def compiled(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    documents = list(yaml.safe_load_all(path.read_text()))
    return documents[0], documents[1] if len(documents) > 1 else {}


def containers(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    executors = spec["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): body["container"] for name, body in executors.items()}


def tasks(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    dags = [spec["root"]["dag"], *(body["dag"] for body in spec["components"].values() if "dag" in body)]
    return {name: task for dag in dags for name, task in dag["tasks"].items()}


@pytest.fixture(scope="module")
def training() -> dict[str, Any]:
    return compiled(COMPILED / "pipelines" / "training.yaml")[0]


def run_compile(*options: str, python: str = sys.executable, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "roadie", "compile", *options], cwd=root, capture_output=True, text=True, check=False
    )


def test_every_step_has_its_own_yaml() -> None:
    sources = {path.stem for path in (ROOT / "components").glob("[!_]*.py")}
    assert {path.stem for path in COMPONENTS} == sources


def test_the_committed_yaml_is_what_the_sources_compile_to() -> None:
    done = run_compile("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_drift_is_shown_as_a_diff_with_the_command_that_mends_it(tmp_path: Path) -> None:
    folder = shutil.copytree(COMPILED, tmp_path / "compiled")
    path = folder / "components" / "check_data.yaml"
    path.write_text(path.read_text().replace("image: python:3.11", "image: python:3.10"))
    (folder / "components" / "gone.yaml").write_text("old: true\n")
    done = run_compile("--check", "--output", str(folder))
    assert done.returncode == 1
    assert re.search(r"^-.*image: python:3.10$", done.stdout, re.MULTILINE)
    assert re.search(r"^\+.*image: python:3.11$", done.stdout, re.MULTILINE)
    assert "-old: true" in done.stdout
    assert "make compile" in done.stderr


def test_a_second_compile_gives_the_same_bytes(tmp_path: Path) -> None:
    assert run_compile("--output", str(tmp_path)).returncode == 0
    for path in COMPILED.rglob("*.yaml"):
        assert (tmp_path / path.relative_to(COMPILED)).read_bytes() == path.read_bytes()


def test_the_image_variant_embeds_nothing_and_calls_no_pip(tmp_path: Path) -> None:
    assert run_compile("--image", "registry.example.com/roadie:1", "--output", str(tmp_path)).returncode == 0
    spec, _ = compiled(tmp_path / "pipelines" / "training.yaml")
    for name, container in containers(spec).items():
        assert container["image"] == "registry.example.com/roadie:1", name
        text = " ".join(container["command"])
        assert "pip install" not in text, name
        assert "ROADIE_ARCHIVE" not in text, name


def test_mirrors_of_image_and_index_reach_every_step(tmp_path: Path) -> None:
    options = (
        "--base-image",
        "mirror.example.com/python:3.11",
        "--pip-index-url",
        "https://mirror.example.com/simple",
    )
    assert run_compile(*options, "--output", str(tmp_path)).returncode == 0
    for name, container in containers(compiled(tmp_path / "pipelines" / "training.yaml")[0]).items():
        assert container["image"] == "mirror.example.com/python:3.11", name
        assert "--index-url https://mirror.example.com/simple" in " ".join(container["command"]), name
        assert "--trusted-host" not in " ".join(container["command"]), name


def test_what_a_step_asks_the_cluster_for_is_said_when_it_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "resources.yaml").write_text("train: {cpu: 2, memory: 4Gi, accelerator: nvidia.com/gpu}\n")
    done = run_compile("--resources", str(tmp_path / "resources.yaml"), "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    all_containers = containers(compiled(tmp_path / "pipelines" / "training.yaml")[0])
    resources = all_containers["train"]["resources"]
    assert (resources["resourceCpuLimit"], resources["resourceMemoryLimit"]) == ("2", "4Gi")
    assert (resources["accelerator"]["resourceType"], resources["accelerator"]["resourceCount"]) == (
        "nvidia.com/gpu",
        "1",
    )
    assert "resources" not in all_containers["evaluate"]


CLUSTER = """
all:
  run_as_user: 1000
  ca_config_map: company-ca
  pull_secrets: [registry]
train:
  node_selector: {disk: fast}
  tolerations: [{key: gpu, operator: Exists, effect: NoSchedule}]
"""


def test_a_cluster_s_settings_reach_every_step_and_a_step_s_own_that_step(tmp_path: Path) -> None:
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    done = run_compile("--settings", str(tmp_path / "cluster.yaml"), "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    spec, platform = compiled(tmp_path / "pipelines" / "training.yaml")
    pods = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert pods.keys() == spec["deploymentSpec"]["executors"].keys()
    for name, pod in pods.items():
        # With what KFP adds to every step by itself, this is the restricted profile of the Pod Security Standards.
        assert pod["securityContext"] == {"runAsUser": "1000", "runAsNonRoot": True}, name
        assert [secret["secretName"] for secret in pod["imagePullSecret"]] == ["registry"], name
        assert pod["configMapAsVolume"][0]["configMapName"] == "company-ca", name
    for name, container in containers(spec).items():
        variables = {each["name"]: each["value"] for each in container["env"]}
        assert variables["GIT_CA_FILE"] == variables["PIP_CERT"] == "/var/run/secrets/roadie/ca/ca.crt", name
        assert variables["HOME"] == "/tmp", name
    assert pods["exec-train"]["nodeSelector"] == {"labels": {"disk": "fast"}}
    assert pods["exec-train"]["tolerations"] == [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert "nodeSelector" not in pods["exec-evaluate"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("trian: {cpu: 2}", "there is no step trian to set anything for"),
        ("train: {cpus: 2}", "the step train has no setting 'cpus': use one of cpu, memory"),
        ("train: {tolerations: [{operator: Is}]}", "the step train cannot have this tolerations.0.operator"),
        ("all: {run_as_user: 0}", "cannot have this run_as_user: Input should be greater than or equal to 1"),
        ("train: 2", "must name steps and what each asks for"),
        ("train: [", "is not readable as YAML"),
    ],
)
def test_resources_that_cannot_be_are_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "resources.yaml").write_text(text)
    done = run_compile("--resources", str(tmp_path / "resources.yaml"), "--output", str(tmp_path))
    assert done.returncode == 2
    assert sentence in done.stderr


def test_no_step_and_no_pipeline_is_larger_than_a_cluster_takes(training: dict[str, Any]) -> None:
    sizes = {name: len(container["command"][-1]) for name, container in containers(training).items()}
    assert max(sizes.values()) <= STEP_LIMIT, sizes
    assert (COMPILED / "pipelines" / "training.yaml").stat().st_size <= PIPELINE_LIMIT


def test_steps_with_effects_are_never_served_from_the_cache(training: dict[str, Any]) -> None:
    cached = {
        name
        for name, task in tasks(training).items()
        if "dag" not in training["components"][task["componentRef"]["name"]]
        and task.get("cachingOptions", {}).get("enableCache")
    }
    assert cached == {"check-data", "split-data", "cross-validate", "train", "evaluate"}
    assert EFFECTS & cached == set()


def test_every_package_that_a_step_installs_is_pinned(training: dict[str, Any]) -> None:
    for name, container in containers(training).items():
        installs = [line for part in container["command"] for line in part.splitlines() if "pip install" in line]
        assert installs, name
        for requirement in re.findall(r"'([^']+)'", " ".join(installs)):
            assert "==" in requirement or requirement in {"--no-deps"} or requirement.startswith("typing-extensions"), (
                name
            )


def test_every_parameter_carries_its_description_into_kfp_s_form(training: dict[str, Any]) -> None:
    parameters = training["root"]["inputDefinitions"]["parameters"]
    assert [name for name, body in parameters.items() if not body.get("description")] == []
    for path in COMPONENTS:
        spec, _ = compiled(path)
        declared = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        assert [name for name, body in declared.items() if not body.get("description")] == [], path.name


def test_secrets_are_named_by_parameters_and_may_be_missing() -> None:
    _, platform = compiled(COMPILED / "pipelines" / "training.yaml")
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    named: dict[str, set[str]] = {}
    for name, body in executors.items():
        for secret in [*body.get("secretAsEnv", []), *body.get("secretAsVolume", [])]:
            assert secret["optional"] is True, name
            parameter = secret["secretNameParameter"]["componentInputParameter"]
            named.setdefault(name.removeprefix("exec-"), set()).add(parameter.rpartition("--")[2])
    assert named == {
        "load-charts": {"s3_secret"},
        "find-champion": {"git_secret", "registry_secret"},
        "push-modelcar": {"registry_secret"},
        "bump-version": {"git_secret"},
        "wait-for-rollout": {"git_secret"},
        "report-run": {"webhook_secret"},
    }


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_a_step_finds_all_that_it_imports_in_what_it_carries(path: Path, tmp_path: Path) -> None:
    """Imports every module of the step's archive where the checkout is out of reach."""
    [container] = containers(compiled(path)[0]).values()
    found = re.search(r"ROADIE_ARCHIVE = '([^']+)'", container["command"][-1])
    assert found
    raw = _archive.unpack(found[1])
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        tar.extractall(tmp_path, filter="data")
    modules = [".".join(each.relative_to(tmp_path).with_suffix("").parts) for each in tmp_path.rglob("*.py")]
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + "\n".join(
        f"import {module.removesuffix('.__init__')}" for module in sorted(modules)
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Imported only where they are installed, or by type checkers.
OPTIONAL = {
    "onnx",  # push checks the model file with it; training has done so already
    "modelcar_base_image",  # needed for pushing; a step that pulls reaches the module but not the call
    "types_boto3_s3",
}


@pytest.mark.parametrize("name", [path.stem for path in COMPONENTS])
def test_a_step_installs_all_that_it_imports(name: str) -> None:
    step = getattr(importlib.import_module(f"components.{name}"), name)
    imported = set()
    for path, source in _archive.files(source_of(step.function)).items():
        for node in ast.walk(ast.parse(source)) if path.endswith(".py") else ():
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    foreign = imported - sys.stdlib_module_names - {"roadie"}
    distributions = importlib.metadata.packages_distributions()
    pinned = {pin.partition("==")[0] for pin in _lock.read().pins(step.packages)}
    missing = {each for each in foreign if not {d.lower().replace("_", "-") for d in distributions[each]} & pinned}
    assert missing <= OPTIONAL


@pytest.mark.parametrize("path", sorted((ROOT / "components").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_step_s_file_imports_only_types_and_the_decorator(path: Path) -> None:
    modules = {node.module for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)}
    assert modules <= {"typing", "kfp.dsl", "components._step"}
    assert not [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import)]

"""Against a bare repository and an OCI layout on disk; the same with real servers is in tests/scenarios."""

import json
from pathlib import Path

import pytest

from roadie import gitops, modelcar, trace
from roadie.errors import GitOpsError, ModelCarError, UsageError

KEY = "applications.jukebox.values"
VALUES = """\
applications:
  jukebox:
    values:
      name: jukebox
      version: {version}
"""


@pytest.fixture
def image(tmp_path: Path) -> str:
    return f"oci:{tmp_path / 'registry'}"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "weights.bin").write_bytes(b"weights")
    return folder


def repository(folder: Path, version: str) -> str:
    source = folder / "source" / "stage"
    source.mkdir(parents=True)
    (source / "values.yaml").write_text(VALUES.format(version=version))
    gitops.create_bare(folder / "source", folder / "gitops.git")
    return str(folder / "gitops.git")


def champion(repo: str, image: str, directory: Path, key: str = KEY) -> trace.Champion:
    files = {"test": "", "stage": "stage/values.yaml"}
    return trace.find_champion(repo, files, "stage", key, image=image, branch="main", directory=directory)


def test_the_deployed_version_s_model_is_pulled(tmp_path: Path, image: str, model: Path) -> None:
    pushed = modelcar.push(model, f"{image}:v1")
    found = champion(repository(tmp_path, '"v1"'), image, tmp_path / "out")
    assert (found.version, found.digest) == ("v1", pushed.digest)
    assert (tmp_path / "out" / "model" / "1" / "weights.bin").read_bytes() == b"weights"


@pytest.mark.parametrize("version", ["latest", '""', "null", ""])
def test_a_values_file_that_deploys_nothing_yet_has_no_champion(tmp_path: Path, image: str, version: str) -> None:
    found = champion(repository(tmp_path, version), image, tmp_path / "out")
    assert found.version == ""
    assert not (tmp_path / "out" / "model").exists()
    assert json.loads((tmp_path / "out" / "champion.json").read_text())["version"] == ""


def test_a_mapping_without_a_version_has_no_champion(tmp_path: Path, image: str) -> None:
    assert champion(repository(tmp_path, "v1"), image, tmp_path / "out", "applications.jukebox").version == ""


def test_a_path_that_leads_nowhere_is_an_error_before_anything_is_trained(tmp_path: Path, image: str) -> None:
    with pytest.raises(GitOpsError, match=r"applications\.other\.values\.version: .* check the path"):
        champion(repository(tmp_path, "v1"), image, tmp_path / "out", "applications.other.values")


def test_a_placeholder_that_the_registry_has_is_a_version(tmp_path: Path, image: str, model: Path) -> None:
    modelcar.push(model, f"{image}:latest")
    assert champion(repository(tmp_path, "latest"), image, tmp_path / "out").version == "latest"


def test_a_version_that_the_registry_does_not_have_is_an_error(tmp_path: Path, image: str) -> None:
    with pytest.raises(ModelCarError, match=r"stage/values\.yaml deploys version v9, which .* does not have"):
        champion(repository(tmp_path, "v9"), image, tmp_path / "out")


def find(repo: str, image: str, directory: Path, environment: str, **files: str) -> trace.Champion:
    return trace.find_champion(repo, files, environment, KEY, image=image, branch="main", directory=directory)


def test_an_environment_without_a_values_file_leaves_the_champion_to_the_other(tmp_path: Path, image: str) -> None:
    repo = repository(tmp_path, "latest")
    assert find(repo, image, tmp_path / "out", "test", test="", stage="stage/values.yaml").commit


@pytest.mark.parametrize(
    ("environment", "files", "sentence"),
    [
        ("moon", {"test": "a", "stage": "b"}, "no environment 'moon' .* use test or stage"),
        ("test", {"test": "", "stage": ""}, "no environment has a values file"),
    ],
)
def test_a_champion_of_nowhere_is_refused(
    tmp_path: Path, image: str, environment: str, files: dict[str, str], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        find("unused", image, tmp_path, environment, **files)

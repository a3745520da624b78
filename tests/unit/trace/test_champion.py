"""Against a bare repository and an OCI layout on disk; the same with real servers is in tests/scenarios."""

import json
from collections.abc import Callable
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


def test_a_run_that_pushes_nothing_needs_no_image(tmp_path: Path) -> None:
    assert champion(repository(tmp_path, '""'), "", tmp_path / "out").version == ""


def test_a_path_that_leads_nowhere_is_an_error_before_anything_is_trained(tmp_path: Path, image: str) -> None:
    with pytest.raises(GitOpsError, match=r"applications\.other\.values\.version: .* check the path"):
        champion(repository(tmp_path, "v1"), image, tmp_path / "out", "applications.other.values")


def test_a_placeholder_that_the_registry_has_is_a_version(tmp_path: Path, image: str, model: Path) -> None:
    modelcar.push(model, f"{image}:latest")
    assert champion(repository(tmp_path, "latest"), image, tmp_path / "out").version == "latest"


def moved(image: str, model: Path) -> tuple[str, str]:
    """The digest that v1 had, and that of another model which its tag was moved to."""
    first = modelcar.push(model, f"{image}:v1").digest
    (model / "1" / "weights.bin").write_bytes(b"worthless")
    return first, modelcar.push(model, f"{image}:v1", move_tag=True).digest


def by_trailer(tmp_path: Path, digest: str) -> str:
    repo = repository(tmp_path, "latest")
    edits = [gitops.Edit("stage/values.yaml", f"{KEY}.version", "v1")]
    gitops.bump(repo, edits, trailers={"Roadie-Model": "jukebox", "Roadie-Version": "v1", "Roadie-Digest": digest})
    return repo


def by_values(tmp_path: Path, digest: str) -> str:
    return repository(tmp_path, f'"v1"\n      digest: "{digest}"')


@pytest.mark.parametrize("told", [by_values, by_trailer])
def test_a_tag_that_was_moved_is_an_alarm_and_nothing_is_pulled(
    tmp_path: Path, image: str, model: Path, told: Callable[[Path, str], str]
) -> None:
    first, second = moved(image, model)
    with pytest.raises(ModelCarError, match=rf"version v1 as {first}, but .* names {second}: somebody moved it"):
        champion(told(tmp_path, first), image, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("told", [by_values, by_trailer])
def test_the_digest_in_git_decides_also_when_the_tag_is_gone(
    tmp_path: Path, image: str, model: Path, told: Callable[[Path, str], str]
) -> None:
    first = modelcar.push(model, f"{image}:v0").digest
    found = champion(told(tmp_path, first), image, tmp_path / "out")
    assert (found.version, found.digest) == ("v1", first)
    assert "no digest" not in found.sentence
    assert (tmp_path / "out" / "model" / "1" / "weights.bin").read_bytes() == b"weights"


def test_a_version_without_a_digest_in_git_is_taken_by_its_tag_and_that_is_said(
    tmp_path: Path, image: str, model: Path
) -> None:
    modelcar.push(model, f"{image}:v1")
    found = champion(repository(tmp_path, '"v1"'), image, tmp_path / "out")
    assert "Git holds no digest for it, so the registry's tag decided" in found.sentence


def test_a_placeholder_with_a_digest_is_what_is_deployed(tmp_path: Path, image: str, model: Path) -> None:
    first, _ = moved(image, model)
    repo = repository(tmp_path, f'"latest"\n      digest: "{first}"')
    assert champion(repo, image, tmp_path / "out").digest == first


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("registry.test/team/x:1.0", r"has the tag '1.0': leave it out, the version is the tag"),
        ("https://registry.test/team/x", r"is written without https://"),
        ("UPPER/Case", r"'UPPER/Case' does not start with a registry"),
        (f"registry.test/x@sha256:{'0' * 64}", r"has an @: name its repository alone"),
    ],
)
def test_an_image_that_is_no_repository_is_refused_as_it_was_typed(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        champion("unused", name, tmp_path / "out")


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

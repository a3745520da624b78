"""The champion against a real registry that hides, moves or loses what Git says is deployed."""

from pathlib import Path

import pytest

from roadie import gitops, modelcar, trace
from roadie.errors import ModelCarError, RegistryError
from tests.servers.registry import RegistryServer
from tests.servers.registry_faults import Fault, faulty

KEY = "applications.jukebox.values"


def repository(folder: Path, version: str, digest: str = "") -> str:
    source = folder / "source" / "stage"
    source.mkdir(parents=True)
    values = f"applications:\n  jukebox:\n    values:\n      version: {version}\n      digest: '{digest}'\n"
    (source / "values.yaml").write_text(values)
    gitops.create_bare(folder / "source", folder / "gitops.git")
    return str(folder / "gitops.git")


def champion(repo: str, image: str, directory: Path) -> trace.Champion:
    files = {"stage": "stage/values.yaml"}
    return trace.find_champion(repo, files, "stage", KEY, image=image, branch="main", directory=directory)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_PATIENCE", "1")


def model(folder: Path, content: bytes) -> Path:
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "weights.bin").write_bytes(content)
    return folder


def test_who_may_push_to_the_registry_alone_cannot_choose_the_champion(
    registry: RegistryServer, tmp_path: Path
) -> None:
    image = f"{registry.host}/champion/moved"
    deployed = modelcar.push(model(tmp_path / "good", b"good"), f"{image}:1.0")
    repo = repository(tmp_path, "1.0", deployed.digest)
    assert champion(repo, image, tmp_path / "before").digest == deployed.digest
    worthless = modelcar.push(model(tmp_path / "bad", b"bad"), f"{image}:1.0", move_tag=True)
    with pytest.raises(ModelCarError, match=rf"the tag {image}:1.0 names {worthless.digest}: somebody moved it"):
        champion(repo, image, tmp_path / "after")
    assert not (tmp_path / "after").exists()


@pytest.mark.parametrize("status", [401, 403])
def test_a_registry_that_hides_what_is_not_there_yet_has_no_champion_but_hides_no_version(
    registry: RegistryServer, tmp_path: Path, status: int
) -> None:
    with faulty(registry.host) as proxy:
        proxy.faults.append(Fault("HEAD", "/manifests/", times=100, status=status))
        image = f"{proxy.host}/champion/hidden"
        found = champion(repository(tmp_path / "first", "latest"), image, tmp_path / "out")
        assert (found.version, found.held) == ("", "latest")
        with pytest.raises(RegistryError, match=rf"refused to HEAD /manifests/1.0 \(HTTP {status}\)"):
            champion(repository(tmp_path / "second", "1.0"), image, tmp_path / "other")

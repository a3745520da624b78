"""The steps' image in real registries: bases copied or mounted, damage noticed, little sent twice."""

import importlib.metadata
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from roadie import modelcar
from roadie.errors import ModelCarError
from roadie.modelcar import Access
from tests.servers.debian import tiny_base
from tests.servers.registry import PASSWORD, RegistryServer, skopeo
from tests.servers.registry_faults import faulty


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REGISTRY_USERNAME", "REGISTRY_PASSWORD", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def project(tmp_path: Path) -> dict[str, Any]:
    """A team's own steps, by its own lock."""
    steps = tmp_path / "team/steps"
    steps.mkdir(parents=True)
    (steps / "train.py").write_text("print('trained')\n")
    lock = tmp_path / "team/requirements.lock"
    lock.write_text(f"pyyaml=={importlib.metadata.version('pyyaml')}\n")
    return {"lock": lock, "folders": [steps]}


@pytest.fixture
def base(tmp_path: Path) -> str:
    """A base of which a layer is large enough to be looked for before it is sent."""
    return tiny_base(tmp_path / "base", files={"usr/share/noise": os.urandom(2 << 20)})


def test_a_base_in_a_layout_is_copied_whole_and_the_image_verifies(
    registry: RegistryServer, project: dict[str, Any], base: str
) -> None:
    pushed = modelcar.push_steps(f"{registry.host}/steps/layout", base=base, **project)
    assert modelcar.verify(pushed.reference).digest == pushed.digest
    assert pushed.uploaded_bytes > 1 << 20
    assert skopeo("inspect", "--tls-verify=false", "--format={{.Digest}}", f"docker://{pushed.reference}").strip() == (
        pushed.digest
    )


def test_a_changed_line_sends_one_small_layer(registry: RegistryServer, project: dict[str, Any], base: str) -> None:
    modelcar.push_steps(f"{registry.host}/steps/again", base=base, **project)
    (project["folders"][0] / "train.py").write_text("print('trained better')\n")
    with faulty(registry.host) as proxy:
        pushed = modelcar.push_steps(f"{proxy.host}/steps/again", base=base, **project)
        moved = sum(proxy.body_bytes(method) for method in ("POST", "PATCH", "PUT"))
    assert moved < pushed.layers[1].size + 8192, "the layer, a config and a manifest"
    assert proxy.count("PATCH") == 0


def test_a_base_in_the_same_registry_is_mounted(
    registry: RegistryServer, project: dict[str, Any], base: str, tmp_path: Path
) -> None:
    skopeo("copy", "--all", "--dest-tls-verify=false", base, f"docker://{registry.host}/bases/python:debian")
    with faulty(registry.host) as proxy:
        pushed = modelcar.push_steps(f"{proxy.host}/steps/mounted", base=f"{proxy.host}/bases/python:debian", **project)
        assert proxy.count("POST", "mount=sha256") == 1
    assert pushed.uploaded_bytes < sum(layer.size for layer in pushed.layers) + 4096
    assert pushed.base == f"{proxy.host}/bases/python@{modelcar.resolve(f'{registry.host}/bases/python:debian')}"


def test_a_base_of_another_registry_is_copied_without_this_one_s_password(
    registry: RegistryServer, registry_htpasswd: RegistryServer, project: dict[str, Any], base: str
) -> None:
    skopeo("copy", "--all", "--dest-tls-verify=false", base, f"docker://{registry.host}/bases/other:debian")
    access = Access(registry_htpasswd.username, PASSWORD)
    with faulty(registry.host) as proxy:
        pushed = modelcar.push_steps(
            f"{registry_htpasswd.host}/steps/copied", base=f"{proxy.host}/bases/other:debian", access=access, **project
        )
        again = modelcar.push_steps(
            f"{registry_htpasswd.host}/steps/copied", base=f"{proxy.host}/bases/other:debian", access=access, **project
        )
        assert proxy.count("GET", "/blobs/sha256") == 1 + 2 + 1, "two configs, the layer to look into it and to copy it"
    assert again.existed
    assert modelcar.verify(pushed.reference, access=access).digest == pushed.digest


@pytest.mark.parametrize(
    "change", [lambda body: body[:-512], lambda body: body + b"\0" * 512, lambda body: body[:-1] + b"x"]
)
def test_a_base_that_is_not_what_it_says_is_told_at_once_and_gets_no_tag(
    registry: RegistryServer, project: dict[str, Any], base: str, tmp_path: Path, change: Any
) -> None:
    modelcar.push_steps(f"oci:{tmp_path}/elsewhere", base=base, **project)  # it has been looked into before
    layer = max((tmp_path / "base/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    layer.write_bytes(change(layer.read_bytes()))
    reference = f"{registry.host}/steps/damaged:v1"
    began = time.monotonic()
    with pytest.raises(ModelCarError, match=r"damaged"):
        modelcar.push_steps(reference, base=base, **project)
    assert time.monotonic() - began < 30
    assert modelcar.resolve(reference) is None


def test_the_command_prints_the_image_by_digest_and_tells_its_base(
    registry: RegistryServer, project: dict[str, Any], base: str
) -> None:
    command = [sys.executable, "-m", "roadie", "image", "push", f"{registry.host}/steps/cli", "--base", base]
    command += ["--lock", str(project["lock"]), "--folder", str(project["folders"][0])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    again = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert done.stdout == f"{registry.host}/steps/cli@{again['digest']}\n"
    assert f"on {again['base']}, tagged {again['tag']}, uploaded " in done.stderr
    assert again["existed"]
    assert again["uploaded_bytes"] == 0
    assert [layer["files"] for layer in again["layers"]] == ["1 packages", "code"]


def test_what_is_not_installed_is_one_sentence(registry: RegistryServer, project: dict[str, Any], base: str) -> None:
    project["lock"].write_text("a-package-of-nobody==1.0\n")
    command = [sys.executable, "-m", "roadie", "image", "push", f"{registry.host}/steps/none", "--base", base]
    done = subprocess.run([*command, "--lock", str(project["lock"])], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "roadie: This environment lacks a-package-of-nobody 1.0, which the lock names: install the lock here first.\n"
    )

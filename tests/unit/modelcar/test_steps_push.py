"""The steps' image: made twice it is the same, on a base that has what steps need and on no other."""

import importlib.metadata
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

from roadie import modelcar
from roadie.errors import ModelCarError, UsageError
from roadie.modelcar.access import Access
from roadie.modelcar.registry import Registry
from roadie.modelcar.steps.bases import base_reference
from tests.servers.debian import PATH, tar_of, tiny_base

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _caches_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> dict[str, Any]:
    """A team's own project: a lock of something that is installed here, and a folder of steps."""
    steps = tmp_path / "team/steps"
    steps.mkdir(parents=True)
    (steps / "train.py").write_text("print('trained')\n")
    lock = tmp_path / "team/requirements.lock"
    lock.write_text("".join(f"{name}=={importlib.metadata.version(name)}\n" for name in ("six", "pyyaml")))
    return {"lock": lock, "folders": [steps], "base": tiny_base(tmp_path / "base")}


def blob(directory: Path, digest: str) -> bytes:
    return (directory / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()


def config_of(directory: Path, pushed: modelcar.StepsImage) -> dict[str, Any]:
    manifest = json.loads(blob(directory, pushed.digest))
    return dict(json.loads(blob(directory, manifest["config"]["digest"])))


def test_the_same_inputs_give_the_same_image_and_tag_at_any_time(tmp_path: Path, project: dict[str, Any]) -> None:
    one = modelcar.push_steps(f"oci:{tmp_path}/one", **project)
    os.utime(project["folders"][0] / "train.py", (1, 1))
    (project["folders"][0] / "__pycache__").mkdir()
    other = modelcar.push_steps(f"oci:{tmp_path}/other", **project)
    assert (one.digest, one.tag) == (other.digest, other.tag)
    assert one.tag.startswith(f"{modelcar.inspect(one.reference).annotations['org.opencontainers.image.version']}-")
    again = modelcar.push_steps(f"oci:{tmp_path}/one", **project)
    assert again.existed
    assert again.uploaded_bytes == 0


def test_a_changed_line_sends_the_small_layer_alone(tmp_path: Path, project: dict[str, Any]) -> None:
    first = modelcar.push_steps(f"oci:{tmp_path}/one", **project)
    (project["folders"][0] / "train.py").write_text("print('trained better')\n")
    second = modelcar.push_steps(f"oci:{tmp_path}/one", **project)
    assert second.tag != first.tag
    assert [layer.uploaded for layer in second.layers] == [False, True]
    assert second.uploaded_bytes < second.layers[1].size + 4096, "with its config"


def test_a_pod_finds_all_it_needs_by_the_config(tmp_path: Path, project: dict[str, Any]) -> None:
    pushed = modelcar.push_steps(f"oci:{tmp_path}/one:v1", version="7.1", **project)
    document = config_of(tmp_path / "one", pushed)
    config = document["config"]
    assert config["User"] == "1001"
    assert "Entrypoint" not in config
    assert dict(item.split("=", 1) for item in config["Env"]) == {
        "PATH": "/opt/roadie/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONPATH": "/opt/roadie/code:/opt/roadie/packages",
        "PYTHONUNBUFFERED": "1",
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
    }
    assert config["Labels"]["org.opencontainers.image.version"] == "7.1"
    assert config["Labels"][modelcar.CODE].startswith("sha256:")
    assert config["Labels"][modelcar.LOCK].startswith("sha256:")
    small = blob(tmp_path / "one", pushed.layers[1].digest)
    with tarfile.open(fileobj=io.BytesIO(small)) as tar:
        members = {member.name: member for member in tar}
    assert {name: members[name].mode for name in ("gcs", "minio", "s3")} == {"gcs": 0o777, "minio": 0o777, "s3": 0o777}
    assert members["opt/roadie/bin/roadie"].mode == 0o755
    assert "opt/roadie/code/steps/train.py" in members
    assert {(member.mtime, member.uid, member.gid) for member in members.values()} == {(0, 0, 0)}


def test_nothing_of_this_machine_is_in_it(tmp_path: Path, project: dict[str, Any]) -> None:
    pushed = modelcar.push_steps(f"oci:{tmp_path}/one:v1", **project)
    told = blob(tmp_path / "one", pushed.digest) + json.dumps(config_of(tmp_path / "one", pushed)).encode()
    layers = b"".join(blob(tmp_path / "one", layer.digest) for layer in pushed.layers)
    for place in (str(tmp_path), sys.prefix):
        assert place.encode() not in told + layers


def test_a_tag_moves_only_when_it_is_told_to(tmp_path: Path, project: dict[str, Any]) -> None:
    first = modelcar.push_steps(f"oci:{tmp_path}/one:v1", **project)
    (project["folders"][0] / "train.py").write_text("")
    with pytest.raises(ModelCarError, match="--move-tag"):
        modelcar.push_steps(f"oci:{tmp_path}/one:v1", **project)
    moved = modelcar.push_steps(f"oci:{tmp_path}/one:v1", **project, move_tag=True)
    assert modelcar.resolve(f"oci:{tmp_path}/one:v1") == moved.digest != first.digest


@pytest.mark.parametrize(
    ("changes", "lack"),
    [
        ({"links": {"usr/bin/python3": "python3.9"}}, "has Python 3.9, and this environment's packages are for"),
        ({"links": {"usr/local/bin/python3": "/opt/python3.9"}}, "has Python 3.9"),
        ({"links": {"usr/bin/python3": "python-of-somebody"}}, "has no python3"),
        ({"files": {"usr/bin/git": None}}, "has no git"),
        ({"files": {"etc/ssl/certs/ca-certificates.crt": None}}, "has no ca-certificates"),
        ({"files": {"usr/lib/libc.so.6": None, "lib/ld-musl-x86_64.so.1": b""}}, "has musl"),
        ({"files": {"usr/lib/libc.so.6": b"GNU C Library (Old) stable release version 2.5."}}, "glibc 2.5, and"),
        ({"files": {"usr/lib/libstdc++.so.6": None}}, r"has no libstdc\+\+"),
        ({"upper": [tar_of({}, {"usr/bin/python3": "python3.9"})]}, "has Python 3.9"),
        ({"upper": [tar_of({"usr/bin/.wh.git": b""}), tar_of({"usr/share/more": b""})]}, "has no git"),
        ({"config": {"Env": ["PATH=/nowhere"]}}, "has no python3"),
        ({"config": {"Env": 7}}, "has no readable config.Env"),
        ({"architecture": "riscv64"}, "is for linux/riscv64, and this environment's packages are for linux/"),
    ],
)
def test_a_base_on_which_steps_would_fail_is_refused_in_a_sentence(
    tmp_path: Path, project: dict[str, Any], changes: dict[str, Any], lack: str
) -> None:
    other = tiny_base(tmp_path / "other", **changes)
    with pytest.raises(ModelCarError, match=lack):
        modelcar.push_steps(f"oci:{tmp_path}/one:v1", **(project | {"base": other}))
    assert not (tmp_path / "one").exists(), "nothing was sent"


def test_a_base_is_read_once(tmp_path: Path, project: dict[str, Any]) -> None:
    modelcar.push_steps(f"oci:{tmp_path}/one:v1", **project)
    directory = tmp_path / "base/blobs/sha256"
    manifest = json.loads(
        blob(tmp_path / "base", json.loads((tmp_path / "base/index.json").read_text())["manifests"][0]["digest"])
    )
    image = json.loads(blob(tmp_path / "base", manifest["manifests"][0]["digest"]))
    (directory / image["layers"][0]["digest"].removeprefix("sha256:")).unlink()
    assert modelcar.push_steps(f"oci:{tmp_path}/one:v1", **project).existed


def test_a_base_that_is_not_what_its_digests_say_is_not_copied(tmp_path: Path, project: dict[str, Any]) -> None:
    modelcar.push_steps(f"oci:{tmp_path}/one:v1", **project)
    index = json.loads((tmp_path / "base/index.json").read_text())["manifests"][0]["digest"]
    manifest = json.loads(blob(tmp_path / "base", json.loads(blob(tmp_path / "base", index))["manifests"][0]["digest"]))
    path = tmp_path / "base/blobs/sha256" / manifest["layers"][0]["digest"].removeprefix("sha256:")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelCarError, match="damaged"):
        modelcar.push_steps(f"oci:{tmp_path}/two:v1", **project)
    path.write_bytes(path.read_bytes()[:-512])
    with pytest.raises(ModelCarError, match="damaged"):
        modelcar.push_steps(f"oci:{tmp_path}/three:v1", **project)


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("python:3.11", "docker.io/library/python:3.11"),
        ("docker.io/python:3.11", "docker.io/library/python:3.11"),
        ("bitnami/python:3.11", "docker.io/bitnami/python:3.11"),
        (f"python@sha256:{'a' * 64}", f"docker.io/library/python@sha256:{'a' * 64}"),
        ("localhost/python:3.11", "localhost/python:3.11"),
        ("registry:5000/python:3.11", "registry:5000/python:3.11"),
        ("quay.io/fedora/python-311:latest", "quay.io/fedora/python-311:latest"),
        ("oci:base:v1", "oci:base:v1"),
    ],
)
def test_a_base_s_short_name_means_what_docker_means_by_it(short: str, full: str) -> None:
    assert str(base_reference(short)) == full


def test_a_base_without_a_tag_is_refused() -> None:
    with pytest.raises(UsageError, match="no tag and no digest"):
        base_reference("python")


def test_an_image_is_pushed_by_a_tag_and_not_by_a_digest(tmp_path: Path, project: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is a digest"):
        modelcar.push_steps(f"oci:{tmp_path}/one@sha256:{'a' * 64}", **project)


def test_roadie_s_own_lock_and_code_are_found() -> None:
    assert modelcar.shipped_lock().name == "requirements.lock"
    assert [folder.name for folder in modelcar.shipped_code()] == ["roadie", "components"]


def test_an_image_tells_the_code_in_it_and_no_other_change_changes_that(
    tmp_path: Path, project: dict[str, Any]
) -> None:
    pushed = modelcar.push_steps(f"oci:{tmp_path}/one", **project)
    told = modelcar.inspect(pushed.reference).annotations[modelcar.CODE]
    assert told == modelcar.code_digest(project["folders"]) != modelcar.code_digest()
    (project["folders"][0] / "train.py").write_text("")
    assert told != modelcar.code_digest(project["folders"])


def test_an_installed_roadie_pushes_the_same_code_as_a_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    asked = "from roadie import modelcar as m; print(m.code_digest(), m.shipped_lock())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    said = subprocess.run([sys.executable, "-c", asked], env=environment, cwd=tmp_path, capture_output=True, check=True)
    digest, lock = said.stdout.decode().split()
    assert digest == modelcar.code_digest()
    assert Path(lock).is_relative_to(tmp_path / "site")
    assert Path(lock).read_bytes() == modelcar.shipped_lock().read_bytes()


def test_the_containerfile_gives_the_same_folders_variables_and_user(tmp_path: Path, project: dict[str, Any]) -> None:
    config = config_of(tmp_path / "one", modelcar.push_steps(f"oci:{tmp_path}/one", **project))["config"]
    lines = (ROOT / "Containerfile").read_text("utf-8").rpartition("\nFROM ")[2].splitlines()
    stated = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}
    ours = dict(word.split("=", 1) for word in stated["ENV"].replace("${PATH}", PATH).split())
    assert ours.items() <= dict(item.split("=", 1) for item in config["Env"]).items()
    assert (stated["USER"], stated["WORKDIR"]) == (config["User"], config["WorkingDir"])
    assert "RUN mkdir -m 0777 /gcs /minio /s3" in lines
    assert {line.split()[-1] for line in lines if line.startswith("COPY ")} == {
        "/opt/roadie/packages",
        *(f"/opt/roadie/code/{name}" for name in ("compiled", "examples", "components", "roadie")),
    }


def test_docker_hub_s_own_name_leads_to_its_registry() -> None:
    reference = base_reference("python:3.11")
    assert Registry(reference, Access(), threading.Event()).base == "https://registry-1.docker.io/v2/library/python"

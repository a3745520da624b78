"""From an environment to pods: the steps' image in a real registry, unpacked, and every step run inside of it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import roadie
from roadie import gitops, modelcar
from tests.servers.registry import RegistryServer
from tests.servers.registry_faults import faulty
from tests.steps.compiled import COMPILED, containers, documents
from tests.steps.launcher import Done, Launcher
from tests.steps.story import tell

pytest_plugins = ["tests.servers.debian"]

USER = "1001:0"
# A pod's view of its image: read-only but for /tmp and what the launcher mounts, with /proc, /dev and the network.
POD = """
root=$1 volume=$2; shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount --bind "$volume" "$root/minio"
mount -o remount,bind,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
exec chroot --userspec=$USERSPEC "$root" env --ignore-environment "$@"
"""


@dataclass(frozen=True)
class Image:
    """What `roadie image push --json` printed, and the image's files and settings."""

    printed: dict[str, Any]
    root: Path
    config: dict[str, Any]


def blob(registry: RegistryServer, digest: str) -> Path:
    """Where the registry keeps a blob."""
    name = digest.removeprefix("sha256:")
    return registry.storage / f"docker/registry/v2/blobs/sha256/{name[:2]}/{name}/data"


@pytest.fixture(scope="module")
def image(registry: RegistryServer, debian: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image of this checkout and environment on Debian's Python, unpacked layer by layer."""
    if os.geteuid():
        pytest.skip("chroot and mount need root")
    command = [
        sys.executable,
        "-m",
        "roadie",
        "image",
        "push",
        f"{registry.host}/mlops/steps",
        "--base",
        debian,
        "--json",
    ]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    manifest = json.loads(blob(registry, printed["digest"]).read_bytes())
    root = tmp_path_factory.mktemp("image") / "root"
    root.mkdir()
    for layer in manifest["layers"]:
        flags = ["-z"] if layer["mediaType"].endswith("gzip") else []
        file = blob(registry, layer["digest"])
        subprocess.run(["tar", "-x", *flags, "--same-owner", "-p", "-f", file, "-C", root], check=True)
    config = json.loads(blob(registry, manifest["config"]["digest"]).read_bytes())["config"]
    yield Image(printed, root, config)
    shutil.rmtree(root)


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """What is mounted at /minio: whoever runs in the pod may write there, as the launcher's folders are the user's."""
    before = os.umask(0)
    (tmp_path / "volume").mkdir()
    yield tmp_path / "volume"
    os.umask(before)


def pod(image: Image, volume: Path) -> list[str]:
    """The words that lead into the image."""
    script = POD.replace("$USERSPEC", USER)
    inside = ["--chdir", image.config["WorkingDir"], *image.config["Env"]]
    return ["unshare", "--mount", "sh", "-euc", script, "sh", str(image.root), str(volume), *inside]


def test_every_step_of_training_runs_inside_the_image(image: Image, volume: Path, registry: RegistryServer) -> None:
    training = documents(COMPILED / "pipelines" / "training.yaml")[0]
    gitops.create_bare(gitops.examples() / "mlops-gitops", volume / "gitops.git")
    subprocess.run(["chown", "-R", USER, volume], check=True)
    launcher = Launcher(volume / "artifacts", root="/minio/artifacts", before=pod(image, volume), python="python3")
    done: dict[str, Done] = tell(training, launcher, "/minio/gitops.git", f"{registry.host}/models/jukebox")
    assert {name.removesuffix("-2") for name in containers(training)} <= {*done, "bump-version", "wait-for-rollout"}
    assert done["evaluate"].parameters == {"Output": "promote"}
    assert done["evaluate-again"].parameters == {"Output": "unchanged"}
    version = done["push-modelcar"].parameters["version"]
    assert modelcar.resolve(f"{registry.host}/models/jukebox:{version}") == done["push-modelcar"].parameters["digest"]


def test_the_commands_of_the_image_are_its_own(image: Image, volume: Path) -> None:
    def said(*words: str) -> str:
        done = subprocess.run([*pod(image, volume), *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert said("roadie", "--version") == f"roadie, version {roadie.__version__}\n"
    assert said("id", "-u") == "1001\n"
    where = "import kfp, roadie, numpy; print(kfp.__file__, roadie.__file__, numpy.__file__)"
    writable = "import os; print(*(each for each in ('/', '/opt', '/minio', '/tmp') if os.access(each, os.W_OK)))"
    assert said("python3", "-c", writable) == "/minio /tmp\n"
    assert all(path.startswith("/opt/roadie/") for path in said("python3", "-c", where).split())


def test_a_changed_line_of_roadie_sends_the_small_layer_alone(
    image: Image, registry: RegistryServer, debian: str, tmp_path: Path
) -> None:
    folders = [shutil.copytree(folder, tmp_path / folder.name) for folder in modelcar.shipped_code()]
    (folders[0] / "errors.py").open("a").write("# another line\n")
    with faulty(registry.host) as proxy:
        pushed = modelcar.push_steps(f"{proxy.host}/mlops/steps", base=debian, folders=folders)
        sent = sum(proxy.body_bytes(method) for method in ("POST", "PATCH", "PUT"))
    assert pushed.layers[0].digest == image.printed["layers"][0]["digest"]
    assert [layer.uploaded for layer in pushed.layers] == [False, True]
    assert sent < pushed.layers[1].size + 8192 < 3_000_000


def test_the_same_environment_gives_the_same_image(image: Image, registry: RegistryServer, debian: str) -> None:
    again = modelcar.push_steps(f"{registry.host}/mlops/steps", base=debian)
    assert (again.digest, again.tag) == (image.printed["digest"], image.printed["tag"])
    assert again.existed
    assert again.uploaded_bytes == 0

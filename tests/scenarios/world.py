"""The world that Roadie works in: charts in S3, a registry, a GitOps repository, each behind a password."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.servers.git_http import GitServer, git
from tests.servers.registry import RegistryServer, skopeo

ROOT = Path(__file__).resolve().parents[2]

# Any model passes it, also one that is no better: for what is told after the gate.
LENIENT = json.dumps({"metric": "log_loss", "mode": "non-inferiority", "margin": 9.0, "floors": {"gain": -9.0}})


@dataclass
class World:
    """Where things are, and who may touch them. `state` is where `roadie run` keeps its runs."""

    registry: RegistryServer
    git_server: GitServer
    state: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    repository: str = "models/jukebox"
    gitops: str = ""

    def __post_init__(self) -> None:
        """Lay out the GitOps repository that the team starts from."""
        self.gitops = self.gitops or self.git_server.create("mlops-gitops.git", ROOT / "examples" / "mlops-gitops")

    @property
    def image(self) -> str:
        """The repository of the model's images."""
        return f"{self.registry.host}/{self.repository}"

    @property
    def secrets(self) -> set[str]:
        """What must not show anywhere."""
        given = {**self.environment, **self.registry.environment, **self.git_server.environment}
        return {value for name, value in given.items() if "PASSWORD" in name or "SECRET" in name}

    def roadie(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call the command line as people do, with every credential in the environment and nowhere else."""
        return subprocess.run(
            [sys.executable, "-m", "roadie", *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env=self.variables,
        )

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a command, with every credential in it."""
        return {**os.environ, **self.registry.environment, **self.git_server.environment, **self.environment}

    def train(self, charts: str, **parameters: str) -> subprocess.CompletedProcess[str]:
        """Run the compiled training pipeline on `charts`."""
        given = {"charts": charts, "image": self.image, "gitops_repo": self.gitops, **parameters}
        pairs = [word for name, value in given.items() for word in ("-p", f"{name}={value}")]
        return self.roadie("run", "training", "--json", "--state", str(self.state), *pairs)

    def begin_as(self, other: "World") -> None:
        """Take over what the repository and the registry of `other` hold, which is left as it is."""
        git("-C", str(self.bare), "fetch", "--quiet", str(other.bare), "+main:main")
        shutil.copytree(other.stored, self.stored)

    def clone(self, folder: Path) -> Path:
        """A fresh clone of the GitOps repository, past all of Roadie's own code."""
        git("clone", "--quiet", str(self.bare), str(folder))
        return folder

    @property
    def bare(self) -> Path:
        """The GitOps repository on its server's disk."""
        return self.git_server.root / "mlops-gitops.git"

    @property
    def stored(self) -> Path:
        """What the registry has of the model on its disk; its blobs are elsewhere, shared by all repositories."""
        return self.registry.storage / "docker/registry/v2/repositories" / self.repository

    def blob(self, digest: str) -> bytes:
        """What the registry keeps under a digest, once it is proved to be that."""
        kind, _, letters = digest.partition(":")
        content = (self.registry.storage / f"docker/registry/v2/blobs/{kind}/{letters[:2]}/{letters}/data").read_bytes()
        assert hashlib.new(kind, content).hexdigest() == letters
        return content

    @property
    def tip(self) -> str:
        """The commit that is deployed."""
        return git("-C", str(self.bare), "rev-parse", "main")

    def tags(self) -> list[str]:
        """The versions in the registry; empty when it does not know the model."""
        folder = self.stored / "_manifests/tags"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def skopeo(self, command: str, *arguments: str) -> str:
        """Ask the registry with a tool that is not ours."""
        login = f"{self.registry.username}:{self.registry.password}"
        source = "--src-" if command == "copy" else "--"
        access = [f"{source}tls-verify=false", *([f"{source}creds", login] if self.registry.username else [])]
        return skopeo(command, *access, *arguments)


def outcome(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """The JSON of a run that ended well."""
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result

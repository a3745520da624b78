"""A bare repository on disk with the values of two models, and a clone in which people work on it by hand."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadie.gitops import Bumped, bump_version, create_bare
from tests.servers.git_http import git

FILE = "test/values.yaml"
VALUES = """\
# both models in one file, as an app of apps has them
applications:
  jukebox:
    values:
      version: latest  # jukebox
      source_ref: main
  wine:
    values:
      version: latest  # wine
      source_ref: main
"""


def key_of(model: str) -> str:
    """The map that holds a model's version."""
    return f"applications.{model}.values"


@dataclass
class Work:
    """The bare repository at `url`, and the folder of a clone of it."""

    url: str
    folder: Path

    @classmethod
    def create(cls, tmp_path: Path) -> "Work":
        """Make both; the server takes filters, as the hosts do."""
        for environment in ("test", "stage"):
            (tmp_path / "source" / environment).mkdir(parents=True)
            (tmp_path / "source" / environment / "values.yaml").write_text(VALUES)
        create_bare(tmp_path / "source", tmp_path / "bare.git")
        bare = str(tmp_path / "bare.git")
        git("-C", bare, "config", "uploadpack.allowFilter", "true")
        git("-C", bare, "config", "uploadpack.allowAnySHA1InWant", "true")
        git("clone", "--quiet", bare, str(tmp_path / "work"))
        return cls(bare, tmp_path / "work")

    def git(self, *arguments: str) -> str:
        """Run git in the clone."""
        return git("-C", str(self.folder), "-c", "core.editor=true", *arguments)

    def pull(self) -> None:
        """Take the server's main."""
        self.git("checkout", "--quiet", "main")
        self.git("pull", "--quiet", "--ff-only")

    def push(self) -> str:
        """Push main; its tip."""
        self.git("push", "--quiet", "origin", "main")
        return self.git("rev-parse", "main")

    def set(self, model: str, version: str, field: str = "version", file: str = FILE) -> None:
        """Write a value by hand."""
        path = self.folder / file
        pattern = rf"(?s)(  {model}:\n.*?{field}: )[^\s#]*"
        path.write_text(re.sub(pattern, rf"\g<1>{version}", path.read_text(), count=1))

    def commit(self, message: str = "by hand") -> str:
        """Commit all; the commit."""
        self.git("commit", "--quiet", "--all", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def edit(self, model: str, version: str, message: str = "by hand") -> str:
        """Set a version on the branch that is checked out, and commit."""
        self.set(model, version)
        return self.commit(message)

    def noise(self, commits: int) -> None:
        """Commits about other things."""
        lines = []
        for number in range(commits):
            lines += ["commit refs/heads/noise", "committer A <a@example.com> 1800000000 +0000", "data 1", "x"]
            lines += [] if number else [f"from {self.git('rev-parse', 'HEAD')}"]
            lines += ["M 100644 inline noise", f"data {len(str(number))}", str(number), ""]
        command = ["git", "-C", str(self.folder), "fast-import", "--quiet"]
        subprocess.run(command, input="\n".join(lines).encode(), check=True)
        self.git("merge", "--quiet", "--ff-only", "noise")


def deploy(
    repo: str, version: str, model: str = "jukebox", digest: str = "", environment: str = "test", **options: Any
) -> Bumped:
    """Deploy as the pipeline does."""
    return bump_version(
        repo, f"{environment}/values.yaml", key_of(model), version=version, digest=digest, model_name=model,
        environment=environment, run=f"run-{version}", **options,
    )  # fmt: skip

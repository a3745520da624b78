"""Lay out the two repositories that a team starts from, and bare ones to try things on."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import roadie
from roadie.errors import GitOpsError
from roadie.gitops.process import Signals
from roadie.gitops.signature import Signature

REPOSITORIES = ("mlops-gitops", "mlops-helmcharts")


def examples() -> Path:
    """The folder of example repositories: in an installed Roadie its own copy, in a checkout examples/."""
    package = Path(roadie.__file__).parent
    for folder in (package / "_shipped" / "examples", package.parent / "examples"):
        if (folder / REPOSITORIES[0]).is_dir():
            return folder
    raise GitOpsError("this installation has no example repositories; install the package roadie itself")


def init_repositories(directory: Path, *, replace: Mapping[str, str] = {}) -> tuple[Path, ...]:
    """Copy mlops-gitops and mlops-helmcharts into `directory`; return the two folders.

    `replace` fills in placeholders in every file, such as `<GIT_SERVER>`, `<TEAM_NAME>` and `<REGISTRY>`.

    Raises:
        GitOpsError: one of the folders is there already, or cannot be made.
    """
    made = tuple(directory / name for name in REPOSITORIES)
    for folder in made:
        if folder.exists():
            raise GitOpsError(f"{folder} is there already; choose another folder, or move it away")
    try:
        for folder in made:
            _lay_out(folder, replace)
    except OSError as error:
        raise GitOpsError(
            f"{directory} cannot be written to ({error.strerror or 'no such place'}); name a folder that can"
        ) from None
    return made


def _lay_out(folder: Path, replace: Mapping[str, str]) -> None:
    """Copy the example of that name to `folder`, with its placeholders filled in."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(examples() / folder.name, folder)
    for file in filter(Path.is_file, folder.rglob("*")):
        text = file.read_text()
        for placeholder, value in replace.items():
            text = text.replace(placeholder, value)
        file.write_text(text)


def create_bare(source_directory: Path, bare_path: Path) -> str:
    """Make a bare repository of the files in `source_directory`, as one commit on main; return the commit's id.

    Raises:
        GitOpsError: `bare_path` is there already, or git fails.
    """
    from git import Repo
    from git.exc import GitError

    if bare_path.exists():
        raise GitOpsError(f"{bare_path} is there already; choose another path, or remove it")
    try:
        with Signals(), TemporaryDirectory(prefix="roadie-layout-") as work:
            shutil.copytree(source_directory, Path(work) / "files", symlinks=True)
            repo = Repo.init(Path(work) / "files", initial_branch="main")
            repo.git.update_environment(**Signature().people())
            repo.git.add("--all", "--force")
            repo.git.commit("--quiet", "--no-verify", "--no-gpg-sign", "-m", f"Lay out {source_directory.name}")
            bare_path.parent.mkdir(parents=True, exist_ok=True)
            bare = repo.clone(bare_path.absolute(), bare=True)
            bare.git.remote("remove", "origin")
            return str(bare.head.commit.hexsha)
    except (GitError, OSError) as error:
        raise GitOpsError(
            f"{bare_path} cannot be made a repository of {source_directory} ({_reason(error)}); name a folder that can"
        ) from None


def _reason(error: Exception) -> str:
    """The system's or git's own words: GitPython puts the command and a heading around them."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    words = re.sub(r"^\s*stderr: '|'$", "", str(getattr(error, "stderr", "") or error).strip())
    return " ".join(words.split())

"""What stands in for a registry, a GitOps repository and a source revision that were not named."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from roadie.runs.pipeline import Pipeline

# user@host:path, as ssh's own tools write an address
_SCP_LIKE = re.compile(r"[\w.-]+@[\w.-]+:")


def with_embedded_defaults(pipeline: Pipeline, arguments: Mapping[str, Any], state: Path) -> dict[str, Any]:
    """`arguments`, with what is left empty filled in so that the pipeline runs on this machine alone.

    - ``image``: an OCI layout below `state`;
    - ``gitops_repo``: a bare repository below `state`, made from examples/mlops-gitops when it is not there;
    - ``source`` and ``revision``: where the pipeline's checkout comes from and its commit, if nothing in it is changed.
    """
    from roadie import gitops

    filled = dict(arguments)
    wanted = {name for name in pipeline.parameters if not filled.get(name)}
    if "image" in wanted:
        filled["image"] = f"oci:{state.resolve() / 'registry' / str(filled.get('model_name', 'jukebox'))}"
    if "gitops_repo" in wanted:
        repository = state.resolve() / "gitops.git"
        if not repository.exists():
            gitops.create_bare(gitops.examples() / "mlops-gitops", repository)
        filled["gitops_repo"] = str(repository)
    checkout = pipeline.path.resolve().parent
    if {"source", "revision"} <= wanted and (commit := _clean_commit(checkout)):
        filled["revision"] = commit
        filled["source"] = _origin(checkout)
    return filled


def _clean_commit(checkout: Path) -> str:
    """The checkout's commit; empty when it is none, or when its files say more than the commit does."""
    if _git(checkout, "status", "--porcelain") != "":
        return ""
    return _git(checkout, "rev-parse", "HEAD") or ""


def _origin(checkout: Path) -> str:
    """Address of the checkout's origin without any credentials in it; empty for a folder, which is nobody else's."""
    url = _git(checkout, "config", "--get", "remote.origin.url") or ""
    parts = urlsplit(url)
    if not parts.netloc:
        return url if _SCP_LIKE.match(url) else ""
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _git(checkout: Path, *arguments: str) -> str | None:
    """What git says there; None when it says nothing good."""
    try:
        done = subprocess.run(["git", "-C", str(checkout), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None

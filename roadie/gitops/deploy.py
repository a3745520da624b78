"""Deploy a version: what the training pipeline sets, and what its commit says."""

from collections.abc import Mapping

from roadie.gitops.access import Access
from roadie.gitops.bump import Bumped, Edit, bump

# What a version is made of, and the trailer that names it.
TRAILERS = {
    "data.digest": "Roadie-Data",
    "model.digest": "Roadie-Model-Digest",
    "metrics": "Roadie-Metrics",
    "revision": "Roadie-Revision",
    "source": "Roadie-Source",
}


def bump_version(
    repo: str,
    file: str,
    key: str,
    *,
    version: str,
    digest: str,
    model_name: str,
    environment: str,
    branch: str = "main",
    run: str = "",
    trigger: str = "",
    provenance: Mapping[str, str] = {},
    access: Access | None = None,
) -> Bumped:
    """Set ``key.version`` of `file` to `version`, and ``key.digest`` to `digest` where the file has that key.

    An empty `file` means an environment that is not deployed to: nothing is done.

    Raises:
        UsageError, GitOpsError: as of :func:`bump`.
    """
    if not file:
        return Bumped(False, "", branch, reason=f"{environment} has no values file")
    edits = [
        Edit(file, f"{key}.version", version),
        Edit(file, f"{key}.digest", digest, only_if_present=True),
    ]
    named = {
        "Roadie-Model": model_name,
        "Roadie-Version": version,
        "Roadie-Digest": digest,
        "Roadie-Run": run,
        "Roadie-Trigger": trigger,
        **{trailer: provenance.get(name, "") for name, trailer in TRAILERS.items()},
    }
    return bump(
        repo,
        edits,
        branch=branch,
        message=f"Deploy {model_name} {version} to {environment}",
        trailers={name: value for name, value in named.items() if value},
        access=access,
    )

"""The model that an environment deploys now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from roadie.errors import GitOpsError, ModelCarError, UsageError

if TYPE_CHECKING:
    from roadie.modelcar import Access

# What a values file says before anything was ever deployed.
PLACEHOLDERS = frozenset({"", "latest"})
# How often a file may change between two looks at it.
_READS = 3


@dataclass(frozen=True)
class Champion:
    """The deployed version and its image; `version` is empty when there is none.

    `held` is what the values file of `environment` says, be it a placeholder, at the tip `commit`.
    """

    version: str
    digest: str
    environment: str
    held: str
    commit: str
    sentence: str


def find_champion(
    repository: str,
    files: Mapping[str, str],
    environment: str,
    key: str,
    *,
    image: str,
    branch: str,
    directory: Path,
) -> Champion:
    """Read the version that `environment` deploys and pull its model into ``directory/model``, by the digest in Git.

    ``directory/champion.json`` says what was found, also when that is nothing.

    Args:
        repository: Address or path of the GitOps repository.
        files: The values file of each environment, relative to the repository; empty where there is none.
        environment: Whose version is the champion; one without a values file leaves it to the others, in their order.
        key: The mapping in it that holds ``version`` and perhaps ``digest``.
        image: The repository of the model's images, without a tag.
        branch: The branch that is deployed.
        directory: Where to write; it is made.

    Raises:
        UsageError: there is no such environment, or none has a values file.
        GitOpsError: the repository or the file cannot be read.
        ModelCarError: the registry does not have the version, does not answer, or has another image under its tag.
    """
    from roadie import modelcar

    environment = _choose(files, environment)
    if image:  # a run that pushes nothing may have none
        modelcar.check_repository(image)
    held = _held(repository, files[environment], environment, key, branch)
    digest = _digest_of(held, files[environment], f"{key}.version", image)
    directory.mkdir(parents=True, exist_ok=True)
    if digest is None:
        version, sentence = "", f"{files[environment]} deploys no version yet: there is no champion"
    else:
        modelcar.pull(f"{image}@{digest}", directory / "model", access=_access())
        version, sentence = held.version, f"the champion is {held.version} ({digest})"
        if not held.digest:
            sentence += "; Git holds no digest for it, so the registry's tag decided which image that is"
    found = Champion(version, digest or "", environment, held.version, held.commit, sentence)
    (directory / "champion.json").write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
    return found


@dataclass(frozen=True)
class _Held:
    """What Git holds: the version, its digest ("" where nobody wrote it down), and the tip that was read."""

    version: str
    digest: str
    commit: str


def _held(repository: str, file: str, environment: str, key: str, branch: str) -> _Held:
    from roadie import gitops

    layout = gitops.Layout(files={environment: file}, key=key)
    for _ in range(_READS):
        read = gitops.read_value(repository, file, f"{key}.version", branch=branch, settable=True)
        if not read.value:
            return _Held("", "", read.commit)
        # The digest is the values file's, else that of the commit's trailer.
        deployed = gitops.deployed(repository, environment, "model", branch=branch, layout=layout)
        if deployed and deployed.version == read.value:
            return _Held(read.value, deployed.digest, read.commit)
    raise GitOpsError(f"{file} on {branch} changes all the time; run this again when it is at rest")


def _digest_of(held: _Held, file: str, key: str, image: str) -> str | None:
    """The digest of the champion's image; None when there is no champion. A tag only names: what Git holds decides."""
    from roadie import modelcar

    if not held.version:
        return None
    if held.version in PLACEHOLDERS and not held.digest:
        return modelcar.resolve(f"{image}:{held.version}", expected=False)
    tagged = modelcar.resolve(f"{image}:{held.version}", access=_access())
    if held.digest and tagged not in {held.digest, None}:
        raise ModelCarError(
            f"{file} deploys version {held.version} as {held.digest}, but the tag {image}:{held.version} names "
            f"{tagged}: somebody moved it; find out who may push there, and deploy a version that nobody touched"
        )
    if tagged is None and not held.digest:
        raise ModelCarError(
            f"{file} deploys version {held.version}, which {image} does not have: push that version again, "
            f"or set {key} to one that is there"
        )
    return held.digest or tagged


def _access() -> Access:
    """Git says that the image is in this registry: when it does not answer it is away, and no typing error."""
    from roadie import modelcar

    return replace(modelcar.Access.from_environment(), known=True)


def _choose(files: Mapping[str, str], environment: str) -> str:
    if environment not in files:
        raise UsageError(f"there is no environment {environment!r} to take the champion from: use {' or '.join(files)}")
    with_file = [environment, *files]
    chosen = next((name for name in with_file if files[name]), None)
    if chosen is None:
        raise UsageError("no environment has a values file, so there is nothing to deploy to: set gitops.files")
    return chosen
